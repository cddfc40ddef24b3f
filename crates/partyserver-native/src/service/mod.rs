//! The service: from a request to its room's answer.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{ORIGIN, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use http_body::Body as HttpBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::upgrade::OnUpgrade;
use partyserver::host::inbound::{content_length, too_large};
use partyserver::host::upgrade::is_upgrade;
use partyserver::host::{ending, misrouted, own};
use partyserver::router::{Route, Router};
use partyserver::{
    Body, BodyError, BoxFuture, Close, ConnectGate, Cors, Handshake, Lobby, Refusal, Request,
    RequestGate, Response, answer,
};
use tokio::sync::{Semaphore, watch};

use crate::failure;
use crate::inbound::Inbound;
use crate::limits::Limits;
use crate::party::AnyParty;
use crate::places::Places;
use crate::refused;
use crate::room::Host;
use crate::socket::Arrival;
use crate::{health, upgrade};

/// Serves parties. A `tower` service, cheap to clone: a server of its own
/// ([`serve_on`](Self::serve_on)), or mounted in an application.
///
/// In an axum router it is mounted at whole paths, because rooms see the URL as
/// the client knows it: `route_service("/parties/{*room}", service)`, and so
/// `/healthz` and `/readyz`. Then [`serve_with`](Self::serve_with) serves the
/// router.
///
/// Another HTTP server may serve it as well, if it does HTTP/1.1 upgrades with
/// hyper. What this crate's own listener sees to is then that server's part:
///
/// * time limits for heads and writes, the number of connections, and `TCP_NODELAY`;
/// * a [`PeerAddress`] for each request: without it all clients count as one, and
///   no proxy is trusted;
/// * [`AllowedHosts::These`](crate::AllowedHosts::These) where it listens on
///   loopback: what it listens on is not known here;
/// * [`shutdown`](Self::shutdown), once it has stopped.
#[derive(Clone)]
pub struct PartyService(pub(crate) Arc<Inner>);

/// The address of a request's TCP peer, among the request's extensions: for a
/// handler of the application to read, and for another server than this crate's
/// to put there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

/// The request came by a listener on loopback.
#[derive(Clone, Copy)]
pub(crate) struct OnLoopback;

pub(crate) struct Inner {
    pub(crate) host: Arc<Host>,
    pub(crate) parties: Vec<Box<dyn AnyParty>>,
    pub(crate) names: Vec<Arc<str>>,
    pub(crate) router: Router,
    pub(crate) inbound: Inbound,
    pub(crate) limits: Arc<Limits>,
    pub(crate) fallback: Fallback,
    pub(crate) rewrite: Rewrite,
    pub(crate) refused: Arc<Places>,
    /// A permit for each further connection of our own listeners.
    pub(crate) connections: Arc<Semaphore>,
    /// Those that count by their address.
    pub(crate) by_address: Arc<Places>,
    /// A permit for each further socket.
    pub(crate) sockets: Arc<Semaphore>,
    pub(crate) stopping: watch::Sender<bool>,
}

pub(crate) type Rewrite = Box<dyn Fn(&mut Parts) + Send + Sync>;
pub(crate) type Fallback = Box<dyn Fn(Request) -> BoxFuture<'static, Response> + Send + Sync>;

impl PartyService {
    /// How many rooms are in memory, awake or asleep.
    pub fn rooms_in_memory(&self) -> usize {
        self.0
            .parties
            .iter()
            .map(|party| party.rooms_in_memory())
            .sum()
    }

    /// How many times a room's server was made since the start.
    pub fn rooms_started(&self) -> u64 {
        self.0
            .parties
            .iter()
            .map(|party| party.rooms_started())
            .sum()
    }

    /// How many WebSockets are admitted now.
    pub fn sockets(&self) -> usize {
        let free = self.0.sockets.available_permits();
        self.0.limits.max_sockets_as_permits() as usize - free
    }

