//! What the core needs from this host to serve a request.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::FutureExt;
use http::StatusCode;
use http::request::Parts;
use hyper::upgrade::OnUpgrade;
use partyserver::host::OnLoopback;
use partyserver::host::failure::Failure;
use partyserver::host::front::{self, Brought, Visit};
use partyserver::host::gate::AnyGate;
use partyserver::host::routes::Routes;
use partyserver::host::{at_capacity, unavailable};
use partyserver::{
    BodyError, BoxFuture, Handshake, PeerAddress, Refusal, Request, Response, Result, answer,
};

use super::upgrade::Accepted;
use super::{inbound, refused, upgrade};
use crate::failure;
use crate::site::Site;
use crate::socket::{self, Arrival, Start};

/// An upgrade that passed its checks.
pub(crate) struct Upgrade {
    accepted: Accepted,
    on_upgrade: OnUpgrade,
    client: Option<IpAddr>,
}

impl front::Site for Site {
    type Client = Option<IpAddr>;
    type Upgrade = Upgrade;
    type Answer = Response;

    fn routes(&self) -> &Routes {
        &self.routes
    }

    fn parties(&self) -> usize {
        self.gates.len()
    }

    fn gate(&self, party: usize) -> &dyn AnyGate {
        &*self.gates[party]
    }

    fn now(&self) -> SystemTime {
        self.host.clock.now()
    }

    fn random_id(&self) -> String {
        failure::random_id()
    }

    fn max_head(&self) -> usize {
        self.limits.max_head
    }

    fn body_time(&self) -> Duration {
        self.limits.body_time
    }

    fn is_stopping(&self) -> bool {
        self.host.stop.has_begun()
    }

    fn believe(&self, head: &mut Parts) -> Result<Option<IpAddr>, Box<Response>> {
        let peer = head.extensions.get();
        let peer = peer.map(|PeerAddress(peer)| peer.ip().to_canonical());
        let is_loopback = head.extensions.get::<OnLoopback>().is_some();
        inbound::admit(&self.trust, head, peer, is_loopback)
    }

    fn problems(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async {
            let checked = self.host.store.check().await;
            checked.err().iter().map(ToString::to_string).collect()
        })
    }

    fn guarded<'a, T: Send + 'a>(
        &'a self,
        limit: Duration,
        hook: BoxFuture<'a, Result<T>>,
    ) -> BoxFuture<'a, Result<T, Failure>> {
        let hook = AssertUnwindSafe(async move { tokio::time::timeout(limit, hook).await });
        Box::pin(hook.catch_unwind().map(|outcome| match outcome {
            Ok(Ok(outcome)) => outcome.map_err(Failure::Hook),
            Ok(Err(_)) => Err(Failure::TimedOut),
            Err(panic) => Err(failure::of_panic(&*panic)),
        }))
    }

    fn timed<'a>(
        &'a self,
        limit: Duration,
        body: BoxFuture<'a, Result<Bytes, BodyError>>,
    ) -> BoxFuture<'a, Option<Result<Bytes, BodyError>>> {
        Box::pin(async move { tokio::time::timeout(limit, body).await.ok() })
    }

    fn upgrade(
        &self,
        head: &mut Parts,
        client: Option<IpAddr>,
        visit: &Visit,
    ) -> Result<Upgrade, Box<Response>> {
        let subprotocols = &self.gate(visit.party).options().subprotocols;
        let accepted = upgrade::check(&head.method, head.version, &head.headers, subprotocols)?;
        let Some(on_upgrade) = head.extensions.remove() else {
            let refusal = "This connection can't be upgraded";
            return Err(Box::new(answer::text(StatusCode::BAD_REQUEST, refusal)));
        };
        Ok(Upgrade {
            accepted,
            on_upgrade,
            client,
        })
    }

    fn request<'a>(
        &'a self,
        visit: &'a Visit,
        request: Request,
    ) -> BoxFuture<'a, Brought<Response>> {
        let lobby = &visit.lobby;
        let Some(room) = self.rooms.for_client(visit.party, lobby.room_name()) else {
            let refusal = unavailable(TOO_MANY_ROOMS);
            return Box::pin(std::future::ready(Brought::Answer(refusal)));
        };
        let answer = room.request(request, lobby.attachments().clone());
        Box::pin(answer.map(Brought::Answer))
    }

    fn connect<'a>(
        &'a self,
        visit: &'a Visit,
        handshake: Handshake,
        upgrade: Upgrade,
    ) -> BoxFuture<'a, Brought<Response>> {
        Box::pin(async move {
            let joined = self.join(visit, handshake, upgrade.on_upgrade.clone());
            match joined.await {
                Ok(()) => Brought::Done(upgrade.accepted.into_response()),
                Err(refusal) => self.refuse(*refusal, upgrade),
            }
        })
    }

    fn refuse(&self, refusal: Refusal, upgrade: Upgrade) -> Brought<Response> {
        let Some(close) = refusal.close().cloned() else {
            return Brought::Answer(refusal.into_response());
        };
        let Some(place) = self.refused.take(upgrade.client) else {
            return Brought::Answer(refusal.into_response());
        };
        self.host.runtime.spawn(refused::refuse(
            upgrade.on_upgrade,
            close,
            *self.limits,
            place,
            self.host.stop.clone(),
        ));
        Brought::Done(upgrade.accepted.into_response())
    }

    fn respond(&self, answer: Response) -> Response {
        answer
    }
}

impl Site {
    /// Brings an upgrade into its room, if a place is free.
    async fn join(
        &self,
        visit: &Visit,
        handshake: Handshake,
        upgrade: OnUpgrade,
    ) -> Result<(), Box<Refusal>> {
        let place = Arc::clone(&self.sockets).try_acquire_owned();
        let place = place.map_err(|_| Box::new(at_capacity("The server is full")))?;
        let arrival = Arrival {
            upgrade,
            limits: Arc::clone(&self.limits),
            stop: self.host.stop.clone(),
            place,
        };
        let runtime = self.host.runtime.clone();
        let start: Start = Box::new(move |conn, room| {
            runtime.spawn(socket::run(arrival, conn, room));
        });
        let lobby = &visit.lobby;
        let room = self.rooms.for_client(visit.party, lobby.room_name());
        let room = room.ok_or_else(|| Box::new(at_capacity(TOO_MANY_ROOMS)))?;
        let attachments = lobby.attachments().clone();
        room.connect(handshake, attachments, start).await
    }
}

const TOO_MANY_ROOMS: &str = "There are too many rooms";
