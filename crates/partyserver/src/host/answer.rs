//! Answers that hosts give by themselves.

use http::header::{CACHE_CONTROL, REFERRER_POLICY, RETRY_AFTER};
use http::{HeaderValue, StatusCode};

use super::closing::try_again_later;
use crate::answer;
use crate::body::Body;
use crate::close::Close;
use crate::http_types::{Refusal, Response};

/// An answer that no party takes part in. The URL may hold a token, and only a party
/// knows the name of that parameter. So nobody may cache the answer, and pages it leads
/// to are not told the URL as referrer (RFC 6750 section 2.3).
pub fn own(status: StatusCode, reason: impl Into<Body>) -> Response {
    let mut answer = answer::text(status, reason);
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    answer
}

/// The answer to a request that can be served soon, but not now.
pub fn unavailable(reason: &'static str) -> Response {
    let mut answer = own(StatusCode::SERVICE_UNAVAILABLE, reason);
    answer
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("5"));
    answer
}

/// The refusal of an upgrade that may succeed soon: no place is free, or the room can't
/// be reached.
pub fn at_capacity(reason: &'static str) -> Refusal {
    try_again(reason, try_again_later())
}

/// The same, with a close frame that says more.
pub(super) fn try_again(reason: &'static str, close: Close) -> Refusal {
    Refusal::closing(unavailable(reason), close)
}
