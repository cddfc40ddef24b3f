//! The WebSocket handshake (RFC 6455 section 4.2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use partyserver::{Body, Response, Subprotocols, text};
use sha1::{Digest, Sha1};

/// Whether a request wants to be a WebSocket.
pub(crate) fn is_upgrade(headers: &HeaderMap) -> bool {
    has_token(headers, UPGRADE, "websocket")
}

/// What the answer to a good handshake carries.
pub(crate) struct Accepted {
    accept: HeaderValue,
    protocol: Option<HeaderValue>,
}

/// Checks a handshake; a bad one comes back as its refusal.
pub(crate) fn check(
    method: &Method,
    version: Version,
    headers: &HeaderMap,
    subprotocols: &Subprotocols,
) -> Result<Accepted, Box<Response>> {
    let is_known_version = headers
        .get(SEC_WEBSOCKET_VERSION)
        .is_some_and(|version| version == "13");
    if !is_known_version {
        let mut answer = text(
            StatusCode::UPGRADE_REQUIRED,
            "WebSocket version 13 is required",
        );
        answer
            .headers_mut()
            .insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        answer
            .headers_mut()
            .insert(UPGRADE, HeaderValue::from_static("websocket"));
        return Err(Box::new(answer));
    }
    let key = headers
        .get(SEC_WEBSOCKET_KEY)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    let is_key = STANDARD.decode(key).is_ok_and(|key| key.len() == 16);
    if method != Method::GET
        || version != Version::HTTP_11
        || !has_token(headers, CONNECTION, "upgrade")
        || !is_key
    {
        return Err(Box::new(text(
            StatusCode::BAD_REQUEST,
            "Bad upgrade request",
        )));
    }
    let accept = STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize());
    let accept = HeaderValue::try_from(accept)
        .map_err(|_| Box::new(text(StatusCode::BAD_REQUEST, "Bad upgrade request")))?;
    Ok(Accepted {
        accept,
        protocol: select_protocol(headers, subprotocols),
    })
}

impl Accepted {
    /// The 101.
    pub(crate) fn into_response(self) -> Response {
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = answer.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept);
        if let Some(protocol) = self.protocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        answer
    }
}

fn select_protocol(headers: &HeaderMap, subprotocols: &Subprotocols) -> Option<HeaderValue> {
    let offered: Vec<_> = elements(headers, SEC_WEBSOCKET_PROTOCOL).collect();
    HeaderValue::from_str(subprotocols.select(offered.iter().copied())?).ok()
}

fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
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

const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(changes: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ]
        .iter()
        .chain(changes)
        {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn check_with(
        method: &Method,
        version: Version,
        headers: &HeaderMap,
    ) -> Result<Accepted, Box<Response>> {
        check(method, version, headers, &Subprotocols::FirstOffered)
    }

    fn status(changes: &[(&'static str, &'static str)]) -> u16 {
        let outcome = check_with(&Method::GET, Version::HTTP_11, &headers(changes));
        outcome
            .map_or_else(|refusal| *refusal, Accepted::into_response)
            .status()
            .as_u16()
    }

    #[test]
    fn a_good_handshake_is_answered_as_in_the_rfc() {
        let answer = check_with(&Method::GET, Version::HTTP_11, &headers(&[]))
            .ok()
            .unwrap();
        let answer = answer.into_response();
        assert_eq!(
            answer.headers()[SEC_WEBSOCKET_ACCEPT],
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        assert!(!answer.headers().contains_key(SEC_WEBSOCKET_PROTOCOL));
    }

    #[test]
    fn bad_handshakes() {
        assert_eq!(status(&[]), 101);
        assert_eq!(status(&[("sec-websocket-version", "12")]), 426);
        assert_eq!(status(&[("sec-websocket-key", "short")]), 400);
        assert_eq!(status(&[("connection", "close")]), 400);
        let post = check_with(&Method::POST, Version::HTTP_11, &headers(&[]));
        assert_eq!(post.err().unwrap().status(), 400);
        let old = check_with(&Method::GET, Version::HTTP_10, &headers(&[]));
        assert_eq!(old.err().unwrap().status(), 400);
    }

    #[test]
    fn the_first_protocol_is_chosen() {
        let headers = headers(&[("sec-websocket-protocol", " chat.v2, chat.v1")]);
        let selected = select_protocol(&headers, &Subprotocols::FirstOffered);
        assert_eq!(selected.unwrap(), "chat.v2");
    }

    #[test]
    fn protocols_may_be_offered_on_several_lines() {
        let mut headers = headers(&[("sec-websocket-protocol", "chat.v2")]);
        headers.append(
            SEC_WEBSOCKET_PROTOCOL,
            HeaderValue::from_static("chat.v1, chat.v0"),
        );
        let ours = Subprotocols::FirstOf(vec!["chat.v1".into()]);
        assert_eq!(select_protocol(&headers, &ours).unwrap(), "chat.v1");
        let selected = select_protocol(&headers, &Subprotocols::FirstOffered);
        assert_eq!(selected.unwrap(), "chat.v2");
    }
}
