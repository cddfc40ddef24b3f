//! Refused upgrades.
//!
//! A browser sees no HTTP answer to an upgrade, so most refusals are a socket that is
//! closed at once. The Worker holds its end until the client answers; an object would
//! be kept awake by it for as long as the client likes.

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use partyserver::host::own;
use partyserver::{Body, Close, Refusal};
use wasm_bindgen::JsValue;

use crate::finish::Finish;
use crate::handoff::to_ascii;
use crate::{http as to_http, js};

/// Refuses an upgrade in the Worker: by a close frame where the refusal has one,
/// else by its HTTP answer.
pub(crate) fn refuse(refusal: Refusal, protocol: Option<&str>, finish: &Finish) -> JsValue {
    let closed = refusal
        .close()
        .map(|close| js::refuse(close.code(), close.reason(), protocol));
    match closed {
        Some(Ok(answer)) => answer.into(),
        Some(Err(_)) | None => to_http::response(finish.apply(refusal.into_response())),
    }
}

/// What an object answers so that the Worker refuses for it.
pub(crate) fn pass_on(refusal: Refusal, finish: &Finish) -> JsValue {
    let close = refusal.close().and_then(|close| {
        let text = serde_json::to_string(&(close.code(), close.reason())).ok()?;
        HeaderValue::try_from(to_ascii(text)).ok()
    });
    let mut answer = finish.apply(refusal.into_response());
    if let Some(close) = close {
        answer.headers_mut().insert(CLOSE, close);
        // Nobody would read it, and until then the object is busy.
        *answer.body_mut() = Body::empty();
    }
    to_http::response(answer)
}

/// The refusal of what may be let in soon.
pub(crate) fn try_again(reason: &'static str) -> Refusal {
    let mut answer = own(StatusCode::SERVICE_UNAVAILABLE, reason);
    answer
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("5"));
    let close = Close::new(Close::TRY_AGAIN_LATER, "try again later");
    Refusal::closing(answer, close)
}

/// Known to the shim too.
const CLOSE: &str = "x-partyserver-close";
