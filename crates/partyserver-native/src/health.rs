//! `/healthz` and `/readyz`.

use http::StatusCode;
use partyserver::{Readiness, Response, answer};
use serde_json::json as value;

use crate::service::Inner;

/// The process is up.
pub(crate) fn health() -> Response {
    answer::text(StatusCode::OK, "ok")
}

/// The store can be read and each party can serve; else 503 with the reasons.
pub(crate) async fn readiness(server: &Inner) -> Response {
    let mut reasons = Vec::new();
    if let Err(error) = server.host.store.check().await {
        reasons.push(error.to_string());
    }
    for party in &server.parties {
        if let Readiness::NotReady(reason) = party.readiness()
            && !reasons.iter().any(|held| *held == *reason)
        {
            reasons.push(reason.into_owned());
        }
    }
    let answer = answer::json(&value!({ "ready": reasons.is_empty(), "reasons": reasons }));
    let mut answer = answer.unwrap_or_else(|_| answer::text(StatusCode::INTERNAL_SERVER_ERROR, ""));
    if !reasons.is_empty() {
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    answer
}
