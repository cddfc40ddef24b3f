//! The page, compiled into the program.

use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Method, StatusCode};
use partyserver::{Body, Request, Response, text};
use serde_json::json as value;

/// What the page must know to sign a user in.
#[derive(Clone, Debug)]
pub struct Page {
    /// The issuer's URL. Its endpoints must be on the same origin: the page's
    /// content security policy admits no other.
    pub issuer: String,
    /// The API that tokens are asked for.
    pub audience: String,
    /// The public client that the page signs in with. Without one a user pastes a
    /// token.
    pub client_id: Option<String>,
}

impl Page {
    /// Answers everything that is no room's.
    pub(crate) fn answer(&self, request: &Request) -> Response {
        let path = request.uri().path();
        let (kind, body) = match FILES.iter().find(|(name, ..)| *name == path) {
            Some((_, kind, body)) => (*kind, Body::from(*body)),
            None if path == "/config.json" => ("application/json", self.config()),
            None if path == "/favicon.ico" => return text(StatusCode::NO_CONTENT, ""),
            None => return text(StatusCode::NOT_FOUND, "Not found"),
        };
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed");
            let allowed = HeaderValue::from_static("GET, HEAD");
            refusal.headers_mut().insert(ALLOW, allowed);
            return refusal;
        }
        let mut response = Response::new(body);
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

    fn config(&self) -> Body {
        let config = value!({
            "issuer": self.issuer,
            "audience": self.audience,
            "clientId": self.client_id,
        });
        config.to_string().into()
    }

    /// The page runs its own files, and talks to its own server and to the issuer.
    /// The issuer is framed to renew a token, and sends the frame back to the page.
    fn content_security_policy(&self) -> String {
        let issuer = origin(&self.issuer);
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
        let page = Page {
            issuer: "https://id.example/tenant/".into(),
            audience: "rooms".into(),
            client_id: None,
        };
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
