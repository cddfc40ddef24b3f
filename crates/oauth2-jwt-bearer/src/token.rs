//! The access token of a request (RFC 6750 section 2).

use std::borrow::Cow;
use std::fmt;

use http::header::{AUTHORIZATION, CACHE_CONTROL, REFERRER_POLICY, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use zeroize::Zeroizing;

use crate::error::Error;

/// The longest token that is read, in bytes.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// A raw access token, which is a secret. It is wiped from memory when dropped, and its
/// `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken(Zeroizing<Box<str>>);

impl AccessToken {
    /// A token from its text, which may have any form.
    ///
    /// # Errors
    /// [`Error::TooLarge`] over [`MAX_TOKEN_BYTES`].
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, Error> {
        let text = Zeroizing::new(text.into());
        if text.len() > MAX_TOKEN_BYTES {
            Err(Error::TooLarge)
        } else {
            Ok(Self(text))
        }
    }

    /// The secret itself. Never log it, store it or put it in a URL.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(redacted)")
    }
}

/// Where a token may be in the query, as `access_token` (RFC 6750 section 2.3).
/// Browsers can't set headers on a WebSocket, so upgrades need it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueryToken {
    /// On upgrades and other requests.
    #[default]
    Everywhere,
    /// On upgrades alone. On other requests the parameter is not used as a token, but
    /// it is still removed from the URL.
    UpgradesOnly,
    /// Nowhere.
    Off,
}

/// What kind of request a token came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// Any request except an upgrade.
    Http,
    /// A WebSocket handshake.
    Upgrade,
}

impl RequestKind {
    /// The kind of a request. An upgrade has `Upgrade: websocket` (RFC 6455
    /// section 4.2.1), or the method `CONNECT` (RFC 8441 section 4).
    pub fn of<B>(request: &Request<B>) -> Self {
        let is_upgrade = request
            .headers()
            .get_all(UPGRADE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|protocol| protocol.trim().eq_ignore_ascii_case("websocket"));
        if is_upgrade || request.method() == Method::CONNECT {
            Self::Upgrade
        } else {
            Self::Http
        }
    }
}

/// Finds the token of a request; `None` when it carries none.
///
/// The scheme is `Bearer` in upper or lower case, followed by one or more spaces.
/// `Basic` and unknown schemes count as no token. An empty `access_token` counts as
/// absent.
///
/// # Errors
/// [`Error::MultipleMethods`], [`Error::EmptyBearer`], [`Error::TooLarge`], or
/// [`Error::UnsupportedScheme`] for `DPoP`.
///
/// # Example
/// ```
/// use oauth2_jwt_bearer::{Error, QueryToken, RequestKind, extract};
/// let mut headers = http::HeaderMap::new();
/// let uri = "/parties/chat/a".parse()?;
/// let find = |headers: &http::HeaderMap| extract(headers, &uri, RequestKind::Http, QueryToken::Everywhere);
/// assert_eq!(find(&headers), Ok(None));
/// headers.insert("authorization", "Bearer abc".parse()?);
/// assert_eq!(find(&headers)?.unwrap().expose(), "abc");
/// headers.insert("authorization", "Bearer".parse()?);
/// assert_eq!(find(&headers), Err(Error::EmptyBearer));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn extract(
    headers: &HeaderMap,
    uri: &Uri,
    kind: RequestKind,
    query: QueryToken,
) -> Result<Option<AccessToken>, Error> {
    let mut found = from_header(headers)?;
    let is_query_read = match query {
        QueryToken::Everywhere => true,
        QueryToken::UpgradesOnly => kind == RequestKind::Upgrade,
        QueryToken::Off => false,
    };
    if is_query_read {
        for value in query_tokens(uri) {
            if found.is_some() {
                return Err(Error::MultipleMethods);
            }
            found = Some(AccessToken::new(value)?);
        }
    }
    Ok(found)
}

/// Whether the query has an `access_token` parameter, empty or not.
pub fn has_query_token(uri: &Uri) -> bool {
    uri.query()
        .is_some_and(|query| query.split('&').any(is_token_parameter))
}

