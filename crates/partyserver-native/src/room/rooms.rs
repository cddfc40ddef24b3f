//! A party and its rooms, without the type of its server.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use dashmap::DashMap;
use futures_util::FutureExt;
use http::{HeaderMap, Uri};
use partyserver::{
    Attachments, BoxFuture, CloseEvent, ConnectGate, Connection, Cors, CorsOption, Error,
    Handshake, Lobby, Message, PartyOptions, Readiness, Refusal, Request, RequestGate, Response,
    Server,
};
use serde_json::Value;

use crate::connection::Conn;
use crate::failure::{self, Failure};
use crate::room::{Host, NativeRoom};
use crate::room_cell::{RoomCell, millis_since};
use crate::socket::Arrival;
use crate::store::RoomName;

/// A room of any server.
pub(crate) trait AnyRoom: Send + Sync {
    fn port(&self) -> &NativeRoom;
    fn max_message(&self) -> usize;
    /// Answers a request in a turn of its own. A client that goes away while it
    /// waits is forgotten; a turn that has begun runs to its end.
    fn request(
        self: Arc<Self>,
        request: Request,
        attachments: Attachments,
    ) -> BoxFuture<'static, Response>;
    /// Likewise for an upgrade. Once admitted, its socket runs in a task of its
    /// own, which waits for the handshake's answer.
    fn connect(
        self: Arc<Self>,
        handshake: Handshake,
        attachments: Attachments,
        arrival: Arrival,
    ) -> BoxFuture<'static, Result<(), Refusal>>;
    fn message(self: Arc<Self>, conn: Arc<Conn>, message: Message) -> BoxFuture<'static, ()>;
    fn closed(
        self: Arc<Self>,
        connection: Connection,
        event: CloseEvent,
        error: Option<Error>,
    ) -> BoxFuture<'static, ()>;
    /// Runs the alarm. `None` when it was set anew or removed before its turn came.
    fn alarm(self: Arc<Self>) -> BoxFuture<'static, Option<Result<(), String>>>;
    fn event(&self, event: Value) -> BoxFuture<'_, ()>;
    /// Waits until the turns that run or wait now have ended.
    fn settle(&self) -> BoxFuture<'_, ()>;
    /// Takes the server out of a room that is idle. One that had none may leave
    /// memory altogether.
    fn fall_asleep(&self, now: u64) -> Sleep;
}

/// What a look at a room found.
pub(crate) enum Sleep {
    Stays,
    /// It stays without its server, which the caller drops: that can take its
    /// time, ask for anything, or panic.
    Asleep(Box<dyn Any + Send>),
    /// It may be forgotten.
    Leaves,
}

/// A party of any server.
pub(crate) trait AnyParty: Send + Sync {
    fn options(&self) -> &PartyOptions;
    fn cors(&self) -> Option<&Cors>;
    fn answer_headers(&self, uri: &Uri) -> HeaderMap;
    fn start(&self);
    fn readiness(&self) -> Readiness;
    fn before_request<'a>(
        &'a self,
        lobby: &'a Lobby,
        request: Request,
    ) -> BoxFuture<'a, Result<RequestGate, Failure>>;
    fn before_connect<'a>(
        &'a self,
        lobby: &'a Lobby,
        handshake: Handshake,
    ) -> BoxFuture<'a, Result<ConnectGate, Failure>>;
    fn room(&self, name: &str) -> Arc<dyn AnyRoom>;
    /// The same for a client, who may be a stranger: `None` for a room that is
    /// not in memory while there are too many.
    fn room_for_client(&self, name: &str) -> Option<Arc<dyn AnyRoom>>;
    fn rooms(&self) -> Vec<Arc<dyn AnyRoom>>;
    fn rooms_in_memory(&self) -> usize;
    fn rooms_started(&self) -> u64;
    fn sweep(&self);
}

/// What the rooms of a party share.
pub(crate) struct Shared<S> {
    pub(crate) factory: Box<dyn Fn() -> S + Send + Sync>,
    pub(crate) options: PartyOptions,
    pub(crate) started: AtomicU64,
    began: Instant,
}

impl<S> Shared<S> {
    pub(crate) fn millis(&self) -> u64 {
        millis_since(self.began)
    }
}

/// A party: its gate and its rooms.
pub(crate) struct Party<S> {
    name: Arc<str>,
    shared: Arc<Shared<S>>,
    gate: S,
    cors: Option<Cors>,
    props: Option<Arc<Value>>,
    rooms: DashMap<Arc<str>, Arc<RoomCell<S>>>,
    host: Arc<Host>,
}

