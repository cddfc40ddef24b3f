//! The page, compiled into the program.

use agents_oauth2_jwt_bearer::ConfigError;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Method, StatusCode};
use partyserver::{Body, Request, Response, answer};
use serde_json::json as value;

/// What the page needs in order to sign a user in.
#[derive(Clone, Debug)]
pub struct Page {
    issuer: String,
    audience: String,
    client_id: Option<String>,
    scope: String,
    origins: Vec<String>,
}

impl Page {
    /// A page for this issuer. It asks for tokens for this API, with the scope
    /// `openid`. Until a client is set, users paste a token.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            audience: audience.into(),
            client_id: None,
            scope: "openid".into(),
            origins: Vec::new(),
        }
    }

    /// The public client that the page signs in with.
    #[must_use]
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// A page from variables. `OIDC_ISSUER_URL` and `OIDC_AUDIENCE` are checked by
    /// `AuthOptions`. `OIDC_CLIENT_ID` is the client. `OIDC_SCOPE` is the scope to ask
    /// for instead of `openid`, separated by spaces. `OIDC_ORIGINS` lists the origins
    /// of the issuer's endpoints if they are not at its own, separated by spaces. An
    /// empty value counts as absent.
    ///
    /// # Errors
    /// When an origin is not valid. Origins are part of the page's content security
    /// policy.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let variable = |name| variable(name).filter(|value| !value.is_empty());
        let needed = |name| variable(name).unwrap_or_default();
        let mut page = Self::new(needed("OIDC_ISSUER_URL"), needed("OIDC_AUDIENCE"));
        page.client_id = variable("OIDC_CLIENT_ID");
        page.scope = variable("OIDC_SCOPE").unwrap_or(page.scope);
        for origin in needed(ORIGINS).split_whitespace() {
            if !is_origin(origin) {
                let problem = format!("{origin:?} is not an origin such as https://login.example");
                return Err(ConfigError::new(ORIGINS, problem));
            }
            page.origins.push(origin.to_owned());
        }
        Ok(page)
    }

    /// Answers every request that is not for a room.
    pub(crate) fn answer(&self, request: &Request) -> Response {
        let path = request.uri().path();
        let (kind, body) = match FILES.iter().find(|(name, ..)| *name == path) {
            Some((_, kind, body)) => (*kind, Body::from(*body)),
            None if path == "/config.json" => ("application/json", self.config()),
            None if path == "/favicon.ico" => return answer::text(StatusCode::NO_CONTENT, ""),
            None => return answer::text(StatusCode::NOT_FOUND, "Not found"),
        };
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut refusal = answer::text(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed");
            let allowed = HeaderValue::from_static("GET, HEAD");
            refusal.headers_mut().insert(ALLOW, allowed);
            return refusal;
        }
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // For a moment, the sign-in's code is in the page's URL.
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        if let Ok(policy) = HeaderValue::try_from(self.content_security_policy()) {
            headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
        response
    }

    fn config(&self) -> Body {
        let config = value!({
            "issuer": self.issuer,
            "audience": self.audience,
            "clientId": self.client_id,
            "scope": self.scope,
        });
        config.to_string().into()
    }

    /// The page runs only its own files, and connects only to its own server and to the
    /// issuer. To renew a token it loads the issuer in a frame, and the issuer sends
    /// the frame back to the page.
    fn content_security_policy(&self) -> String {
        let mut issuer = origin(&self.issuer).to_owned();
        for origin in &self.origins {
            issuer = issuer + " " + origin;
        }
        format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
             connect-src 'self' {issuer}; frame-src 'self' {issuer}; frame-ancestors 'self'; \
             base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
        )
    }
}

/// The scheme and authority of a URL.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |scheme| scheme + 3);
    let end = url[host..].find('/').map_or(url.len(), |path| host + path);
    &url[..end]
}

/// Whether a text is an origin, https or on loopback, and contains nothing that could
/// leave its place in the policy.
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else {
        return false;
    };
    let is_host = !host.is_empty()
        && host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c));
    let is_loopback = ["localhost", "127.0.0.1", "[::1]"].iter().any(|name| {
        host.strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    });
    is_host && (scheme == "https" || scheme == "http" && is_loopback)
}