    /// What most requests do not come to is boxed, and so is what they all come to:
    /// each part is small enough then for the allocator to have it at hand.
    async fn answer<B>(self, request: http::Request<B>) -> Response
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let server = &self.0;
        if server.host.is_stopping() {
            return unavailable("The server is stopping");
        }
        let (mut parts, body) = request.into_parts();
        if let Some(refusal) = too_large(&parts, server.limits.max_head) {
            return refusal;
        }
        (server.rewrite)(&mut parts);
        let peer = parts
            .extensions
            .get()
            .map(|PeerAddress(peer)| peer.ip().to_canonical());
        let is_loopback = parts.extensions.get::<OnLoopback>().is_some();
        let client = match server.inbound.admit(&mut parts, peer, is_loopback) {
            Ok(client) => client,
            Err(refusal) => return *refusal,
        };
        match parts.uri.path() {
            "/healthz" => return health::health(),
            "/readyz" => return Box::pin(health::readiness(server)).await,
            _ => {}
        }
        let uri = parts.uri.clone();
        let route = server.router.route(uri.path());
        if let Some(refusal) = misrouted(&route) {
            return refusal;
        }
        let Route::Room { party, room } = route else {
            let body = limited(body, DEFAULT_MAX_BODY);
            return (server.fallback)(Request::from_parts(parts, body)).await;
        };
        let cors = server.parties[party].cors();
        let headers = server.parties[party].answer_headers(&parts.uri);
        let origin = parts.headers.get(ORIGIN).cloned();
        let mut answer = if cors.is_some() && Cors::is_preflight(&parts.method, &parts.headers) {
            Response::default()
        } else if is_upgrade(&parts.headers) {
            Box::pin(self.connect(party, room, parts, client)).await
        } else {
            let max_body = server.parties[party].options().max_body;
            let request = Request::from_parts(parts, limited(body, max_body));
            Box::pin(self.request(party, room, request)).await
        };
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            answer.headers_mut().extend(headers);
            if let Some(cors) = cors {
                cors.apply(origin.as_ref(), answer.headers_mut());
            }
        }
        answer
    }

    async fn request(&self, party: usize, room: &str, request: Request) -> Response {
        let (name, party) = (&self.0.names[party], &self.0.parties[party]);
        let max_body = party.options().max_body;
        if content_length(request.headers()).is_some_and(|length| length > max_body as u64) {
            return answer::text(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large");
        }
        let lobby = Lobby::new(Arc::clone(name), room, self.0.host.clock.now());
        let mut request = match party.before_request(&lobby, request).await {
            Ok(RequestGate::Admit(request)) => request,
            Ok(RequestGate::Answer(response)) => return response,
            Err(failure) => return failure.to_response(name, room),
        };
        if !request.body().is_whole()
            && let Err(refusal) = Box::pin(self.read_body(&mut request)).await
        {
            return *refusal;
        }
        let attachments = lobby.attachments().clone();
        match party.room_for_client(room) {
            Some(room) => room.request(request, attachments).await,
            None => unavailable(TOO_MANY_ROOMS),
        }
    }

    /// Reads the body before the room is entered: a client that sends slowly
    /// holds up nobody.
    async fn read_body(&self, request: &mut Request) -> Result<(), Box<Response>> {
        let body = std::mem::take(request.body_mut());
        let refused = |status, why: &'static str| Err(Box::new(answer::text(status, why)));
        match tokio::time::timeout(self.0.limits.body_time, body.bytes()).await {
            Ok(Ok(bytes)) => {
                *request.body_mut() = bytes.into();
                Ok(())
            }
            Ok(Err(error)) => refused(error.status(), "The request's body can't be used"),
            Err(_) => refused(
                StatusCode::REQUEST_TIMEOUT,
                "The request's body took too long",
            ),
        }
    }

    async fn connect(
        &self,
        party: usize,
        room: &str,
        mut parts: Parts,
        client: Option<IpAddr>,
    ) -> Response {
        let subprotocols = &self.0.parties[party].options().subprotocols;
        let checked = upgrade::check(&parts.method, parts.version, &parts.headers, subprotocols);
        let accepted = match checked {
            Ok(accepted) => accepted,
            Err(refusal) => return *refusal,
        };
        let Some(on_upgrade) = parts.extensions.remove::<OnUpgrade>() else {
            return answer::text(StatusCode::BAD_REQUEST, "This connection can't be upgraded");
        };
        let handshake = Handshake::from_parts(parts, ());
        let admitted = self.admit(party, room, handshake, on_upgrade.clone());
        let Err(refusal) = admitted.await else {
            return accepted.into_response();
        };
        let Some(close) = refusal.close().cloned() else {
            return refusal.into_response();
        };
        let Some(place) = self.0.refused.take(client) else {
            return refusal.into_response();
        };
        self.0.host.runtime.spawn(refused::refuse(
            on_upgrade,
            close,
            *self.0.limits,
            place,
            self.0.stopping.subscribe(),
        ));
        accepted.into_response()
    }

    async fn admit(
        &self,
        party: usize,
        room: &str,
        handshake: Handshake,
        upgrade: OnUpgrade,
    ) -> Result<(), Refusal> {
        let (name, party) = (&self.0.names[party], &self.0.parties[party]);
        let lobby = Lobby::new(Arc::clone(name), room, self.0.host.clock.now());
        let handshake = match party.before_connect(&lobby, handshake).await {
            Ok(ConnectGate::Admit(handshake)) => handshake,
            Ok(ConnectGate::Refuse(refusal)) => return Err(refusal),
            Err(failure) => return Err(failure.to_refusal(name, room)),
        };
        let place = Arc::clone(&self.0.sockets)
            .try_acquire_owned()
            .map_err(|_| at_capacity("The server is full"))?;
        let arrival = Arrival {
            upgrade,
            limits: Arc::clone(&self.0.limits),
            place,
        };
        let attachments = lobby.attachments().clone();
        let room = party.room_for_client(room);
        let room = room.ok_or_else(|| at_capacity(TOO_MANY_ROOMS))?;
        room.connect(handshake, attachments, arrival).await
    }
}

