//! The Worker: from a request to its room's object, past the gate.
//!
//! No object is addressed before the party's gate has admitted the request.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use js_sys::Uint8Array;
use partyserver::host::inbound::{content_length, remove_internal, too_large as head_too_large};
use partyserver::host::{failed, misrouted, own, upgrade};
use partyserver::router::Route;
use partyserver::{
    Body, ConnectGate, Cors, Handshake, Lobby, Readiness, Refusal, Request, RequestGate, Response,
    answer,
};
use serde_json::json as value;
use wasm_bindgen::JsValue;

use crate::failure::Failure;
use crate::finish::Finish;
use crate::handoff::{self, HandOff};
use crate::http as to_http;
use crate::js::{self, random_id};
use crate::parties::Site;
use crate::party::{AnyParty, limited};
use crate::refusal::{refuse, try_again};
use crate::time::now;

/// A request as the platform gives it.
pub(crate) struct Incoming {
    pub(crate) site: Rc<Site>,
    pub(crate) env: JsValue,
    pub(crate) request: JsValue,
    pub(crate) head: Parts,
    pub(crate) known: Rc<Known>,
}

/// What is known of a request so far: it is answered likewise when handling it
/// panics.
#[derive(Default)]
pub(crate) struct Known {
    /// Set once it is known whose request it is.
    pub(crate) finish: OnceCell<Finish>,
    /// The party and the room, set likewise.
    pub(crate) room: OnceCell<(Arc<str>, String)>,
    /// The subprotocol, set once it is known to be a good upgrade.
    pub(crate) upgrade: OnceCell<Option<String>>,
}

/// Which object a request is for.
struct Room {
    binding: String,
    name: String,
}

/// Reads a request's head.
///
/// # Errors
/// The refusal of one that HTTP does not allow.
pub(crate) fn head(method: &str, url: &str, headers: &str) -> Result<Parts, Box<Response>> {
    if url.len() > MAX_URL {
        let refusal = own(StatusCode::URI_TOO_LONG, "The URL is too long");
        return Err(Box::new(refusal));
    }
    let bad = || Box::new(own(StatusCode::BAD_REQUEST, "Bad request"));
    let (mut head, ()) = http::Request::new(()).into_parts();
    head.method = Method::from_bytes(method.as_bytes()).map_err(|_| bad())?;
    head.uri = url.parse().map_err(|_| bad())?;
    head.headers = to_http::headers(headers);
    Ok(head)
}

impl Incoming {
    /// The platform's response.
    pub(crate) async fn answer(mut self) -> JsValue {
        if let Some(refusal) = head_too_large(&self.head, MAX_HEAD) {
            return to_http::response(refusal);
        }
        remove_internal(&mut self.head.headers);
        (self.site.rewrite)(&mut self.head);
        match self.head.uri.path() {
            "/healthz" => return to_http::response(answer::text(StatusCode::OK, "ok")),
            "/readyz" => return to_http::response(readiness(&self.site)),
            _ => {}
        }
        let path = self.head.uri.path().to_owned();
        let route = self.site.router.route(&path);
        if let Some(refusal) = misrouted(&route) {
            return to_http::response(refusal);
        }
        let Route::Room { party, room } = route else {
            return to_http::response(self.fallback().await);
        };
        let (party, binding) = (
            Rc::clone(&self.site.parties[party]),
            self.site.bindings[party].clone(),
        );
        let room = Room {
            binding,
            name: room.to_owned(),
        };
        let headers = party.answer_headers(&self.head.uri);
        let finish = Finish::new(party.cors(), &self.head.headers, headers.clone());
        // Once per request, so it is not set already.
        let _ = self.known.finish.set(finish.clone());
        let names = (Arc::clone(party.name()), room.name.clone());
        let _ = self.known.room.set(names);
        if party.cors().is_some() && Cors::is_preflight(&self.head.method, &self.head.headers) {
            return to_http::response(finish.apply(Response::default()));
        }
        let outcome = if upgrade::is_upgrade(&self.head.headers) {
            self.connect(&*party, &room, &headers, &finish).await
        } else {
            self.request(&*party, &room, &headers).await
        };
        outcome.unwrap_or_else(|refusal| to_http::response(finish.apply(*refusal)))
    }

    async fn request(
        self,
        party: &dyn AnyParty,
        room: &Room,
        answer_headers: &HeaderMap,
    ) -> Result<JsValue, Box<Response>> {
        let max_body = party.options().max_body;
        if content_length(&self.head.headers).is_some_and(|length| length > max_body as u64) {
            return Err(Box::new(too_large()));
        }
        let lobby = Lobby::new(&**party.name(), room.name.as_str(), now());
        let mut head = self.head;
        head.extensions.insert(lobby.attachments().clone());
        let request = Request::from_parts(head, to_http::body(&self.request, max_body));
        let request = match party.before_request(&lobby, request).await {
            Ok(RequestGate::Admit(request)) => request,
            Ok(RequestGate::Answer(response)) => return Err(Box::new(response)),
            Err(failure) => return Err(Box::new(failure.to_response(party.name(), &room.name))),
        };
        let (head, body) = request.into_parts();
        let body = whole(body).await?;
        let handoff = handoff::write(&head, &lobby, answer_headers, false, None);
        let handoff = handoff.map_err(|error| in_http(broken(&error.into(), party, room)))?;
        let body = (!body.is_empty()).then(|| Uint8Array::from(&body[..]));
        let Room { binding, name } = room;
        let is_safe = head.method.is_safe();
        Ok(js::hand_off(
            &self.env, binding, name, &handoff, false, None, is_safe, body,
        ))
    }

