//! Refused upgrades.
//!
//! A browser does not show a page the HTTP answer to an upgrade, so most refusals are a
//! socket that is closed at once. The Worker keeps its end until the client answers. If
//! the object did that, a client could keep it awake for as long as it liked.

use partyserver::Refusal;
use partyserver::host::Finish;
use partyserver::host::front::Brought;
use wasm_bindgen::JsValue;

use crate::platform::{http as to_http, js};

/// Refuses an upgrade: by a close frame if the refusal has one, else by its HTTP
/// answer.
pub(super) fn refuse(refusal: Refusal, protocol: Option<&str>) -> Brought<JsValue> {
    let closed = refusal
        .close()
        .map(|close| js::refuse(close.code(), close.reason(), protocol));
    match closed {
        Some(Ok(answer)) => Brought::Done(answer.into()),
        Some(Err(_)) | None => Brought::Answer(refusal.into_response()),
    }
}

/// The same, in the platform's form.
pub(super) fn refused(refusal: Refusal, protocol: Option<&str>, finish: &Finish) -> JsValue {
    match refuse(refusal, protocol) {
        Brought::Answer(answer) => to_http::response(finish.apply(answer)),
        Brought::Done(answer) => answer,
    }
}
