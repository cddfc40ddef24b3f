//! Cross-origin headers (the Fetch standard's CORS protocol).

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
    VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

/// The CORS headers of a party. They go on every HTTP answer of a matched
/// route, refusals included, and never on an upgrade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    origins: Origins,
    headers: HeaderMap,
}

/// Which origins may read answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// As the headers say; `*` by default.
    AsGiven,
    /// Only these: the request's origin is reflected when it is one of them,
    /// and answers carry `Vary: Origin`.
    Reflect(Vec<HeaderValue>),
}

impl Cors {
    /// Exactly these headers in place of the defaults.
    pub fn custom(headers: HeaderMap) -> Self {
        Self {
            origins: Origins::AsGiven,
            headers,
        }
    }

    /// The defaults for parties that need an access token. Browsers do not let `*`
    /// stand for `Authorization`, so that header is named. Scripts may also read why
    /// they were refused.
    pub fn for_bearer_tokens() -> Self {
        let mut cors = Self::default();
        let headers = &mut cors.headers;
        headers.insert(
            ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("*, Authorization"),
        );
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("WWW-Authenticate, Retry-After"),
        );
        cors
    }

    /// Allows only these origins, each as a browser sends it
    /// (`https://app.example`).
    #[must_use]
    pub fn origins(mut self, origins: impl IntoIterator<Item = HeaderValue>) -> Self {
        self.headers.remove(ACCESS_CONTROL_ALLOW_ORIGIN);
        self.origins = Origins::Reflect(origins.into_iter().collect());
        self
    }

    /// Whether a request is a preflight. A preflight is answered before authentication,
    /// with 200 and these headers alone, because browsers send it without credentials.
    pub fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
        method == Method::OPTIONS
            && headers.contains_key(ORIGIN)
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// Puts the headers on the answer to a request from this origin.
    pub fn apply(&self, origin: Option<&HeaderValue>, response: &mut HeaderMap) {
        for (name, value) in &self.headers {
            response.insert(name.clone(), value.clone());
        }
        if let Origins::Reflect(allowed) = &self.origins {
            response.append(VARY, HeaderValue::from_static("Origin"));
            if let Some(origin) = origin.filter(|origin| allowed.contains(origin)) {
                response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            }
        }
    }
}

/// PartyServer's defaults: any origin, `GET, POST, HEAD, OPTIONS`, any header,
/// a day.
impl Default for Cors {
    fn default() -> Self {
        let headers: [(HeaderName, &'static str); 4] = [
            (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, HEAD, OPTIONS"),
            (ACCESS_CONTROL_ALLOW_HEADERS, "*"),
            (ACCESS_CONTROL_MAX_AGE, "86400"),
        ];
        let headers = headers
            .into_iter()
            .map(|(name, value)| (name, HeaderValue::from_static(value)));
        Self {
            origins: Origins::AsGiven,
            headers: headers.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_listed_origin_is_reflected() {
        let listed = HeaderValue::from_static("https://app.example");
        let other = HeaderValue::from_static("https://evil.example");
        let cors = Cors::default().origins([listed.clone()]);
        for (origin, allowed) in [
            (Some(&listed), Some(&listed)),
            (Some(&other), None),
            (None, None),
        ] {
            let mut headers = HeaderMap::new();
            cors.apply(origin, &mut headers);
            assert_eq!(headers.get(ACCESS_CONTROL_ALLOW_ORIGIN), allowed);
            assert_eq!(headers[VARY], "Origin");
        }
    }
}
