//! HTTP: routes, faults and cross-origin headers.

use std::sync::Arc;

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    CACHE_CONTROL, LOCATION, VARY,
};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;

use crate::answer::{Answer, json_answer, status};
use crate::fault::{Endpoint, Fault};
use crate::loopback::{self, Origin};
use crate::state::Inner;
use crate::{admin, flow, userinfo};

pub(crate) async fn run(listener: TcpListener, issuer: Arc<Inner>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let issuer = Arc::clone(&issuer);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&issuer), request));
            // If a connection breaks, only its client is concerned.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// Why a connection is closed without an answer.
#[derive(Debug)]
struct Down;

impl std::fmt::Display for Down {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the issuer plays dead")
    }
}

impl std::error::Error for Down {}

async fn answer(issuer: Arc<Inner>, request: Request<Incoming>) -> Result<Answer, Down> {
    let (parts, body) = request.into_parts();
    if !loopback::is_addressed(&parts) {
        return Ok(status(StatusCode::MISDIRECTED_REQUEST));
    }
    let origin = loopback::origin(&parts);
    let path = parts.uri.path();
    let base = issuer.path.trim_end_matches('/');
    let under_base = path.strip_prefix(base);
    let endpoint = match under_base {
        _ if path == format!("/.well-known/oauth-authorization-server{base}") => {
            Some(Endpoint::Discovery)
        }
        Some("/.well-known/openid-configuration") => Some(Endpoint::Discovery),
        Some("/jwks") => Some(Endpoint::Jwks),
        Some("/token") => Some(Endpoint::Token),
        Some("/userinfo") => Some(Endpoint::UserInfo),
        _ => None,
    };
    let is_preflight = parts.method == Method::OPTIONS;
    let mut fault = Fault::None;
    if let Some(endpoint) = endpoint.filter(|_| !is_preflight) {
        let hold = {
            let mut state = issuer.lock();
            *state.requests.entry(endpoint).or_default() += 1;
            let of = |endpoint| {
                state
                    .faults
                    .get(&endpoint)
                    .filter(|fault| **fault != Fault::None)
            };
            fault = of(Endpoint::All)
                .or(of(endpoint))
                .cloned()
                .unwrap_or_default();
            state
                .holds
                .get(&endpoint)
                .or(state.holds.get(&Endpoint::All))
                .cloned()
        };
        if let Some(hold) = hold {
            hold.pass().await;
        }
    }
    if let Some(answer) = faulty_answer(&fault).await? {
        return Ok(answer);
    }
    let body = match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Ok(status(StatusCode::PAYLOAD_TOO_LARGE)),
    };
    let mut answer = match (endpoint, under_base) {
        (Some(_), _) if is_preflight => status(StatusCode::NO_CONTENT),
        (Some(Endpoint::Discovery), _) => discovery(&issuer, &fault),
        (Some(Endpoint::Jwks), _) => jwks(&issuer),
        (Some(Endpoint::Token), _) => flow::token(&issuer, &parts, &body),
        (Some(Endpoint::UserInfo), _) => userinfo::answer(&issuer, &parts),
        (_, Some("/authorize")) => flow::authorize(&issuer, &parts, &body),
        (_, Some(path)) if issuer.admin && path.starts_with("/admin/") => match origin {
            Origin::Foreign => status(StatusCode::FORBIDDEN),
            _ => admin::answer(&issuer, path, &body),
        },
        _ => status(StatusCode::NOT_FOUND),
    };
    if endpoint.is_some() {
        let headers = answer.headers_mut();
        headers.insert(VARY, HeaderValue::from_static("Origin"));
        // Pages on other loopback ports may use the issuer.
        if let Origin::Own(origin) = origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            for (name, value) in [
                (ACCESS_CONTROL_ALLOW_HEADERS, "*, Authorization"),
                (ACCESS_CONTROL_EXPOSE_HEADERS, "WWW-Authenticate"),
            ] {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
    }
    Ok(answer)
}

async fn faulty_answer(fault: &Fault) -> Result<Option<Answer>, Down> {
    Ok(match fault {
        Fault::None | Fault::WrongIssuer(_) => None,
        Fault::Down => return Err(Down),
        Fault::Slow(delay) => {
            tokio::time::sleep(*delay).await;
            None
        }
        Fault::Status(code) => Some(status(
            StatusCode::from_u16(*code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        )),
        Fault::Malformed => Some(Response::new(Full::from("<html>not JSON</html>"))),
        Fault::Huge(bytes) => Some(Response::new(Full::from(" ".repeat(*bytes)))),
        Fault::Redirect(url) => {
            let mut answer = status(StatusCode::FOUND);
            if let Ok(url) = HeaderValue::from_str(url) {
                answer.headers_mut().insert(LOCATION, url);
            }
            Some(answer)
        }
    })
}

fn discovery(issuer: &Inner, fault: &Fault) -> Answer {
    let base = issuer.base();
    let url = match fault {
        Fault::WrongIssuer(url) => url.clone(),
        _ => issuer.url(),
    };
    json_answer(
        StatusCode::OK,
        &json!({
            "issuer": url,
            "authorization_endpoint": format!("{base}/authorize"),
            "token_endpoint": format!("{base}/token"),
            "userinfo_endpoint": format!("{base}/userinfo"),
            "jwks_uri": format!("{base}/jwks"),
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "client_credentials"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "PS256", "ES256", "EdDSA"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
        }),
    )
}

fn jwks(issuer: &Inner) -> Answer {
    let mut answer = json_answer(StatusCode::OK, &issuer.jwks());
    let cache_control = issuer.lock().cache_control.clone();
    if let Some(value) = cache_control.and_then(|value| HeaderValue::try_from(value).ok()) {
        answer.headers_mut().insert(CACHE_CONTROL, value);
    }
    answer
}

const MAX_BODY_BYTES: usize = 64 * 1024;
