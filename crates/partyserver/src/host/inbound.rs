//! What every host refuses or removes in a request's head.

use http::header::{CONTENT_LENGTH, FORWARDED};
use http::request::Parts;
use http::{HeaderMap, HeaderName, StatusCode};

use super::own;
use crate::http_types::Response;

/// The refusal of a head over the limit: 414 when the URL alone is over it, else 431.
/// More than [`MAX_HEADERS`] headers are too many, even when they are short.
pub fn too_large(parts: &Parts, max_head: usize) -> Option<Response> {
    let url = parts
        .uri
        .path_and_query()
        .map_or(0, |path| path.as_str().len());
    if url > max_head {
        return Some(own(StatusCode::URI_TOO_LONG, "The URL is too long"));
    }
    let headers: usize = parts
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    (url + headers > max_head || parts.headers.len() > MAX_HEADERS).then(|| {
        own(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "The headers are too large",
        )
    })
}

/// The length that a body declares. `None` when the header is missing or not a number.
pub fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Removes headers that only hosts and proxies may set, because a client may have sent
/// them.
pub fn remove_internal(headers: &mut HeaderMap) {
    let internal: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_internal(name))
        .cloned()
        .collect();
    for name in internal {
        headers.remove(name);
    }
}

fn is_internal(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("x-partykit-")
        || name.starts_with("x-partyserver-")
        || name.starts_with("x-forwarded-")
        || name == FORWARDED
}

/// How many headers a request may have.
pub const MAX_HEADERS: usize = 100;
