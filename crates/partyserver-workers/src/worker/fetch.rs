//! The Worker's `fetch`, in the form in which the shim calls it.

use std::cell::Cell;
use std::rc::Rc;

use http::request::Parts;
use http::{Method, StatusCode};
use partyserver::Response;
use partyserver::host::failure::Failure;
use partyserver::host::{at_capacity, front, own};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::front::{Incoming, Known};
use super::refusal::refused;
use crate::handoff::HandOff;
use crate::platform::task::Event;
use crate::platform::{http as to_http, js};
use crate::site::{Site, misconfigured};

thread_local! {
    /// Whether the gates have been started in this isolate.
    static IS_STARTED: Cell<bool> = const { Cell::new(false) };
}

/// Answers a request to the Worker. `request` is given only if it has a body.
#[wasm_bindgen(js_name = workerFetch)]
pub fn worker_fetch(
    env: JsValue,
    method: String,
    url: String,
    headers: String,
    request: JsValue,
) -> JsValue {
    let known = Rc::new(Known::default());
    let panic_known = Rc::clone(&known);
    let answer = async move {
        let site = match started(&env) {
            Ok(site) => site,
            Err(problem) => return misconfigured(&problem),
        };
        let head = match read_head(&method, &url, &headers) {
            Ok(head) => head,
            Err(refusal) => return to_http::response(*refusal),
        };
        let incoming = Incoming::new(site, env, known);
        front::answer(&incoming, head, |max| to_http::body(&request, max)).await
    };
    Event::new(answer, move |panic| panic_known.panicked(panic)).begin()
}

/// The site, with its gates started.
fn started(env: &JsValue) -> Result<Rc<Site>, String> {
    let site = Site::of(env)?;
    if !IS_STARTED.replace(true) {
        for party in &site.parties {
            party.gate().start();
        }
    }
    Ok(site)
}

/// Reads a request's head.
///
/// # Errors
/// The refusal of a head that HTTP does not allow.
fn read_head(method: &str, url: &str, headers: &str) -> Result<Parts, Box<Response>> {
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

/// The answer to a request that the platform could not bring to its room's object.
#[wasm_bindgen(js_name = roomFailed)]
pub fn room_failed(handoff: &str, error: &str, is_transient: bool) -> JsValue {
    let (Some(site), Some(handoff)) = (Site::present(), HandOff::read(handoff)) else {
        return misconfigured("a request was handed over that this Worker did not make");
    };
    let Some(party) = site.party(&handoff.party) else {
        return misconfigured("a request was handed over to a party that is not served");
    };
    let refusal = if is_transient {
        tracing::warn!(party = %handoff.party, error, "a room's object can't be reached now");
        at_capacity("The room can't be reached now")
    } else {
        let failure = Failure::Hook(partyserver::Error::msg(error.to_owned()));
        failure.to_refusal(&js::random_id(), handoff.place())
    };
    let finish = handoff.finish(party.gate().cors());
    if handoff.is_upgrade {
        return refused(refusal, handoff.protocol.as_deref(), &finish);
    }
    to_http::response(finish.apply(refusal.into_response()))
}

/// The longest URL that `Uri` can hold.
const MAX_URL: usize = u16::MAX as usize - 1;
