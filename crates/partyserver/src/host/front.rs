//! From a request's head to its answer: the one order of the steps.
//!
//! A host supplies what only it can do, as a [`Site`]. Every step and its place in the
//! order are here. No room is asked for before the party's gate has admitted the
//! request.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::request::Parts;
use http::{StatusCode, header};
use serde_json::json;

use super::answer::own;
use super::failure::{Failure, Place, failed};
use super::finish::Finish;
use super::gate::AnyGate;
use super::inbound::{content_length, remove_internal, too_large};
use super::routes::Routes;
use super::upgrade::is_upgrade;
use crate::answer;
use crate::body::{Body, BodyError};
use crate::cors::Cors;
use crate::error::Result;
use crate::http_types::{Handshake, Refusal, Request, Response};
use crate::maybe_send::{BoxFuture, MaybeSend, MaybeSync};
use crate::readiness::Readiness;
use crate::room::attachments::Attachments;
use crate::room::context::Lobby;
use crate::router::Route;
use crate::server::{ConnectGate, RequestGate};

/// The largest head in bytes, unless a host lets it be set.
pub const MAX_HEAD: usize = 64 * 1024;
/// How long a client may take to send a body, unless a host lets it be set.
pub const BODY_TIME: Duration = Duration::from_secs(30);

/// What serves requests: the part that each host implements itself.
pub trait Site: MaybeSend + MaybeSync {
    /// Who a request comes from, as far as the host can tell.
    type Client: MaybeSend;
    /// A checked upgrade: what the host needs in order to answer it.
    type Upgrade: MaybeSend;
    /// What the host answers with.
    type Answer: MaybeSend;

    /// The application's routes.
    fn routes(&self) -> &Routes;
    /// How many parties there are.
    fn parties(&self) -> usize;
    /// The gate of a party.
    fn gate(&self, party: usize) -> &dyn AnyGate;
    /// The wall clock.
    fn now(&self) -> SystemTime;
    /// A random id, for a failure.
    fn random_id(&self) -> String;
    /// The largest head in bytes.
    fn max_head(&self) -> usize {
        MAX_HEAD
    }
    /// How long a client may take to send a body.
    fn body_time(&self) -> Duration {
        BODY_TIME
    }
    /// Whether nothing is served any more.
    fn is_stopping(&self) -> bool {
        false
    }

    /// Makes the URL absolute, from the parts of the head that the host trusts.
    ///
    /// # Errors
    /// The refusal of a head that is not for this site.
    fn believe(&self, head: &mut Parts) -> Result<Self::Client, Box<Response>>;

    /// Why the host itself is not ready, apart from its parties. Asked before the
    /// parties.
    fn problems(&self) -> BoxFuture<'_, Vec<String>>;

    /// Runs a hook of a gate with a time limit. Catches its panics, if the host can.
    fn guarded<'a, T: MaybeSend + 'a>(
        &'a self,
        limit: Duration,
        hook: BoxFuture<'a, Result<T>>,
    ) -> BoxFuture<'a, Result<T, Failure>>;

    /// Waits for a body in a limited time; `None` when it took longer.
    fn timed<'a>(
        &'a self,
        limit: Duration,
        body: BoxFuture<'a, Result<Bytes, BodyError>>,
    ) -> BoxFuture<'a, Option<Result<Bytes, BodyError>>>;

    /// Called when the room of a request is known. For hosts that must answer after a
    /// panic.
    fn routed(&self, visit: &Visit) {
        let _ = visit;
    }

    /// Checks an upgrade.
    ///
    /// # Errors
    /// The refusal of a bad one.
    fn upgrade(
        &self,
        head: &mut Parts,
        client: Self::Client,
        visit: &Visit,
    ) -> Result<Self::Upgrade, Box<Response>>;

    /// Brings a request that was admitted to its room.
    fn request<'a>(
        &'a self,
        visit: &'a Visit,
        request: Request,
    ) -> BoxFuture<'a, Brought<Self::Answer>>;

    /// Brings an upgrade that was admitted to its room.
    fn connect<'a>(
        &'a self,
        visit: &'a Visit,
        handshake: Handshake,
        upgrade: Self::Upgrade,
    ) -> BoxFuture<'a, Brought<Self::Answer>>;

    /// Refuses an upgrade: by a close frame where the refusal has one and the host can.
    fn refuse(&self, refusal: Refusal, upgrade: Self::Upgrade) -> Brought<Self::Answer>;

    /// An answer in HTTP.
    fn respond(&self, answer: Response) -> Self::Answer;
}