impl Inner {
    pub(crate) fn party(&self, name: &str) -> Option<&dyn AnyParty> {
        let index = self.names.iter().position(|own| **own == *name)?;
        Some(&*self.parties[index])
    }
}

impl<B> tower_service::Service<http::Request<B>> for PartyService
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        // Rooms and gates answer for their panics; the application's own answers are
        // not to break the connection either.
        let answer = AssertUnwindSafe(self.clone().answer(request)).catch_unwind();
        let host = Arc::clone(&self.0.host);
        Box::pin(answer.map(move |answer| {
            let answer = answer.unwrap_or_else(|panic| failure::outside_rooms(&*panic));
            let sleep = |time| Box::pin(tokio::time::sleep(time)) as BoxFuture<'static, ()>;
            Ok(ending(answer, move || host.clock.now(), sleep))
        }))
    }
}

fn limited<B>(body: B, max: usize) -> Body
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    if body.is_end_stream() {
        return Body::empty();
    }
    Body::stream(Limited::new(body, max).map_err(|error| {
        if error.is::<LengthLimitError>() {
            BodyError::TooLarge
        } else {
            BodyError::Interrupted(error)
        }
    }))
}

fn at_capacity(reason: &'static str) -> Refusal {
    let close = Close::new(Close::TRY_AGAIN_LATER, "try again later");
    Refusal::closing(unavailable(reason), close)
}

fn unavailable(reason: &'static str) -> Response {
    let mut answer = own(StatusCode::SERVICE_UNAVAILABLE, reason);
    answer
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("5"));
    answer
}

const TOO_MANY_ROOMS: &str = "There are too many rooms";
/// The largest body of a request that no party answers.
const DEFAULT_MAX_BODY: usize = 1024 * 1024;
