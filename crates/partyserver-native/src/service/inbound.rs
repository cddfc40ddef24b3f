//! Which parts of a request are trusted, and which are not.

use std::net::IpAddr;

use http::header::HOST;
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, StatusCode, Uri};
use partyserver::Response;
use partyserver::host::own;

use crate::trust::Trust;

/// Makes the URI absolute, from the trusted parts of the head, and finds the client's
/// address.
///
/// # Errors
/// The refusal of a `Host` that is missing, malformed (400) or not allowed (421).
pub(crate) fn admit(
    trust: &Trust,
    parts: &mut Parts,
    peer: Option<IpAddr>,
    is_loopback: bool,
) -> Result<Option<IpAddr>, Box<Response>> {
    let is_trusted = peer.is_some_and(|peer| trust.is_proxy(peer));
    let forwarded = if is_trusted {
        Forwarded::read(&parts.headers)
    } else {
        Forwarded::default()
    };
    let is_https = forwarded
        .proto
        .is_some_and(|proto| proto.eq_ignore_ascii_case("https"));
    let scheme = if is_https {
        Scheme::HTTPS
    } else {
        Scheme::HTTP
    };
    let client = forwarded.client.or(peer);
    let host = match &forwarded.host {
        Some(host) => Some(host.as_bytes()),
        None => match parts.headers.get(HOST) {
            Some(host) => Some(host.as_bytes()),
            None => parts.uri.authority().map(|host| host.as_str().as_bytes()),
        },
    };
    let bad = || Box::new(own(StatusCode::BAD_REQUEST, "Bad Host header"));
    // Two `Host` headers are refused, because a proxy may have checked the other one
    // (RFC 9112 section 3.2).
    if parts.headers.get_all(HOST).iter().count() > 1 {
        return Err(bad());
    }
    let authority = host.and_then(|host| Authority::try_from(host).ok());
    let authority = authority.ok_or_else(bad)?;
    if authority.as_str().contains('@') {
        return Err(bad());
    }
    if !trust.allows(authority.host(), is_loopback) {
        let refusal = own(
            StatusCode::MISDIRECTED_REQUEST,
            "This host is not served here",
        );
        return Err(Box::new(refusal));
    }
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    uri.scheme = Some(scheme);
    uri.authority = Some(authority);
    uri.path_and_query
        .get_or_insert_with(|| PathAndQuery::from_static("/"));
    parts.uri = Uri::from_parts(uri).map_err(|_| bad())?;
    Ok(client)
}

/// What a proxy says about the request that it passes on: `Forwarded` (RFC 7239) if
/// present, else the older headers.
#[derive(Default)]
struct Forwarded {
    client: Option<IpAddr>,
    proto: Option<String>,
    host: Option<String>,
}

impl Forwarded {
    fn read(headers: &HeaderMap) -> Self {
        // If there are several elements, the trusted proxy wrote the last.
        let last = |name: &str| {
            let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
            value
                .rsplit(',')
                .next()
                .map(|value| value.trim().to_owned())
        };
        let Some(element) = last("forwarded") else {
            return Self {
                client: last("x-forwarded-for").and_then(|address| parse_address(&address)),
                proto: last("x-forwarded-proto"),
                host: last("x-forwarded-host"),
            };
        };
        let pair = |name: &str| {
            element.split(';').find_map(|pair| {
                let (own, value) = pair.split_once('=')?;
                own.trim()
                    .eq_ignore_ascii_case(name)
                    .then(|| value.trim().trim_matches('"').to_owned())
            })
        };
        Self {
            client: pair("for").and_then(|address| parse_address(&address)),
            proto: pair("proto"),
            host: pair("host"),
        }
    }
}

/// An address with or without a port. IPv6 is in brackets (RFC 7239 section 6).
fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse()
        .ok()
        .or_else(|| Some(text.parse::<std::net::SocketAddr>().ok()?.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::AllowedHosts;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn admitted(trust: &Trust, headers: &[(&str, &str)]) -> Result<(String, String), u16> {
        let mut request = http::Request::get("/parties/chat/a?x=1");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        match admit(trust, &mut parts, Some(PEER), true) {
            Ok(client) => Ok((parts.uri.to_string(), client.unwrap().to_string())),
            Err(refusal) => Err(refusal.status().as_u16()),
        }
    }

    #[test]
    fn hosts() {
        let loopback = Trust::default();
        for (host, expected) in [
            ("localhost:8787", None),
            ("127.0.0.1:8787", None),
            ("[::1]:8787", None),
            ("app.localhost", None),
            ("evil.example", Some(421)),
            ("localhost.evil.example", Some(421)),
            ("127.0.0.1.evil.example", Some(421)),
            ("user@localhost", Some(400)),
            ("a b", Some(400)),
            ("", Some(400)),
        ] {
            assert_eq!(
                admitted(&loopback, &[("host", host)]).err(),
                expected,
                "{host}"
            );
        }
        assert_eq!(admitted(&loopback, &[]), Err(400));
        let two = [("host", "localhost"), ("host", "localhost")];
        assert_eq!(admitted(&loopback, &two), Err(400));
        let any = Trust {
            hosts: AllowedHosts::Any,
            ..Trust::default()
        };
        assert!(admitted(&any, &[("host", "evil.example")]).is_ok());
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let headers = [
            ("host", "localhost:1"),
            ("x-forwarded-host", "rooms.localhost"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-for", "6.6.6.6, 203.0.113.9"),
        ];
        let untrusted = admitted(&Trust::default(), &headers).unwrap();
        assert_eq!(untrusted.0, "http://localhost:1/parties/chat/a?x=1");
        assert_eq!(untrusted.1, "127.0.0.1");
        let trusting = Trust {
            proxies: vec![PEER],
            ..Trust::default()
        };
        let trusted = admitted(&trusting, &headers).unwrap();
        assert_eq!(trusted.0, "https://rooms.localhost/parties/chat/a?x=1");
        assert_eq!(trusted.1, "203.0.113.9");
    }

    #[test]
    fn the_standard_header_goes_before_the_older_ones() {
        let trusting = Trust {
            proxies: vec![PEER],
            ..Trust::default()
        };
        let standard =
            r#"for=6.6.6.6, for="[2001:db8::1]:4711";proto=https;host="a.localhost:8443""#;
        let headers = [
            ("host", "localhost"),
            ("forwarded", standard),
            ("x-forwarded-for", "6.6.6.6"),
        ];
        let trusted = admitted(&trusting, &headers).unwrap();
        assert_eq!(trusted.0, "https://a.localhost:8443/parties/chat/a?x=1");
        assert_eq!(trusted.1, "2001:db8::1");
        let untrusted = admitted(&Trust::default(), &headers).unwrap();
        assert_eq!(
            untrusted,
            (
                "http://localhost/parties/chat/a?x=1".into(),
                "127.0.0.1".into()
            )
        );
    }
}
