//! `before`: the gate's answer depends on the name of the room.

use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use partyserver::{
    ConnectGate, Handshake, Lobby, Refusal, Request, RequestGate, Response, Result, Server, answer,
};
use serde_json::json as value;

/// Refuses, redirects or describes at the gate.
#[derive(Debug, Default)]
pub struct Before;

impl Server for Before {
    async fn on_before_connect(&self, lobby: &Lobby, handshake: Handshake) -> Result<ConnectGate> {
        Ok(match lobby.room_name() {
            "refuse" => ConnectGate::Refuse(Refusal::http(answer::text(
                StatusCode::SERVICE_UNAVAILABLE,
                "Not now",
            ))),
            "redirect" => ConnectGate::Refuse(Refusal::http(redirect())),
            _ => ConnectGate::Admit(handshake),
        })
    }

    async fn on_before_request(&self, lobby: &Lobby, request: Request) -> Result<RequestGate> {
        Ok(match lobby.room_name() {
            "refuse" => RequestGate::Answer(answer::text(StatusCode::GATEWAY_TIMEOUT, "Not now")),
            "redirect" => RequestGate::Answer(redirect()),
            "forbidden" => RequestGate::Answer(answer::text(StatusCode::FORBIDDEN, "Forbidden")),
            "describe" => RequestGate::Answer(answer::json(&value!({
                "party": lobby.party(),
                "class": lobby.class_name(),
                "room": lobby.room_name(),
            }))?),
            _ => RequestGate::Admit(request),
        })
    }
}

fn redirect() -> Response {
    let mut response = answer::text(StatusCode::FOUND, "");
    response
        .headers_mut()
        .insert(LOCATION, HeaderValue::from_static("/elsewhere"));
    response
}
