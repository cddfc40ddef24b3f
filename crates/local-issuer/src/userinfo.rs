//! The userinfo endpoint (OpenID Connect Core section 5.3).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::answer::{Answer, json_answer, status};
use crate::state::Inner;

/// Answers with the token's subject. The token's signature is not checked, because
/// anyone who reaches a local issuer can make a token.
pub(crate) fn answer(issuer: &Inner, request: &Parts) -> Answer {
    let Some(claims) = claims(request) else {
        let mut answer = status(StatusCode::UNAUTHORIZED);
        let challenge = HeaderValue::from_static(r#"Bearer error="invalid_token""#);
        answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        return answer;
    };
    let subject = claims["sub"].as_str().unwrap_or_default();
    json_answer(
        StatusCode::OK,
        &json!({
            "sub": subject,
            "name": subject,
            "preferred_username": subject,
            "issuer": issuer.url(),
        }),
    )
}

fn claims(request: &Parts) -> Option<Value> {
    let token = request
        .headers
        .get(AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Bearer ")?;
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    claims.get("sub").is_some().then_some(claims)
}