/// The URL without any `access_token` parameter. Every other byte is kept.
pub fn without_query_token(uri: &Uri) -> Uri {
    if !has_query_token(uri) {
        return uri.clone();
    }
    let query = uri.query().unwrap_or_default();
    let kept: Vec<&str> = query
        .split('&')
        .filter(|part| !is_token_parameter(part))
        .collect();
    let path = uri.path();
    let path_and_query = if kept.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", kept.join("&"))
    };
    let mut parts = uri.clone().into_parts();
    // Parts of a valid URI form a valid URI. If they ever do not, the path and query
    // are dropped.
    parts.path_and_query = path_and_query.parse().ok();
    Uri::from_parts(parts).unwrap_or_default()
}

/// Keeps the answer out of caches, and the URL, which has a token, out of `Referer`
/// headers (RFC 6750 section 2.3).
pub fn protect_query_token(answer: &mut HeaderMap) {
    answer.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    answer.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

fn from_header(headers: &HeaderMap) -> Result<Option<AccessToken>, Error> {
    let mut found = None;
    for value in headers.get_all(AUTHORIZATION) {
        let value = trim(value.as_bytes());
        let (scheme, rest) = match value
            .iter()
            .position(|byte| *byte == b' ' || *byte == b'\t')
        {
            Some(end) => (&value[..end], trim(&value[end..])),
            None => (value, &value[value.len()..]),
        };
        if scheme.eq_ignore_ascii_case(b"DPoP") {
            return Err(Error::UnsupportedScheme);
        }
        if !scheme.eq_ignore_ascii_case(b"Bearer") {
            continue;
        }
        if found.is_some() {
            return Err(Error::MultipleMethods);
        }
        found = Some(bearer_token(rest)?);
    }
    Ok(found)
}

fn bearer_token(rest: &[u8]) -> Result<AccessToken, Error> {
    if rest.is_empty() {
        return Err(Error::EmptyBearer);
    }
    if rest.len() > MAX_TOKEN_BYTES {
        return Err(Error::TooLarge);
    }
    // A proxy may join two headers with a comma (RFC 9110 section 5.3). A comma can't
    // be part of a token (b64token, RFC 6750 section 2.1).
    if rest.contains(&b',') {
        return Err(Error::MultipleMethods);
    }
    match std::str::from_utf8(rest) {
        Ok(text) => AccessToken::new(text),
        // This makes a token that fails to parse later.
        Err(_) => AccessToken::new(String::from_utf8_lossy(rest)),
    }
}

fn query_tokens(uri: &Uri) -> impl Iterator<Item = Cow<'_, str>> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .filter(|(name, value)| name == PARAMETER && !value.is_empty())
        .map(|(_, value)| value)
}

fn is_token_parameter(part: &str) -> bool {
    // Only the name, because the value may be long.
    let name = part.split('=').next().unwrap_or_default();
    form_urlencoded::parse(name.as_bytes()).any(|(name, _)| name == PARAMETER)
}

fn trim(value: &[u8]) -> &[u8] {
    value.trim_ascii()
}

