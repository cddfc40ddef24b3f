//! Who may use an issuer that asks for no password: programs and pages of this machine.
//!
//! A stranger's page also runs in a browser on this machine. The browser says by which
//! name the page reached the issuer (`Host`) and where the page is from (`Origin`).

use http::header::{HOST, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, Uri};

/// Whether a request was sent to a name of loopback. Any other name is DNS rebinding:
/// its owner has made it point to this machine.
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
    /// A program, or a page whose request is not cross-origin.
    None,
    /// A page of this machine.
    Own(HeaderValue),
    /// A page from elsewhere, or one that does not say where it is from.
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
