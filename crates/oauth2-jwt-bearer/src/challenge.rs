//! From an error to its wire form (RFC 6750 section 3). This is the only place for
//! that.

use std::borrow::Cow;
use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

use crate::error::Error;

/// The HTTP form of a refusal.
///
/// | error | status | `WWW-Authenticate` |
/// |---|---|---|
/// | [`Error::Missing`] | 401 | without an error code |
/// | [`Error::MultipleMethods`], [`Error::EmptyBearer`], [`Error::TooLarge`] | 400 | `invalid_request` |
/// | [`Error::Invalid`], [`Error::Expired`], [`Error::UnsupportedScheme`] | 401 | `invalid_token` |
/// | [`Error::InsufficientScope`] | 403 | `insufficient_scope`, `scope` |
/// | [`Error::Unavailable`] | 503 | none; `Retry-After` |
///
/// ```
/// use oauth2_jwt_bearer::{Challenge, Error};
/// let challenge = Challenge::new(&Error::Expired, "rooms", &[] as &[&str]);
/// assert_eq!(challenge.status(), 401);
/// assert_eq!(
///     challenge.www_authenticate().unwrap(),
///     r#"Bearer realm="rooms", error="invalid_token", error_description="the token has expired""#,
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    status: StatusCode,
    www_authenticate: Option<HeaderValue>,
    retry_after: Option<Duration>,
    text: Cow<'static, str>,
}

impl Challenge {
    /// The challenge for an error, with a realm and the required scopes.
    ///
    /// Characters that may not stand in a quoted value are left out.
    pub fn new<S: AsRef<str>>(error: &Error, realm: &str, scopes: &[S]) -> Self {
        let (status, code, text) = match error {
            Error::Missing => (StatusCode::UNAUTHORIZED, None, "Unauthorized"),
            Error::MultipleMethods => (
                StatusCode::BAD_REQUEST,
                Some("invalid_request"),
                "More than one method used for authentication",
            ),
            Error::EmptyBearer | Error::TooLarge => (
                StatusCode::BAD_REQUEST,
                Some("invalid_request"),
                "Bad Request",
            ),
            Error::UnsupportedScheme | Error::Invalid(_) | Error::Expired => (
                StatusCode::UNAUTHORIZED,
                Some("invalid_token"),
                "Unauthorized",
            ),
            Error::InsufficientScope => (
                StatusCode::FORBIDDEN,
                Some("insufficient_scope"),
                "insufficient scope",
            ),
            Error::Unavailable { retry_after } => {
                return Self {
                    status: StatusCode::SERVICE_UNAVAILABLE,
                    www_authenticate: None,
                    retry_after: Some(*retry_after),
                    text: "try again later".into(),
                };
            }
        };
        let mut header = format!("Bearer realm=\"{}\"", quotable(realm));
        if let Some(code) = code {
            let description = error.to_string();
            header += &format!(
                ", error=\"{code}\", error_description=\"{}\"",
                quotable(&description)
            );
        }
        if *error == Error::InsufficientScope {
            let scopes: Vec<&str> = scopes.iter().map(AsRef::as_ref).collect();
            header += &format!(", scope=\"{}\"", quotable(&scopes.join(" ")));
        }
        Self {
            status,
            www_authenticate: HeaderValue::try_from(header).ok(),
            retry_after: None,
            text: text.into(),
        }
    }

    /// A 403 from the application, for a token that is valid but not sufficient. The
    /// challenge has only the realm.
    pub fn forbidden(realm: &str, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            text: text.into(),
            ..Self::new::<&str>(&Error::Missing, realm, &[])
        }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The value of `WWW-Authenticate`.
    pub fn www_authenticate(&self) -> Option<&HeaderValue> {
        self.www_authenticate.as_ref()
    }

    /// The value of `Retry-After`, in whole seconds, at least 1.
    pub fn retry_after(&self) -> Option<HeaderValue> {
        let delay = self.retry_after?;
        Some(HeaderValue::from(
            delay.as_secs().max(1) + u64::from(delay.subsec_nanos() > 0 && delay.as_secs() > 0),
        ))
    }

    /// A short text for the body.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The whole answer, for any type of body that a text can become.
    pub fn to_response<B: From<&'static str> + From<String>>(&self) -> Response<B> {
        let mut response = Response::new(match &self.text {
            Cow::Borrowed(text) => B::from(*text),
            Cow::Owned(text) => B::from(text.clone()),
        });
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        if let Some(value) = &self.www_authenticate {
            headers.insert(WWW_AUTHENTICATE, value.clone());
        }
        if let Some(value) = self.retry_after() {
            headers.insert(RETRY_AFTER, value);
        }
        response
    }
}

/// The characters that RFC 6750 section 3 allows in `error_description`. They are also
/// safe in every other quoted value.
fn quotable(text: &str) -> String {
    text.chars()
        .filter(|c| matches!(c, ' '..='~') && *c != '"' && *c != '\\')
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Invalid;

    #[test]
    fn each_error_has_its_wire_form() {
        let invalid = r#"error="invalid_token""#;
        let request = r#"error="invalid_request""#;
        for (error, status, part) in [
            (Error::Missing, 401, r#"Bearer realm="rooms""#),
            (Error::MultipleMethods, 400, request),
            (Error::EmptyBearer, 400, request),
            (Error::TooLarge, 400, request),
            (Error::UnsupportedScheme, 401, invalid),
            (Invalid::Signature.into(), 401, invalid),
            (
                Error::Expired,
                401,
                r#"error_description="the token has expired""#,
            ),
            (Error::InsufficientScope, 403, r#"scope="a b""#),
        ] {
            let challenge = Challenge::new(&error, "rooms", &["a", "b"]);
            let header = challenge.www_authenticate().unwrap().to_str().unwrap();
            assert_eq!(challenge.status(), status, "{error}");
            assert!(header.contains(part), "{header}");
            assert_eq!(header.contains("error="), error != Error::Missing);
            assert_eq!(header.contains("scope="), error == Error::InsufficientScope);
            assert_eq!(challenge.retry_after(), None);
        }
        let outage = Error::Unavailable {
            retry_after: Duration::from_millis(2500),
        };
        let outage = Challenge::new(&outage, "rooms", &[] as &[&str]);
        assert_eq!(
            (outage.status().as_u16(), outage.www_authenticate()),
            (503, None)
        );
        assert_eq!(outage.retry_after().unwrap(), "3");
    }

    #[test]
    fn nothing_can_break_out_of_a_quoted_value() {
        let challenge = Challenge::new(&Error::Missing, "a\"b\\c\r\nd\u{e9}", &[] as &[&str]);
        assert_eq!(
            challenge.www_authenticate().unwrap(),
            r#"Bearer realm="abcd""#
        );
    }
}
