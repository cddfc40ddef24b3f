//! Authorization code with PKCE (RFC 6749 section 4.1, RFC 7636) and client
//! credentials (RFC 6749 section 4.4), for public clients.
//!
//! `prompt=none` (OpenID Connect Core section 3.1.2.1) works for users who have signed
//! in with the same browser. `login_hint` chooses one if there are several.

use std::time::{Duration, Instant};

use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, SET_COOKIE};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, Uri};
use serde_json::{Map, Value, json};

use crate::answer::{Answer, json_answer, status};
use crate::encoding::{random_text, s256, unix_now};
use crate::page::Form;
use crate::state::{Grant, Inner};
use crate::{loopback, page, session};

/// Shows the sign-in page (GET), or signs the chosen user in (POST).
pub(crate) fn authorize(issuer: &Inner, request: &Parts, body: &[u8]) -> Answer {
    let form = match request.method {
        Method::GET => form(request.uri.query().unwrap_or_default().as_bytes()),
        Method::POST => form(body),
        _ => return status(StatusCode::METHOD_NOT_ALLOWED),
    };
    let text = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let redirect_uri = text("redirect_uri");
    // If the redirect URI may not be used, the error is shown here, without a redirect.
    if !is_loopback(redirect_uri) {
        return page_answer(
            StatusCode::BAD_REQUEST,
            page::error("redirect_uri must be on loopback"),
        );
    }
    let problem = if text("response_type") != "code" {
        Some("unsupported_response_type")
    } else if text("code_challenge_method") != "S256"
        || text("code_challenge").len() != 43
        || text("client_id").is_empty()
    {
        Some("invalid_request")
    } else {
        None
    };
    let refused = |error| redirect(redirect_uri, &[("error", error), ("state", text("state"))]);
    if let Some(problem) = problem {
        return refused(problem);
    }
    let signed_in = session::users(issuer, &request.headers);
    let chosen = form.get("user").filter(|_| request.method == Method::POST);
    let user = match chosen {
        Some(user) if issuer.users.contains(user) => user,
        Some(_) => return refused("access_denied"),
        None if text("prompt") == "none" => {
            let hint = form.get("login_hint");
            let mut latest_first = signed_in.iter().rev();
            match latest_first.find(|user| hint.is_none_or(|hint| hint == **user)) {
                Some(user) => user,
                None => return refused("login_required"),
            }
        }
        None => return page_answer(StatusCode::OK, page::sign_in(&issuer.users, &form)),
    };
    let lifetime = text("lifetime")
        .parse()
        .map_or(issuer.token_lifetime, Duration::from_secs);
    let audience = form
        .get("resource")
        .or(form.get("audience"))
        .unwrap_or(&issuer.audience);
    let code = random_text();
    let grant = Grant {
        client_id: text("client_id").to_owned(),
        redirect_uri: redirect_uri.to_owned(),
        challenge: text("code_challenge").to_owned(),
        subject: user.clone(),
        scope: form.get("scope").cloned(),
        audience: audience.clone(),
        nonce: form.get("nonce").cloned(),
        lifetime: lifetime.clamp(Duration::from_secs(1), Duration::from_secs(24 * 60 * 60)),
        expires: Instant::now() + CODE_LIFETIME,
    };
    let mut state = issuer.lock();
    state
        .codes
        .retain(|_, grant| grant.expires > Instant::now());
    if state.codes.len() >= MAX_CODES {
        drop(state);
        return refused("temporarily_unavailable");
    }
    state.codes.insert(code.clone(), grant);
    drop(state);
    let mut answer = redirect(
        redirect_uri,
        &[
            ("code", &code),
            ("state", text("state")),
            ("iss", &issuer.url()),
        ],
    );
    if chosen.is_some() {
        let cookie = session::cookie(issuer, &signed_in, user);
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
    answer
}

/// The token endpoint.
pub(crate) fn token(issuer: &Inner, request: &Parts, body: &[u8]) -> Answer {
    if request.method != Method::POST {
        return status(StatusCode::METHOD_NOT_ALLOWED);
    }
    let form = form(body);
    let text = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    match text("grant_type") {
        "client_credentials" => {
            let client_id = if text("client_id").is_empty() {
                "client"
            } else {
                text("client_id")
            };
            let audience = form.get("resource").or(form.get("audience"));
            let claims = json!({
                "sub": client_id,
                "client_id": client_id,
                "aud": audience.unwrap_or(&issuer.audience),
                "scope": form.get("scope"),
            });
            tokens(issuer, &claims, issuer.token_lifetime, None)
        }
        "authorization_code" => {
            // The code is removed at once, because it works only once.
            let grant = issuer.lock().codes.remove(text("code"));
            let grant = grant.filter(|grant| {
                grant.expires > Instant::now()
                    && grant.redirect_uri == text("redirect_uri")
                    && grant.client_id == text("client_id")
                    && grant.challenge == s256(text("code_verifier"))
            });
            let Some(grant) = grant else {
                return error("invalid_grant");
            };
            let claims = json!({
                "sub": grant.subject,
                "client_id": grant.client_id,
                "aud": grant.audience,
                "scope": grant.scope,
            });
            let is_openid = grant
                .scope
                .as_deref()
                .is_some_and(|scope| scope.split(' ').any(|scope| scope == "openid"));
            let id_token = is_openid.then(|| {
                json!({
                    "sub": grant.subject,
                    "aud": grant.client_id,
                    "nonce": grant.nonce,
                    "preferred_username": grant.subject,
                })
            });
            tokens(issuer, &claims, grant.lifetime, id_token.as_ref())
        }
        _ => error("unsupported_grant_type"),
    }
}

fn tokens(issuer: &Inner, claims: &Value, lifetime: Duration, id_token: Option<&Value>) -> Answer {
    let sign = |typ: &str, claims: &Value| {
        let now = unix_now();
        let mut claims = claims.as_object().cloned().unwrap_or_default();
        claims.retain(|_, value| !value.is_null());
        claims.extend([
            ("iss".to_owned(), json!(issuer.url())),
            ("iat".to_owned(), json!(now)),
            ("exp".to_owned(), json!(now + lifetime.as_secs())),
            ("jti".to_owned(), json!(random_text())),
        ]);
        let header = Map::from_iter([("typ".to_owned(), json!(typ))]);
        issuer.sign(
            header,
            Value::Object(claims).to_string().as_bytes(),
            None,
            None,
        )
    };
    let mut answer = json!({
        "access_token": sign("at+jwt", claims),
        "token_type": "Bearer",
        "expires_in": lifetime.as_secs(),
    });
    if let Some(scope) = claims["scope"].as_str() {
        answer["scope"] = json!(scope);
    }
    if let Some(claims) = id_token {
        answer["id_token"] = json!(sign("JWT", claims));
    }
    let mut answer = json_answer(StatusCode::OK, &answer);
    answer
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn error(code: &str) -> Answer {
    json_answer(StatusCode::BAD_REQUEST, &json!({ "error": code }))
}

fn redirect(uri: &str, parameters: &[(&str, &str)]) -> Answer {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters.iter().filter(|(_, value)| !value.is_empty()));
    let separator = if uri.contains('?') { '&' } else { '?' };
    let mut answer = status(StatusCode::SEE_OTHER);
    if let Ok(location) = HeaderValue::try_from(format!("{uri}{separator}{}", query.finish())) {
        answer.headers_mut().insert(LOCATION, location);
    }
    answer
}

fn page_answer(status: StatusCode, page: String) -> Answer {
    let mut answer = Answer::new(page.into());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    answer
}

fn form(text: &[u8]) -> Form {
    form_urlencoded::parse(text).into_owned().collect()
}

fn is_loopback(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else {
        return false;
    };
    uri.host().is_some_and(loopback::is_name)
        && uri.scheme_str() == Some("http")
        && !url.contains(['#', '@'])
}

const CODE_LIFETIME: Duration = Duration::from_secs(60);
const MAX_CODES: usize = 1000;
