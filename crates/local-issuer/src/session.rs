//! The users who have signed in with a browser: names in a cookie. No password was
//! asked for, so there is nothing to protect.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use crate::encoding::base64url;
use crate::state::Inner;

/// The users who have signed in, the latest last. Names that are not users of the
/// issuer are skipped.
pub(crate) fn users<'i>(issuer: &'i Inner, headers: &HeaderMap) -> Vec<&'i String> {
    let name = cookie_name(issuer);
    let cookies = headers.get_all(COOKIE).iter();
    let mut pairs = cookies
        .filter_map(|cookies| cookies.to_str().ok())
        .flat_map(|cookies| cookies.split("; "));
    let value = pairs.find_map(|pair| pair.strip_prefix(&name)?.strip_prefix('='));
    let names = value.unwrap_or_default().split('.');
    names
        .filter_map(|name| {
            let name = URL_SAFE_NO_PAD.decode(name).ok()?;
            issuer.users.iter().find(|user| user.as_bytes() == name)
        })
        .collect()
}

/// The `Set-Cookie` header for a user who signs in, in addition to these.
pub(crate) fn cookie(issuer: &Inner, signed_in: &[&String], user: &str) -> HeaderValue {
    let others = signed_in.iter().map(|name| name.as_str());
    let names: Vec<_> = others
        .filter(|name| *name != user)
        .chain([user])
        .map(base64url)
        .collect();
    let name = cookie_name(issuer);
    let value = names.join(".");
    HeaderValue::try_from(format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax"))
        .expect("a number and base64url are ASCII")
}

/// The name contains the port, because all ports of a host share cookies.
fn cookie_name(issuer: &Inner) -> String {
    let origin = issuer.origin.as_str();
    let port = origin.rsplit(':').next().unwrap_or_default();
    format!("local-issuer-{port}")
}