const PARAMETER: &str = "access_token";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[&str], uri: &str, expected: Result<Option<&str>, Error>) {
        let mut map = HeaderMap::new();
        for value in headers {
            map.append(AUTHORIZATION, value.parse().unwrap());
        }
        let found = extract(
            &map,
            &uri.parse().unwrap(),
            RequestKind::Http,
            QueryToken::Everywhere,
        );
        let found = found
            .as_ref()
            .map(|token| token.as_ref().map(AccessToken::expose));
        assert_eq!(
            found,
            expected.as_ref().map(|token| *token),
            "{headers:?} {uri}"
        );
    }

    #[test]
    fn carriers() {
        check(&[], "/", Ok(None));
        check(&["Bearer abc"], "/", Ok(Some("abc")));
        check(&["bEARER   abc "], "/", Ok(Some("abc")));
        check(&["Bearer"], "/", Err(Error::EmptyBearer));
        check(&["Bearer  "], "/", Err(Error::EmptyBearer));
        check(&["Bearer"], "/?access_token=a", Err(Error::EmptyBearer));
        check(&["Bearer a", "Bearer b"], "/", Err(Error::MultipleMethods));
        check(&["Bearer a, Bearer b"], "/", Err(Error::MultipleMethods));
        check(
            &["Bearer a"],
            "/?access_token=b",
            Err(Error::MultipleMethods),
        );
        check(
            &["Bearer a"],
            "/?access_token=a",
            Err(Error::MultipleMethods),
        );
        check(
            &[],
            "/?access_token=a&access_token=b",
            Err(Error::MultipleMethods),
        );
        check(&[], "/?access%5Ftoken=a&x=1", Ok(Some("a")));
        check(&[], "/?access_token=", Ok(None));
        check(&["Bearer a"], "/?access_token=", Ok(Some("a")));
        check(&["Basic Zm9v"], "/", Ok(None));
        check(&["Basic Zm9v"], "/?access_token=a", Ok(Some("a")));
        check(&["DPoP abc"], "/", Err(Error::UnsupportedScheme));
        check(
            &["Bearer abc", "DPoP abc"],
            "/",
            Err(Error::UnsupportedScheme),
        );
        check(&["BearerX abc"], "/", Ok(None));
    }

    #[test]
    fn a_long_token_is_refused_before_anything_else() {
        let fits = format!("Bearer {}", "a".repeat(MAX_TOKEN_BYTES));
        check(&[&fits], "/", Ok(Some(&"a".repeat(MAX_TOKEN_BYTES))));
        let long = format!("Bearer {}", "a".repeat(MAX_TOKEN_BYTES + 1));
        check(&[&long], "/", Err(Error::TooLarge));
        let long = format!("/?access_token={}", "a".repeat(MAX_TOKEN_BYTES + 1));
        check(&[], &long, Err(Error::TooLarge));
    }

    #[test]
    fn the_query_option_holds() {
        let uri: Uri = "/?access_token=a".parse().unwrap();
        let none = HeaderMap::new();
        for (query, kind, is_found) in [
            (QueryToken::UpgradesOnly, RequestKind::Http, false),
            (QueryToken::UpgradesOnly, RequestKind::Upgrade, true),
            (QueryToken::Off, RequestKind::Upgrade, false),
        ] {
            assert_eq!(
                extract(&none, &uri, kind, query).unwrap().is_some(),
                is_found
            );
        }
    }

    #[test]
    fn an_upgrade_is_told_by_its_header_or_its_method() {
        let request = |method: &str, upgrade: &str| {
            let request = Request::builder().method(method).header(UPGRADE, upgrade);
            RequestKind::of(&request.body(()).unwrap())
        };
        assert_eq!(request("GET", "WebSocket"), RequestKind::Upgrade);
        assert_eq!(request("GET", "h2c, websocket"), RequestKind::Upgrade);
        assert_eq!(request("CONNECT", ""), RequestKind::Upgrade);
        assert_eq!(request("GET", "h2c"), RequestKind::Http);
    }

    #[test]
    fn the_url_loses_the_token_and_nothing_else() {
        for (uri, redacted) in [
            ("/a?access_token=s", "/a"),
            ("/a?x=%20&access_token=s&y", "/a?x=%20&y"),
            ("/a?%61ccess_token=s&_pk=1", "/a?_pk=1"),
            ("/a?access_token=s&access_token=t", "/a"),
            ("/a?my_access_token=s", "/a?my_access_token=s"),
            ("http://h:1/a?access_token=s&b=1", "http://h:1/a?b=1"),
            ("/a?", "/a?"),
        ] {
            assert_eq!(
                without_query_token(&uri.parse().unwrap()).to_string(),
                redacted
            );
        }
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(
            format!("{:?}", AccessToken::new("s3cret")),
            "Ok(AccessToken(redacted))"
        );
    }
}
