//! What hosts say by themselves.

use http::header::{CACHE_CONTROL, REFERRER_POLICY};
use http::{HeaderValue, StatusCode};

use crate::answer;
use crate::body::Body;
use crate::close::Close;
use crate::http_types::{Refusal, Response};
use crate::router::Route;

/// An answer that no party has a hand in. The URL may hold a token, and only a
/// party knows by which name: so nobody may keep the answer, and nothing that
/// follows from it tells the URL (RFC 6750 section 2.3).
pub fn own(status: StatusCode, reason: impl Into<Body>) -> Response {
    let mut answer = answer::text(status, reason);
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    answer
}

/// The answer to a path of rooms that leads to none. `None` for others.
pub fn misrouted(route: &Route<'_>) -> Option<Response> {
    match route {
        Route::UnknownParty => Some(own(StatusCode::BAD_REQUEST, "Invalid request")),
        Route::LongName => Some(own(
            StatusCode::URI_TOO_LONG,
            "The name of the room is too long",
        )),
        Route::Unmatched | Route::Room { .. } => None,
    }
}

/// What the client is told of a failure: the id that it is logged with, and
/// nothing of its cause.
pub fn failure_text(id: &str) -> String {
    format!("Internal server error ({id})")
}

/// The answer to a request whose handling failed.
pub fn failed(id: &str) -> Response {
    own(StatusCode::INTERNAL_SERVER_ERROR, failure_text(id))
}

/// The refusal of an upgrade whose handling failed.
pub fn failed_upgrade(id: &str) -> Refusal {
    let close = Close::new(Close::INTERNAL_ERROR, failure_text(id));
    Refusal::closing(failed(id), close)
}
