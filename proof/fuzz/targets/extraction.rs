//! Where the token of a request is found: `Authorization` headers and the query.
//!
//! The input is a URL on the first line. Each further line is the value of an
//! `Authorization` header. A NUL, which neither can contain, stands for 8 KiB of `a`,
//! so that a few bytes reach every limit.
#![no_main]

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Uri};
use libfuzzer_sys::{Corpus, fuzz_target};
use oauth2_jwt_bearer::{
    Challenge, Error, MAX_TOKEN_BYTES, QueryToken, RequestKind, extract, has_query_token,
    without_query_token,
};
use percent_encoding::percent_decode_str;

fuzz_target!(|input: &[u8]| -> Corpus {
    match Request::read(input) {
        Some(request) => {
            request.check_extraction();
            request.check_redaction();
            Corpus::Keep
        }
        None => Corpus::Reject,
    }
});

struct Request {
    uri: Uri,
    headers: HeaderMap,
    /// The values of all token parameters.
    in_query: Vec<String>,
}

impl Request {
    /// `None` for input that no HTTP parser would let through.
    fn read(input: &[u8]) -> Option<Self> {
        if input.iter().filter(|byte| **byte == 0).count() > MAX_FILLS {
            return None;
        }
        let mut filled = Vec::new();
        for byte in input {
            match byte {
                0 => filled.extend([b'a'; MAX_TOKEN_BYTES / 2]),
                byte => filled.push(*byte),
            }
        }
        let mut lines = filled.split(|byte| *byte == b'\n');
        let uri = Uri::try_from(lines.next()?).ok()?;
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(line).ok()?);
        }
        let query = uri.query().unwrap_or_default();
        let in_query = query
            .split('&')
            .map(parameter)
            .filter(|(name, _)| name == PARAMETER)
            .map(|(_, value)| value)
            .collect();
        Some(Self {
            uri,
            headers,
            in_query,
        })
    }

    /// Each outcome has its cause, and each cause has its outcome.
    fn check_extraction(&self) {
        let schemes: Vec<(String, &[u8])> = self
            .headers
            .get_all(AUTHORIZATION)
            .iter()
            .map(|value| scheme(value.as_bytes()))
            .collect();
        let is_dpop = schemes.iter().any(|(scheme, _)| scheme == "dpop");
        let bearers: Vec<&[u8]> = schemes
            .iter()
            .filter(|(scheme, _)| scheme == "bearer")
            .map(|(_, token)| *token)
            .collect();
        let has_comma = bearers.iter().any(|token| token.contains(&b','));
        for (option, kind) in OPTIONS {
            let is_read = match option {
                QueryToken::Everywhere => true,
                QueryToken::UpgradesOnly => kind == RequestKind::Upgrade,
                QueryToken::Off => false,
            };
            let in_query: Vec<&String> = self
                .in_query
                .iter()
                .filter(|value| is_read && !value.is_empty())
                .collect();
            let count = bearers.len() + in_query.len();
            let is_too_large = bearers
                .iter()
                .map(|token| token.len())
                .chain(in_query.iter().map(|value| value.len()))
                .any(|length| length > MAX_TOKEN_BYTES);
            let found = extract(&self.headers, &self.uri, kind, option);
            assert_eq!(found, extract(&self.headers, &self.uri, kind, option));
            match found {
                Ok(None) => assert!(count == 0 && !is_dpop),
                Ok(Some(token)) => {
                    assert!(count == 1 && !is_dpop && !has_comma);
                    let sent = bearers.first().map_or_else(
                        || in_query[0].clone(),
                        |token| String::from_utf8_lossy(token).into_owned(),
                    );
                    assert_eq!(token.expose(), sent);
                    assert!(!token.expose().is_empty());
                    assert!(token.expose().len() <= MAX_TOKEN_BYTES);
                    assert_eq!(format!("{token:?}"), "AccessToken(redacted)");
                }
                Err(error) => {
                    let is_right = match &error {
                        Error::MultipleMethods => count > 1 || has_comma,
                        Error::EmptyBearer => bearers.iter().any(|token| token.is_empty()),
                        // A byte that is not UTF-8 becomes three bytes.
                        Error::TooLarge => is_too_large || bearers.iter().any(grows_too_large),
                        Error::UnsupportedScheme => is_dpop,
                        _ => false,
                    };
                    assert!(is_right, "{error:?}");
                    let challenge = Challenge::new::<&str>(&error, "rooms", &[]);
                    assert!(challenge.status().is_client_error());
                    assert!(challenge.www_authenticate().is_some());
                }
            }
        }
    }

    /// The URL that is passed on has no token parameter, and keeps everything else.
    fn check_redaction(&self) {
        let redacted = without_query_token(&self.uri);
        assert!(!has_query_token(&redacted));
        assert_eq!(without_query_token(&redacted), redacted);
        let found = extract(
            &HeaderMap::new(),
            &redacted,
            RequestKind::Upgrade,
            QueryToken::Everywhere,
        );
        assert_eq!(found, Ok(None));
        if self.in_query.is_empty() {
            assert_eq!(redacted.to_string(), self.uri.to_string());
            return;
        }
        assert_eq!(redacted.scheme(), self.uri.scheme());
        assert_eq!(redacted.authority(), self.uri.authority());
        assert_eq!(redacted.path(), self.uri.path());
        let kept: Vec<&str> = self
            .uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|part| parameter(part).0 != PARAMETER)
            .collect();
        let kept = (!kept.is_empty()).then(|| kept.join("&"));
        assert_eq!(redacted.query(), kept.as_deref());
    }
}

/// The scheme in lower case, and the rest of the value.
fn scheme(value: &[u8]) -> (String, &[u8]) {
    let value = value.trim_ascii();
    let end = value.iter().position(u8::is_ascii_whitespace);
    let (scheme, rest) = value.split_at(end.unwrap_or(value.len()));
    let scheme = String::from_utf8_lossy(scheme).to_ascii_lowercase();
    (scheme, rest.trim_ascii())
}

/// Name and value of a parameter, read as in a form.
fn parameter(part: &str) -> (String, String) {
    let (name, value) = part.split_once('=').unwrap_or((part, ""));
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    (decode(name), decode(value))
}

fn grows_too_large(token: &&[u8]) -> bool {
    String::from_utf8_lossy(token).len() > MAX_TOKEN_BYTES
}

const PARAMETER: &str = "access_token";
/// Enough for two tokens that are too long.
const MAX_FILLS: usize = 4;

const OPTIONS: [(QueryToken, RequestKind); 6] = [
    (QueryToken::Everywhere, RequestKind::Http),
    (QueryToken::Everywhere, RequestKind::Upgrade),
    (QueryToken::UpgradesOnly, RequestKind::Http),
    (QueryToken::UpgradesOnly, RequestKind::Upgrade),
    (QueryToken::Off, RequestKind::Http),
    (QueryToken::Off, RequestKind::Upgrade),
];
