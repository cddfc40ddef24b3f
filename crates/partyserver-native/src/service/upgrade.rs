//! The WebSocket handshake (RFC 6455 section 4.2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use partyserver::host::upgrade;
use partyserver::{Body, Response, Subprotocols};
use sha1::{Digest, Sha1};

/// What the answer to a good handshake contains.
pub(crate) struct Accepted {
    accept: HeaderValue,
    protocol: Option<HeaderValue>,
}

/// Checks a handshake. A bad one returns its refusal.
pub(crate) fn check(
    method: &Method,
    version: Version,
    headers: &HeaderMap,
    subprotocols: &Subprotocols,
) -> Result<Accepted, Box<Response>> {
    let protocol = upgrade::check(method, headers, subprotocols)?;
    if version != Version::HTTP_11 || !upgrade::has_token(headers, CONNECTION, "upgrade") {
        return Err(upgrade::bad());
    }
    let key = headers
        .get(SEC_WEBSOCKET_KEY)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    let accept = STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize());
    Ok(Accepted {
        accept: HeaderValue::try_from(accept).map_err(|_| upgrade::bad())?,
        protocol: protocol.and_then(|protocol| HeaderValue::try_from(protocol).ok()),
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
}
