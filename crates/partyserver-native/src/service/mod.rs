//! The service: from a request to its room's answer, and from a listener to the
//! server's end.

mod front;
mod inbound;
mod refused;
mod shutdown;
mod upgrade;

use std::any::Any;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt;
use http_body::Body as HttpBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use partyserver::host::ending;
use partyserver::host::failure::failed;
use partyserver::{Body, BodyError, BoxFuture, Response};
use tokio::net::TcpListener;

use crate::failure::{panic_text, random_id};
use crate::listen::BoxError;
use crate::site::Site;

/// Serves parties. It is a `tower` service and cheap to clone. It can be a server by
/// itself ([`serve_on`](Self::serve_on)), or be mounted in an application.
///
/// In an axum router, mount it at whole paths, because rooms see the URL as the client
/// knows it: `route_service("/parties/{*room}", service)`, and the same for `/healthz`
/// and `/readyz`. Then serve the router with [`serve_with`](Self::serve_with).
///
/// Another HTTP server may serve it as well, if it does HTTP/1.1 upgrades with hyper.
/// That server must then do what this crate's own listener does:
///
/// * time limits for heads and writes, the number of connections, and `TCP_NODELAY`;
/// * a [`PeerAddress`](crate::PeerAddress) for each request: without it all clients
///   count as one, and no proxy is trusted;
/// * [`AllowedHosts::These`](crate::AllowedHosts::These) if it listens on loopback,
///   because this service does not know where it listens;
/// * a call of [`shutdown`](Self::shutdown), when it has stopped.
#[derive(Clone)]
pub struct PartyService(pub(crate) Arc<Site>);

impl PartyService {
    /// How many rooms are in memory, awake or asleep.
    pub fn rooms_in_memory(&self) -> usize {
        self.0.rooms.in_memory()
    }

    /// How many times a room's server was made since the start.
    pub fn rooms_started(&self) -> u64 {
        self.0.rooms.started()
    }

    /// How many WebSockets are admitted now.
    pub fn sockets(&self) -> usize {
        let free = self.0.sockets.available_permits();
        self.0.limits.max_sockets_as_permits() as usize - free
    }

    /// Serves on a listener until `stop` is ready, then stops gracefully.
    pub async fn serve_on(&self, listener: TcpListener, stop: impl Future<Output = ()> + Send) {
        self.serve_with(self.clone(), listener, stop).await;
    }

    /// Serves an application that this service is mounted in, for example an axum
    /// router, until `stop` is ready. Then it stops both gracefully: sockets are closed
    /// at once, and the store is closed after the last answer.
    /// The server's [`Limits`](crate::Limits) hold for all connections, and all
    /// requests have their [`PeerAddress`](crate::PeerAddress). `Host` is checked only
    /// for this service's paths.
    pub async fn serve_with<A, B>(
        &self,
        app: A,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send,
    ) where
        A: tower_service::Service<
                http::Request<Incoming>,
                Response = http::Response<B>,
                Error = Infallible,
            > + Clone
            + Send
            + 'static,
        A::Future: Send,
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let listeners = &self.0.listeners;
        listeners.serve(app, listener, stop).await;
        self.stop_within(listeners.all_ended()).await;
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
        let (head, body) = request.into_parts();
        let site = Arc::clone(&self.0);
        // Rooms and gates handle their own panics. A panic in the application's own
        // answers must not break the connection either.
        let answer = AssertUnwindSafe(async move {
            partyserver::host::front::answer(&*site, head, |max| limited(body, max)).await
        });
        let host = Arc::clone(&self.0.host);
        Box::pin(answer.catch_unwind().map(move |answer| {
            let answer = answer.unwrap_or_else(|panic| outside_rooms(&*panic));
            let sleep = |time| Box::pin(tokio::time::sleep(time)) as BoxFuture<'static, ()>;
            Ok(ending(answer, move || host.clock.now(), sleep))
        }))
    }
}

/// A body as hooks read it. It yields at most this many bytes.
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

/// The answer to a request whose handling panicked outside the rooms, for example in a
/// fallback of the application.
fn outside_rooms(panic: &(dyn Any + Send)) -> Response {
    let (id, panic) = (random_id(), panic_text(panic));
    tracing::error!(%id, panic, "answering a request outside the rooms panicked");
    failed(&id)
}