    async fn connect(
        self,
        party: &dyn AnyParty,
        room: &Room,
        answer_headers: &HeaderMap,
        finish: &Finish,
    ) -> Result<JsValue, Box<Response>> {
        let subprotocols = &party.options().subprotocols;
        let protocol = upgrade::check(&self.head.method, &self.head.headers, subprotocols)?;
        // Once per request, so it is not set already.
        let _ = self.known.upgrade.set(protocol.clone());
        let lobby = Lobby::new(&**party.name(), room.name.as_str(), now());
        let mut head = self.head;
        head.extensions.insert(lobby.attachments().clone());
        let handshake = Handshake::from_parts(head, ());
        let refused = |refusal| Ok(refuse(refusal, protocol.as_deref(), finish));
        let handshake = match party.before_connect(&lobby, handshake).await {
            Ok(ConnectGate::Admit(handshake)) => handshake,
            Ok(ConnectGate::Refuse(refusal)) => return refused(refusal),
            Err(failure) => return refused(failure.to_refusal(party.name(), &room.name)),
        };
        let (head, ()) = handshake.into_parts();
        let handoff = handoff::write(&head, &lobby, answer_headers, true, protocol.clone());
        let handoff = match handoff {
            Ok(handoff) => handoff,
            Err(error) => return refused(broken(&error.into(), party, room)),
        };
        let Room { binding, name } = room;
        Ok(js::hand_off(
            &self.env,
            binding,
            name,
            &handoff,
            true,
            protocol.as_deref(),
            true,
            None,
        ))
    }

    async fn fallback(self) -> Response {
        let body = to_http::body(&self.request, MAX_FALLBACK_BODY);
        (self.site.fallback)(Request::from_parts(self.head, body)).await
    }
}

/// The answer to a request that did not reach its room's object.
pub(crate) fn room_failed(
    site: &Site,
    handoff: &HandOff,
    error: &str,
    is_transient: bool,
) -> JsValue {
    let Some(party) = site.party(&handoff.party) else {
        return to_http::response(failed(&random_id()));
    };
    let refusal = if is_transient {
        tracing::warn!(party = %party.name(), error, "a room's object can't be reached now");
        try_again("The room can't be reached now")
    } else {
        let error = partyserver::Error::msg(error.to_owned());
        Failure::Hook(error).to_refusal(party.name(), &handoff.room)
    };
    let finish = handoff.finish(party.cors());
    if handoff.is_upgrade {
        return refuse(refusal, handoff.protocol.as_deref(), &finish);
    }
    to_http::response(finish.apply(refusal.into_response()))
}

/// The whole body of a request, read before its room is entered: a client that
/// sends slowly holds up nobody.
async fn whole(body: Body) -> Result<Bytes, Box<Response>> {
    let (status, why) = match limited(BODY_TIME, body.bytes()).await {
        Some(Ok(body)) => return Ok(body),
        Some(Err(error)) => (error.status(), "The request's body can't be used"),
        None => (
            StatusCode::REQUEST_TIMEOUT,
            "The request's body took too long",
        ),
    };
    Err(Box::new(answer::text(status, why)))
}

fn broken(error: &partyserver::Error, party: &dyn AnyParty, room: &Room) -> Refusal {
    let error = partyserver::Error::msg(error.to_string());
    Failure::Hook(error).to_refusal(party.name(), &room.name)
}

fn in_http(refusal: Refusal) -> Box<Response> {
    Box::new(refusal.into_response())
}

/// Each party can serve; else 503 with the reasons.
fn readiness(site: &Site) -> Response {
    let mut reasons = Vec::new();
    for party in &site.parties {
        // Nothing runs between requests, so a fetch that is due begins here.
        party.start();
        if let Readiness::NotReady(reason) = party.readiness()
            && !reasons.iter().any(|held| *held == *reason)
        {
            reasons.push(reason.into_owned());
        }
    }
    let answer = answer::json(&value!({ "ready": reasons.is_empty(), "reasons": reasons }));
    let mut answer = answer.unwrap_or_else(|_| failed(&random_id()));
    if !reasons.is_empty() {
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    answer
}

fn too_large() -> Response {
    answer::text(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large")
}

const MAX_HEAD: usize = 64 * 1024;
/// What `Uri` holds.
const MAX_URL: usize = u16::MAX as usize - 1;
const MAX_FALLBACK_BODY: usize = 1024 * 1024;
const BODY_TIME: Duration = Duration::from_secs(30);
