//! The issuer's controls over HTTP, for test suites in other processes.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::answer::{Answer, json_answer, status};
use crate::encoding::unix_now;
use crate::fault::{Endpoint, Fault};
use crate::key::Algorithm;
use crate::state::Inner;
use crate::token::CLIENT_ID;

pub(crate) fn answer(issuer: &Inner, path: &str, body: &[u8]) -> Answer {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let done = || status(StatusCode::NO_CONTENT);
    match path {
        "/admin/token" => json_answer(StatusCode::OK, &json!({ "token": token(issuer, &body) })),
        "/admin/rotate" => {
            let algorithm = body["algorithm"].as_str().and_then(Algorithm::from_name);
            let id = issuer.add_key(algorithm.unwrap_or(Algorithm::Rs256));
            json_answer(StatusCode::OK, &json!({ "kid": id }))
        }
        "/admin/withdraw" => {
            issuer.withdraw(body["kid"].as_str().unwrap_or_default());
            done()
        }
        "/admin/fault" => match (endpoint(&body["endpoint"]), fault(&body)) {
            (Some(endpoint), Some(fault)) => {
                issuer.lock().faults.insert(endpoint, fault);
                done()
            }
            _ => status(StatusCode::BAD_REQUEST),
        },
        "/admin/requests" => json_answer(
            StatusCode::OK,
            &json!({
                "discovery": issuer.requests(Endpoint::Discovery),
                "jwks": issuer.requests(Endpoint::Jwks),
                "token": issuer.requests(Endpoint::Token),
                "userinfo": issuer.requests(Endpoint::UserInfo),
            }),
        ),
        _ => status(StatusCode::NOT_FOUND),
    }
}

/// A token from `{"claims"?, "header"?, "algorithm"?, "kid"?}`. A member that is null
/// is left out of the token; any other replaces the default.
fn token(issuer: &Inner, body: &Value) -> String {
    let now = unix_now();
    let mut claims = object(&json!({
        "iss": issuer.url(), "sub": "alice", "aud": issuer.audience, "client_id": CLIENT_ID,
        "iat": now, "exp": now + issuer.token_lifetime.as_secs(),
    }));
    claims.extend(object(&body["claims"]));
    claims.retain(|_, value| !value.is_null());
    let mut header = object(&json!({ "typ": "at+jwt" }));
    header.extend(object(&body["header"]));
    let algorithm = body["algorithm"].as_str().and_then(Algorithm::from_name);
    let payload = Value::Object(claims).to_string();
    issuer.sign(header, payload.as_bytes(), body["kid"].as_str(), algorithm)
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn endpoint(value: &Value) -> Option<Endpoint> {
    Some(match value.as_str().unwrap_or("all") {
        "all" => Endpoint::All,
        "discovery" => Endpoint::Discovery,
        "jwks" => Endpoint::Jwks,
        "token" => Endpoint::Token,
        "userinfo" => Endpoint::UserInfo,
        _ => return None,
    })
}

fn fault(body: &Value) -> Option<Fault> {
    let text = || body["value"].as_str().unwrap_or_default().to_owned();
    let number = || body["value"].as_u64().unwrap_or_default();
    Some(match body["fault"].as_str()? {
        "none" => Fault::None,
        "down" => Fault::Down,
        "slow" => Fault::Slow(Duration::from_millis(number())),
        "status" => Fault::Status(u16::try_from(number()).ok()?),
        "malformed" => Fault::Malformed,
        "wrong-issuer" => Fault::WrongIssuer(text()),
        "redirect" => Fault::Redirect(text()),
        _ => return None,
    })
}
