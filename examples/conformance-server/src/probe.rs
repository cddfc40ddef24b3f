//! The server of most parties: it shows what it knows of its caller.

use agents_oauth2_jwt_bearer::{
    AuthConnection, AuthContext, AuthRequest, Overwrite, OwnerError, Refresh, RoomOwnership,
};
use http::{Method, StatusCode};
use partyserver::wrap::Wrap;
use partyserver::{
    Connection, Context, Handshake, Message, Request, RequestGate, Response, Result, Server, answer,
};
use serde_json::{Value, json as value};

use crate::instance::instance_id;
use crate::parties::SAW;

/// Answers with its identity, its caller's identity, and the URL as it sees it. If the
/// query says `tell`, a socket is told the same about its handshake.
#[derive(Debug)]
pub struct Probe {
    instance: String,
}

impl Default for Probe {
    fn default() -> Self {
        Self {
            instance: instance_id(),
        }
    }
}

impl Server for Probe {
    async fn on_connect(
        &mut self,
        _: &Context,
        connection: &Connection,
        handshake: &Handshake,
    ) -> Result<()> {
        let sub = subject(connection);
        connection.send(value!({ "type": "welcome", "id": connection.id(), "sub": sub }))?;
        if handshake
            .uri()
            .query()
            .is_some_and(|query| query.contains("tell"))
        {
            connection.send(value!({
                "request_claims": handshake.claims(),
                "rewrite_saw": rewrite_saw(handshake),
                "url": handshake.uri().to_string(),
            }))?;
        }
        Ok(())
    }

    async fn on_message(
        &mut self,
        cx: &Context,
        from: &Connection,
        message: Message,
    ) -> Result<()> {
        let sub = subject(from);
        let text = String::from_utf8_lossy(message.as_bytes());
        let told = |text| value!({ "type": "broadcast", "from": sub, "text": text });
        match message.as_text().ok().and_then(|text| text.split_once(':')) {
            Some(("b", text)) => cx.room().broadcast(told(text)),
            // To all but those with the sender's id, and to the newest connection with
            // an id.
            Some(("e", text)) => cx.room().broadcast_except(told(text), &[from.id()]),
            Some(("n", id)) => {
                if let Some(newest) = cx.room().connection(id) {
                    newest.send(told("newest"))?;
                }
            }
            _ => {
                let instance = &self.instance;
                from.send(value!({
                    "type": "echo", "sub": sub, "text": text, "instance": instance,
                }))?;
            }
        }
        Ok(())
    }

    async fn on_request(&mut self, cx: &Context, request: Request) -> Result<Response> {
        if last_segment(&request) == "userinfo" {
            let query = request.uri().query().unwrap_or_default();
            let refresh = if query.contains("force") {
                Refresh::Always
            } else {
                Refresh::IfNeeded
            };
            return user_info(cx, refresh).await;
        }
        answer::json(&value!({
            "party": cx.room().party(),
            "room": cx.room().name(),
            "instance": self.instance,
            "claims": cx.claims().ok(),
            "request_claims": request.claims(),
            "rewrite_saw": rewrite_saw(&request),
            "credentials": credentials(cx),
            "url": request.uri().to_string(),
        }))
    }
}

/// The same, in rooms that have an owner.
#[derive(Debug, Default)]
pub struct PrivateProbe(Probe);

impl Wrap for PrivateProbe {
    type Inner = Probe;

    fn inner(&self) -> &Probe {
        &self.0
    }

    fn inner_mut(&mut self) -> &mut Probe {
        &mut self.0
    }

    /// `POST …/claim` is answered before ownership is checked.
    async fn on_authenticated_request(
        &mut self,
        cx: &Context,
        request: Request,
    ) -> Result<RequestGate> {
        if request.method() != Method::POST || last_segment(&request) != "claim" {
            return Ok(RequestGate::Admit(request));
        }
        let query = request.uri().query().unwrap_or_default();
        let is_overwriting = query
            .split('&')
            .any(|part| part.split('=').next() == Some("overwrite"));
        let overwrite = if is_overwriting {
            Overwrite::Yes
        } else {
            Overwrite::No
        };
        let claims = cx.claims()?;
        let answer = match cx.room().set_owner(claims.subject(), overwrite).await {
            Ok(()) => answer::json(&value!({ "owner": claims.subject() }))?,
            Err(OwnerError::AlreadyOwned) => {
                answer::text(StatusCode::CONFLICT, "This room has an owner.")
            }
            Err(error) => return Err(error.into()),
        };
        Ok(RequestGate::Answer(answer))
    }
}

fn subject(connection: &Connection) -> Option<String> {
    connection
        .claims()
        .map(|claims| claims.subject().to_owned())
}

/// What the application's `rewrite` saw of the head.
fn rewrite_saw<B>(request: &http::Request<B>) -> Value {
    let saw = request.headers().get(SAW);
    let saw = saw.and_then(|saw| serde_json::from_slice(saw.as_bytes()).ok());
    saw.unwrap_or_default()
}

fn credentials(cx: &Context) -> Value {
    let Some(credentials) = cx.credentials() else {
        return Value::Null;
    };
    let mut shown = value!({ "access_token": credentials.access_token().expose() });
    if let Some(token) = credentials.id_token() {
        shown["id_token"] = token.expose().into();
    }
    if let Some(token) = credentials.refresh_token() {
        shown["refresh_token"] = token.expose().into();
    }
    shown
}

async fn user_info(cx: &Context, refresh: Refresh) -> Result<Response> {
    match cx.user_info(refresh).await {
        Ok(info) => answer::json(&*info),
        Err(error) => Ok(answer::text(StatusCode::BAD_GATEWAY, error.to_string())),
    }
}

fn last_segment(request: &Request) -> &str {
    request
        .uri()
        .path()
        .rsplit('/')
        .find(|part| !part.is_empty())
        .unwrap_or_default()
}