const ORIGINS: &str = "OIDC_ORIGINS";
const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Path, type and content of each file.
const FILES: [(&str, &str, &str); 11] = [
    ("/", HTML, include_str!("../page/index.html")),
    ("/page.css", CSS, include_str!("../page/page.css")),
    ("/icon.svg", SVG, include_str!("../page/icon.svg")),
    ("/page.js", SCRIPT, include_str!("../page/page.js")),
    ("/session.js", SCRIPT, include_str!("../page/session.js")),
    (
        "/connection.js",
        SCRIPT,
        include_str!("../page/connection.js"),
    ),
    ("/refusals.js", SCRIPT, include_str!("../page/refusals.js")),
    ("/messages.js", SCRIPT, include_str!("../page/messages.js")),
    ("/panel.js", SCRIPT, include_str!("../page/panel.js")),
    ("/rooms.js", SCRIPT, include_str!("../page/rooms.js")),
    ("/trouble.js", SCRIPT, include_str!("../page/trouble.js")),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(method: Method, path: &str) -> Response {
        answer_of(
            &Page::new("https://id.example/tenant/", "rooms"),
            method,
            path,
        )
    }

    fn answer_of(page: &Page, method: Method, path: &str) -> Response {
        let request = http::Request::builder().method(method).uri(path);
        page.answer(&request.body(Body::empty()).unwrap())
    }

    #[test]
    fn the_policy_admits_own_files_and_the_issuers_origin_alone() {
        for path in FILES
            .map(|(path, ..)| path)
            .into_iter()
            .chain(["/config.json"])
        {
            let answer = answer(Method::GET, path);
            let policy = answer.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"));
            assert!(
                policy.contains("connect-src 'self' https://id.example;"),
                "{policy}"
            );
            assert!(
                !policy.contains("unsafe") && !policy.contains("tenant"),
                "{policy}"
            );
            assert_eq!(answer.headers()[REFERRER_POLICY], "no-referrer");
        }
    }

    fn origins(origins: &'static str) -> Result<Page, ConfigError> {
        Page::from_variables(|name| match name {
            "OIDC_ISSUER_URL" => Some("https://id.example".into()),
            "OIDC_ORIGINS" => Some(origins.into()),
            _ => None,
        })
    }

    #[test]
    fn further_origins_of_the_issuer_are_admitted_where_they_are_named() {
        let page = origins("https://login.example  http://127.0.0.1:9000").unwrap();
        let answer = answer_of(&page, Method::GET, "/");
        let policy = answer.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        let issuer = "https://id.example https://login.example http://127.0.0.1:9000;";
        assert!(
            policy.contains(&format!("connect-src 'self' {issuer}")),
            "{policy}"
        );
        assert!(
            policy.contains(&format!("frame-src 'self' {issuer}")),
            "{policy}"
        );
    }

    #[test]
    fn nothing_but_an_origin_gets_into_the_policy() {
        for wrong in [
            "https://a.example;script-src",
            "https://a.example/path",
            "https://user@a.example",
            "https://",
            "http://a.example",
            "http://localhost.a.example",
            "'unsafe-inline'",
            "https:",
            "*",
        ] {
            let error = origins(wrong).unwrap_err();
            assert_eq!(error.setting(), "OIDC_ORIGINS", "{wrong}");
        }
    }

    #[test]
    fn each_file_that_another_names_is_served() {
        for (path, kind, body) in FILES {
            let names: Vec<_> = match kind {
                HTML => body
                    .split(['"'])
                    .filter(|part| {
                        part.ends_with(".js") || part.ends_with(".css") || part.ends_with(".svg")
                    })
                    .collect(),
                SCRIPT => body
                    .split('\'')
                    .filter_map(|part| part.strip_prefix("./"))
                    .collect(),
                _ => continue,
            };
            assert!(path != "/" || names.len() > 2);
            for name in names {
                let path = format!("/{name}");
                assert_eq!(
                    answer(Method::GET, &path).status(),
                    StatusCode::OK,
                    "{path}"
                );
            }
        }
    }

    #[test]
    fn the_page_has_no_inline_code_or_style() {
        let (_, _, html) = FILES[0];
        assert!(!html.contains("style=") && !html.contains("<style"));
        assert_eq!(
            html.matches("<script").count(),
            html.matches("<script type=\"module\" src=").count()
        );
        assert!(
            !html
                .split_whitespace()
                .any(|word| word.starts_with("on") && word.contains("=\""))
        );
    }

    #[test]
    fn it_is_read_and_not_written() {
        let refusal = answer(Method::POST, "/");
        assert_eq!(refusal.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(refusal.headers()[ALLOW], "GET, HEAD");
        assert_eq!(
            answer(Method::GET, "/other").status(),
            StatusCode::NOT_FOUND
        );
    }
}
