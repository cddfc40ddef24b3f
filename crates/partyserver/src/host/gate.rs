//! A party's gate, with the party's options. It decides at the router, before any room
//! is involved.

use std::sync::Arc;

use http::{HeaderMap, Uri};

use crate::cors::Cors;
use crate::error::Result;
use crate::http_types::{Handshake, Request};
use crate::maybe_send::{BoxFuture, MaybeSend, MaybeSync};
use crate::options::{CorsOption, PartyOptions};
use crate::readiness::Readiness;
use crate::room::context::Lobby;
use crate::server::{ConnectGate, RequestGate, Server};

/// The gate of a party of any server.
pub trait AnyGate: MaybeSend + MaybeSync {
    /// The party's name, in kebab-case.
    fn name(&self) -> &Arc<str>;
    /// The party's options.
    fn options(&self) -> &PartyOptions;
    /// The CORS headers that the party sends.
    fn cors(&self) -> Option<&Arc<Cors>>;
    /// What goes on every answer to a request for this URL.
    fn answer_headers(&self, uri: &Uri) -> HeaderMap;
    /// Begins the party's work in the background.
    fn start(&self);
    /// Whether the party can serve.
    fn readiness(&self) -> Readiness;
    /// Decides on a request.
    fn before_request<'a>(
        &'a self,
        lobby: &'a Lobby,
        request: Request,
    ) -> BoxFuture<'a, Result<RequestGate>>;
    /// Decides on an upgrade.
    fn before_connect<'a>(
        &'a self,
        lobby: &'a Lobby,
        handshake: Handshake,
    ) -> BoxFuture<'a, Result<ConnectGate>>;
}

/// The gate of one server's party: a value of the server's type that belongs to no
/// room.
#[derive(Debug)]
pub struct Gate<S> {
    name: Arc<str>,
    options: PartyOptions,
    cors: Option<Arc<Cors>>,
    server: S,
}

impl<S: Server> Gate<S> {
    /// The gate of a party.
    pub fn new(name: Arc<str>, options: PartyOptions, server: S) -> Self {
        let cors = match &options.cors {
            CorsOption::Off => None,
            CorsOption::Default => Some(server.cors()),
            CorsOption::Custom(cors) => Some(cors.clone()),
        };
        Self {
            name,
            options,
            cors: cors.map(Arc::new),
            server,
        }
    }
}

impl<S: Server> AnyGate for Gate<S> {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn options(&self) -> &PartyOptions {
        &self.options
    }

    fn cors(&self) -> Option<&Arc<Cors>> {
        self.cors.as_ref()
    }

    fn answer_headers(&self, uri: &Uri) -> HeaderMap {
        self.server.answer_headers(uri)
    }

    fn start(&self) {
        self.server.on_party_start();
    }

    fn readiness(&self) -> Readiness {
        self.server.readiness()
    }

    fn before_request<'a>(
        &'a self,
        lobby: &'a Lobby,
        request: Request,
    ) -> BoxFuture<'a, Result<RequestGate>> {
        Box::pin(self.server.on_before_request(lobby, request))
    }

    fn before_connect<'a>(
        &'a self,
        lobby: &'a Lobby,
        handshake: Handshake,
    ) -> BoxFuture<'a, Result<ConnectGate>> {
        Box::pin(self.server.on_before_connect(lobby, handshake))
    }
}
