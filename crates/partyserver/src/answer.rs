//! Answers of the usual kinds.
//!
//! ```
//! use partyserver::*;
//! use serde_json::json;
//!
//! let found = answer::json(&json!({ "members": 2 }))?;
//! let missing = answer::text(http::StatusCode::NOT_FOUND, "no such member");
//! # assert!(found.status().is_success() && missing.status().is_client_error());
//! # Ok::<(), Error>(())
//! ```

use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::body::Body;
use crate::error::Result;
use crate::http_types::Response;

/// A `text/plain` answer.
pub fn text(status: StatusCode, text: impl Into<Body>) -> Response {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

/// A 200 answer with the JSON of a value.
///
/// # Errors
/// When the value cannot be written as JSON.
pub fn json(value: &impl Serialize) -> Result<Response> {
    let mut response = Response::new(Body::json(value)?);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