/// A request on its way to a room.
#[derive(Debug)]
pub struct Visit {
    /// The index of the party.
    pub party: usize,
    /// What the gate is given: party, room, time, and what it attaches.
    pub lobby: Lobby,
    /// What every answer gets.
    pub finish: Finish,
}

impl Visit {
    /// Where it leads, for the log.
    pub fn place(&self) -> Place<'_> {
        Place {
            party: self.lobby.party(),
            room: self.lobby.room_name(),
        }
    }
}

/// The result of bringing a request or upgrade to its room.
#[derive(Debug)]
pub enum Brought<A> {
    /// An answer in HTTP, which still needs the party's headers.
    Answer(Response),
    /// The host's answer as it is: a 101, or an answer that the room has already
    /// finished.
    Done(A),
}

/// Answers a request. `body` makes its body, which yields at most the given number of
/// bytes.
pub async fn answer<H: Site>(
    site: &H,
    mut head: Parts,
    body: impl FnOnce(usize) -> Body + MaybeSend,
) -> H::Answer {
    if site.is_stopping() {
        return site.respond(super::answer::unavailable("The server is stopping"));
    }
    if let Some(refusal) = too_large(&head, site.max_head()) {
        return site.respond(refusal);
    }
    let client = match site.believe(&mut head) {
        Ok(client) => client,
        Err(refusal) => return site.respond(*refusal),
    };
    remove_internal(&mut head.headers);
    // The application sees the head as its hooks do: the URL is absolute, and headers
    // that only hosts and proxies may set are gone.
    site.routes().rewrite(&mut head);
    match head.uri.path() {
        "/healthz" => return site.respond(answer::text(StatusCode::OK, "ok")),
        "/readyz" => return site.respond(Box::pin(readiness(site)).await),
        _ => {}
    }
    let uri = head.uri.clone();
    let (party, room) = match site.routes().route(uri.path()) {
        Route::Room { party, room } => (party, room),
        Route::Unmatched => {
            let request = Request::from_parts(head, body(MAX_FALLBACK_BODY));
            return site.respond(site.routes().fall_back(request).await);
        }
        Route::UnknownParty => {
            return site.respond(own(StatusCode::BAD_REQUEST, "Invalid request"));
        }
        Route::LongName => {
            let refusal = own(StatusCode::URI_TOO_LONG, "The name of the room is too long");
            return site.respond(refusal);
        }
    };
    visit(site, (party, room), head, client, body).await
}

/// Answers a request whose room is known, by the same steps but those that find it. For
/// hosts that have another way to say which room it is.
pub async fn enter<H: Site>(
    site: &H,
    place: (usize, &str),
    mut head: Parts,
    client: H::Client,
    body: impl FnOnce(usize) -> Body + MaybeSend,
) -> H::Answer {
    if let Some(refusal) = too_large(&head, site.max_head()) {
        return site.respond(refusal);
    }
    remove_internal(&mut head.headers);
    visit(site, place, head, client, body).await
}

/// From the room that a request is for to its answer.
async fn visit<H: Site>(
    site: &H,
    (party, room): (usize, &str),
    head: Parts,
    client: H::Client,
    body: impl FnOnce(usize) -> Body + MaybeSend,
) -> H::Answer {
    let gate = site.gate(party);
    let headers = gate.answer_headers(&head.uri);
    let visit = Visit {
        party,
        lobby: Lobby::new(gate.name().clone(), room, site.now()),
        finish: Finish::new(gate.cors().cloned(), &head.headers, headers),
    };
    site.routed(&visit);
    // Boxed: one future with the state of both branches would be larger than the blocks
    // that the allocator has ready.
    let brought = if visit.finish.has_cors() && Cors::is_preflight(&head.method, &head.headers) {
        Brought::Answer(Response::default())
    } else if is_upgrade(&head.headers) {
        Box::pin(connect(site, &visit, head, client)).await
    } else {
        let body = body(gate.options().max_body);
        Box::pin(request(site, &visit, Request::from_parts(head, body))).await
    };
    match brought {
        Brought::Answer(answer) => site.respond(visit.finish.apply(answer)),
        Brought::Done(answer) => answer,
    }
}

