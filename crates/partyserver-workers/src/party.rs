//! A party: its gate at the edge, its rooms in objects.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use http::{HeaderMap, Uri};
use partyserver::{
    BoxFuture, ConnectGate, Cors, CorsOption, Handshake, Lobby, PartyOptions, Readiness, Request,
    RequestGate, Result, Server,
};
use worker_sys::types::DurableObjectState;

use crate::failure::Failure;
use crate::room::ObjectRoom;
use crate::room_cell::{AnyRoom, RoomCell};
use crate::time::Sleep;

/// A party of any server.
pub(crate) trait AnyParty {
    fn name(&self) -> &Arc<str>;
    fn options(&self) -> &PartyOptions;
    fn cors(&self) -> Option<&Cors>;
    fn answer_headers(&self, uri: &Uri) -> HeaderMap;
    fn start(&self);
    fn readiness(&self) -> Readiness;
    fn before_request<'a>(
        &'a self,
        lobby: &'a Lobby,
        request: Request,
    ) -> BoxFuture<'a, Result<RequestGate, Failure<'static>>>;
    fn before_connect<'a>(
        &'a self,
        lobby: &'a Lobby,
        handshake: Handshake,
    ) -> BoxFuture<'a, Result<ConnectGate, Failure<'static>>>;
    /// The room of an object.
    fn room(self: Rc<Self>, name: Arc<str>, state: DurableObjectState) -> Rc<dyn AnyRoom>;
}

/// A party of one server.
pub(crate) struct Party<S> {
    name: Arc<str>,
    options: PartyOptions,
    pub(crate) factory: Box<dyn Fn() -> S>,
    gate: S,
    cors: Option<Cors>,
}

impl<S: Server> Party<S> {
    pub(crate) fn new(name: Arc<str>, options: PartyOptions, factory: Box<dyn Fn() -> S>) -> Self {
        let gate = factory();
        let cors = match &options.cors {
            CorsOption::Off => None,
            CorsOption::Default => Some(gate.cors()),
            CorsOption::Custom(cors) => Some(cors.clone()),
        };
        Self {
            name,
            options,
            factory,
            gate,
            cors,
        }
    }

    pub(crate) fn options_of(&self) -> &PartyOptions {
        &self.options
    }
}

impl<S: Server> AnyParty for Party<S> {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn options(&self) -> &PartyOptions {
        &self.options
    }

    fn cors(&self) -> Option<&Cors> {
        self.cors.as_ref()
    }

    fn answer_headers(&self, uri: &Uri) -> HeaderMap {
        self.gate.answer_headers(uri)
    }

    fn start(&self) {
        self.gate.on_party_start();
    }

    fn readiness(&self) -> Readiness {
        self.gate.readiness()
    }

    fn before_request<'a>(
        &'a self,
        lobby: &'a Lobby,
        request: Request,
    ) -> BoxFuture<'a, Result<RequestGate, Failure<'static>>> {
        Box::pin(async move {
            let hook = self.gate.on_before_request(lobby, request);
            guarded(self.options.turn_limit, hook).await
        })
    }

    fn before_connect<'a>(
        &'a self,
        lobby: &'a Lobby,
        handshake: Handshake,
    ) -> BoxFuture<'a, Result<ConnectGate, Failure<'static>>> {
        Box::pin(async move {
            let hook = self.gate.on_before_connect(lobby, handshake);
            guarded(self.options.turn_limit, hook).await
        })
    }

    fn room(self: Rc<Self>, name: Arc<str>, state: DurableObjectState) -> Rc<dyn AnyRoom> {
        let props = self.options.props.clone();
        let room = ObjectRoom::new(Arc::clone(&self.name), name, props, state);
        RoomCell::of(self, room)
    }
}

async fn guarded<T>(
    limit: Duration,
    hook: impl Future<Output = Result<T>>,
) -> Result<T, Failure<'static>> {
    match limited(limit, hook).await {
        Some(outcome) => outcome.map_err(Failure::Hook),
        None => Err(Failure::TimedOut),
    }
}

/// Runs a future for a limited time. The timer is set only if the future waits.
pub(crate) async fn limited<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let future = std::pin::pin!(future);
    match select(future, Sleep::new(limit)).await {
        Either::Left((outcome, _)) => Some(outcome),
        Either::Right(_) => None,
    }
}