impl<S: Server> Party<S> {
    pub(crate) fn new(
        name: Arc<str>,
        options: PartyOptions,
        factory: Box<dyn Fn() -> S + Send + Sync>,
        host: Arc<Host>,
    ) -> Self {
        let gate = factory();
        let cors = match &options.cors {
            CorsOption::Off => None,
            CorsOption::Default => Some(gate.cors()),
            CorsOption::Custom(cors) => Some(cors.clone()),
        };
        let props = options.props.clone().map(Arc::new);
        let started = AtomicU64::new(0);
        let shared = Arc::new(Shared {
            factory,
            options,
            started,
            began: Instant::now(),
        });
        Self {
            name,
            shared,
            gate,
            cors,
            props,
            rooms: DashMap::new(),
            host,
        }
    }
}

impl<S: Server> AnyParty for Party<S> {
    fn options(&self) -> &PartyOptions {
        &self.shared.options
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
    ) -> BoxFuture<'a, Result<RequestGate, Failure>> {
        let hook = Box::pin(self.gate.on_before_request(lobby, request));
        Box::pin(guarded(&self.shared.options, hook))
    }

    fn before_connect<'a>(
        &'a self,
        lobby: &'a Lobby,
        handshake: Handshake,
    ) -> BoxFuture<'a, Result<ConnectGate, Failure>> {
        let hook = Box::pin(self.gate.on_before_connect(lobby, handshake));
        Box::pin(guarded(&self.shared.options, hook))
    }

    fn room(&self, name: &str) -> Arc<dyn AnyRoom> {
        if let Some(cell) = self.rooms.get(name) {
            return Arc::clone(cell.value()) as _;
        }
        let name: Arc<str> = name.into();
        let entry = self.rooms.entry(Arc::clone(&name)).or_insert_with(|| {
            let name = RoomName {
                party: Arc::clone(&self.name),
                room: name,
            };
            let room = NativeRoom::new(name, self.props.clone(), Arc::clone(&self.host));
            let cell = Arc::new(RoomCell::new(Arc::clone(&self.shared), Arc::clone(&room)));
            let any: Arc<dyn AnyRoom> = Arc::clone(&cell) as _;
            room.bind(Arc::downgrade(&any) as Weak<dyn AnyRoom>);
            cell
        });
        Arc::clone(entry.value()) as _
    }

    fn room_for_client(&self, name: &str) -> Option<Arc<dyn AnyRoom>> {
        let is_full = self.rooms.len() >= self.shared.options.max_rooms;
        if is_full && !self.rooms.contains_key(name) {
            return None;
        }
        Some(self.room(name))
    }

    fn rooms(&self) -> Vec<Arc<dyn AnyRoom>> {
        self.rooms
            .iter()
            .map(|entry| Arc::clone(entry.value()) as _)
            .collect()
    }

    fn rooms_in_memory(&self) -> usize {
        self.rooms.len()
    }

    fn rooms_started(&self) -> u64 {
        self.shared.started.load(Ordering::Relaxed)
    }

    fn sweep(&self) {
        let now = self.shared.millis();
        let mut left: Vec<Box<dyn Any + Send>> = Vec::new();
        // Under the map's own lock nobody can be given the room meanwhile.
        self.rooms.retain(|_, cell| match cell.fall_asleep(now) {
            Sleep::Leaves if Arc::strong_count(cell) == 1 => {
                left.push(Box::new(Arc::clone(cell)));
                false
            }
            Sleep::Asleep(server) => {
                left.push(server);
                true
            }
            Sleep::Leaves | Sleep::Stays => true,
        });
        // Without the lock, because an application's own values are among it.
        for left in left {
            if let Err(panic) = std::panic::catch_unwind(AssertUnwindSafe(|| drop(left))) {
                failure::at_the_end(&*panic, &self.name);
            }
        }
    }
}

/// A before-hook, with its panics and its time limited like a turn's. It is boxed,
/// because it would be copied into each layer around it.
async fn guarded<T>(
    options: &PartyOptions,
    hook: BoxFuture<'_, Result<T, Error>>,
) -> Result<T, Failure> {
    let limit = options.turn_limit;
    let hook = AssertUnwindSafe(async { tokio::time::timeout(limit, hook).await });
    match hook.catch_unwind().await {
        Ok(Ok(outcome)) => outcome.map_err(Failure::Hook),
        Ok(Err(_)) => Err(Failure::TimedOut),
        Err(panic) => Err(Failure::from_panic(&*panic)),
    }
}