async fn request<H: Site>(site: &H, visit: &Visit, mut request: Request) -> Brought<H::Answer> {
    let gate = site.gate(visit.party);
    let max_body = gate.options().max_body;
    if content_length(request.headers()).is_some_and(|length| length > max_body as u64) {
        let refusal = answer::text(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large");
        return Brought::Answer(refusal);
    }
    let lobby = &visit.lobby;
    keep(request.extensions_mut(), lobby.attachments());
    let hook = gate.before_request(lobby, request);
    let mut request = match site.guarded(gate.options().turn_limit, hook).await {
        Ok(RequestGate::Admit(request)) => request,
        Ok(RequestGate::Answer(answer)) => return Brought::Answer(answer),
        Err(failure) => {
            return Brought::Answer(failure.to_response(&site.random_id(), visit.place()));
        }
    };
    keep(request.extensions_mut(), lobby.attachments());
    if !request.body().is_whole()
        && let Err(refusal) = Box::pin(read_body(site, &mut request)).await
    {
        return Brought::Answer(*refusal);
    }
    site.request(visit, request).await
}

/// Reads the body before the request enters the room, so that a client that sends
/// slowly holds up nobody.
async fn read_body<H: Site>(site: &H, request: &mut Request) -> Result<(), Box<Response>> {
    let body = std::mem::take(request.body_mut());
    let read = site.timed(site.body_time(), Box::pin(body.bytes()));
    let (status, why) = match read.await {
        Some(Ok(bytes)) => {
            *request.body_mut() = bytes.into();
            return Ok(());
        }
        Some(Err(error)) => (error.status(), "The request's body can't be used"),
        None => (
            StatusCode::REQUEST_TIMEOUT,
            "The request's body took too long",
        ),
    };
    Err(Box::new(answer::text(status, why)))
}

async fn connect<H: Site>(
    site: &H,
    visit: &Visit,
    mut head: Parts,
    client: H::Client,
) -> Brought<H::Answer> {
    let gate = site.gate(visit.party);
    let upgrade = match site.upgrade(&mut head, client, visit) {
        Ok(upgrade) => upgrade,
        Err(refusal) => return Brought::Answer(*refusal),
    };
    let lobby = &visit.lobby;
    keep(&mut head.extensions, lobby.attachments());
    let hook = gate.before_connect(lobby, Handshake::from_parts(head, ()));
    let refusal = match site.guarded(gate.options().turn_limit, hook).await {
        Ok(ConnectGate::Admit(mut handshake)) => {
            keep(handshake.extensions_mut(), lobby.attachments());
            return site.connect(visit, handshake, upgrade).await;
        }
        Ok(ConnectGate::Refuse(refusal)) => refusal,
        Err(failure) => failure.to_refusal(&site.random_id(), visit.place()),
    };
    site.refuse(refusal, upgrade)
}

/// On every host a request carries what its gate attached; from that, hooks learn whose
/// request it is. Its other extensions reach the room on some hosts only.
fn keep(extensions: &mut http::Extensions, attachments: &Attachments) {
    let held = extensions.get::<Attachments>();
    // In place of others: what some other gate attached is not this request's.
    if !held.is_some_and(|held| held.is_same(attachments)) {
        extensions.insert(attachments.clone());
    }
}

/// 200 when the host and each party can serve, else 503 with the reasons.
async fn readiness<H: Site>(site: &H) -> Response {
    let mut reasons = site.problems().await;
    for party in 0..site.parties() {
        if let Readiness::NotReady(reason) = site.gate(party).readiness()
            && !reasons.iter().any(|held| *held == *reason)
        {
            reasons.push(reason.into_owned());
        }
    }
    let answer = answer::json(&json!({ "ready": reasons.is_empty(), "reasons": reasons }));
    let mut answer = answer.unwrap_or_else(|_| failed(&site.random_id()));
    if !reasons.is_empty() {
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    let headers = answer.headers_mut();
    headers.insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-store"),
    );
    answer
}

/// The largest body of a request that no party answers.
const MAX_FALLBACK_BODY: usize = 1024 * 1024;
