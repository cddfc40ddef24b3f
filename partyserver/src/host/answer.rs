//! What hosts say by themselves.

use http::StatusCode;

use crate::close::Close;
use crate::http_types::{Refusal, Response, text};

/// What the client is told of a failure: the id that it is logged with, and
/// nothing of its cause.
pub fn failure_text(id: &str) -> String {
    format!("Internal server error ({id})")
}

/// The answer to a request whose handling failed.
pub fn failed(id: &str) -> Response {
    text(StatusCode::INTERNAL_SERVER_ERROR, failure_text(id))
}

/// The refusal of an upgrade whose handling failed.
pub fn failed_upgrade(id: &str) -> Refusal {
    let close = Close::new(Close::INTERNAL_ERROR, failure_text(id));
    Refusal::closing(failed(id), close)
}
