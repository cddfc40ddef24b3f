//! The page, compiled into the program.

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, StatusCode};
use partyserver::{Request, Response, json, text};
use serde_json::{Value, json as value};

/// What the page must know to sign a user in.
#[derive(Clone, Debug)]
pub struct Page {
    /// The issuer's URL.
    pub issuer: String,
    /// The API that tokens are asked for.
    pub audience: String,
    /// The public client that the page signs in with.
    pub client_id: Option<String>,
}

impl Page {
    /// Answers everything that is no room's.
    pub(crate) fn answer(&self, request: &Request) -> Response {
        let (kind, body) = match request.uri().path() {
            "/" => (
                "text/html; charset=utf-8",
                include_str!("../page/index.html"),
            ),
            "/page.js" => (
                "text/javascript; charset=utf-8",
                include_str!("../page/page.js"),
            ),
            "/page.css" => ("text/css; charset=utf-8", include_str!("../page/page.css")),
            "/favicon.ico" => return text(StatusCode::NO_CONTENT, ""),
            "/config.json" => return self.config(),
            _ => return text(StatusCode::NOT_FOUND, "Not found"),
        };
        let mut response = Response::new(body.into());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // The code of the sign-in is in the page's URL for a moment.
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        if let Ok(policy) = HeaderValue::try_from(self.content_security_policy()) {
            headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
        response
    }

    fn config(&self) -> Response {
        let config: Value = value!({
            "issuer": self.issuer,
            "audience": self.audience,
            "clientId": self.client_id,
        });
        json(&config).unwrap_or_else(|_| text(StatusCode::INTERNAL_SERVER_ERROR, ""))
    }

    /// The page talks to its own server and to the issuer, and to nobody else.
    fn content_security_policy(&self) -> String {
        let issuer = &self.issuer;
        let host = issuer.find("://").map_or(0, |scheme| scheme + 3);
        let end = issuer[host..]
            .find('/')
            .map_or(issuer.len(), |path| host + path);
        format!(
            "default-src 'self'; connect-src 'self' {}; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'",
            &issuer[..end]
        )
    }
}
