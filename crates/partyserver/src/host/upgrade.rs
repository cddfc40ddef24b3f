//! The WebSocket handshake: the part that is the same on every host (RFC 6455 section
//! 4.2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::answer;
use crate::http_types::Response;
use crate::options::Subprotocols;

/// Whether a request wants to be a WebSocket.
pub fn is_upgrade(headers: &HeaderMap) -> bool {
    has_token(headers, UPGRADE, "websocket")
}

/// Checks a handshake and selects its subprotocol.
///
/// # Errors
/// The refusal of a bad one: 426 for any version but 13, else 400.
pub fn check(
    method: &Method,
    headers: &HeaderMap,
    subprotocols: &Subprotocols,
) -> Result<Option<String>, Box<Response>> {
    let is_known_version = headers
        .get(SEC_WEBSOCKET_VERSION)
        .is_some_and(|version| version == "13");
    if !is_known_version {
        let mut answer = answer::text(
            StatusCode::UPGRADE_REQUIRED,
            "WebSocket version 13 is required",
        );
        let headers = answer.headers_mut();
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        return Err(Box::new(answer));
    }
    let key = headers
        .get(SEC_WEBSOCKET_KEY)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    let is_key = STANDARD.decode(key).is_ok_and(|key| key.len() == 16);
    if method != Method::GET || !is_key {
        return Err(bad());
    }
    let offered: Vec<_> = elements(headers, SEC_WEBSOCKET_PROTOCOL).collect();
    let selected = subprotocols.select(offered.iter().copied());
    Ok(selected.map(str::to_owned))
}

/// The refusal of a request that is not a valid handshake.
pub fn bad() -> Box<Response> {
    Box::new(answer::text(StatusCode::BAD_REQUEST, "Bad upgrade request"))
}

/// Whether a list header contains an element; upper and lower case are the same.
pub fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    elements(headers, name).any(|element| element.eq_ignore_ascii_case(token))
}

/// The elements of a list, which may be spread over several lines (RFC 9110
/// section 5.3).
fn elements(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(lines: &[&'static str], subprotocols: &Subprotocols) -> Option<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        for line in lines {
            headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(line));
        }
        check(&Method::GET, &headers, subprotocols).unwrap()
    }

    #[test]
    fn the_first_protocol_is_chosen() {
        let first = Subprotocols::FirstOffered;
        assert_eq!(selected(&[], &first), None);
        let selected = selected(&[" chat.v2, chat.v1"], &first);
        assert_eq!(selected.as_deref(), Some("chat.v2"));
    }

    #[test]
    fn protocols_may_be_offered_on_several_lines() {
        let lines = ["chat.v2", "chat.v1, chat.v0"];
        let ours = Subprotocols::FirstOf(vec!["chat.v1".into()]);
        assert_eq!(selected(&lines, &ours).as_deref(), Some("chat.v1"));
        let first = selected(&lines, &Subprotocols::FirstOffered);
        assert_eq!(first.as_deref(), Some("chat.v2"));
    }
}
