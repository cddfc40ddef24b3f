//! Who may use an issuer that asks nobody for a password: this machine's own
//! programs and pages.
//!
//! A page of a stranger runs in a browser of this machine too. The browser says
//! by which name the page reached the issuer (`Host`) and where it is from
//! (`Origin`).

use http::header::{HOST, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, Uri};

/// Whether a request was made to a name of loopback. Another name, which its
/// owner has made to lead here, is DNS rebinding.
pub(crate) fn is_addressed(request: &Parts) -> bool {
    let mut hosts = request.headers.get_all(HOST).iter().peekable();
    let is_named = hosts.peek().is_some() || request.uri.authority().is_some();
    let by_header = hosts.all(|host| {
        let host = host.to_str().ok();
        let host = host.and_then(|host| host.parse::<Authority>().ok());
        host.is_some_and(|host| is_name(host.host()))
    });
    is_named && by_header && request.uri.host().is_none_or(is_name)
}

/// Where a request came from.
pub(crate) enum Origin {
    /// A program, or a page that asks for nothing across origins.
    None,
    /// A page of this machine.
    Own(HeaderValue),
    /// A page of someone else, or one that does not say whose it is.
    Foreign,
}

pub(crate) fn origin(request: &Parts) -> Origin {
    let Some(origin) = request.headers.get(ORIGIN) else {
        return Origin::None;
    };
    let uri = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.parse::<Uri>().ok());
    if uri.is_some_and(|uri| uri.scheme().is_some() && uri.host().is_some_and(is_name)) {
        Origin::Own(origin.clone())
    } else {
        Origin::Foreign
    }
}

/// `localhost`, a name below it (RFC 6761 section 6.3) or a loopback address.
pub(crate) fn is_name(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || host
            .trim_matches(['[', ']'])
            .parse()
            .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}
