//! A server whose every hook would let everyone in still lets nobody in.

mod support;

use agents_oauth2_jwt_bearer::{WithAuth, WithOwnership};
use futures_util::SinkExt;
use http::StatusCode;
use partyserver::*;
use partyserver_native::Parties;
use support::{TestServer, closed};
use tokio_websockets::Message as WsMessage;

/// Admits in every hook, and panics in hooks that must never run.
struct OpenDoor;

impl Server for OpenDoor {
    async fn on_before_request(&self, _: &Lobby, request: Request) -> Result<RequestGate> {
        Ok(RequestGate::Admit(request))
    }
    async fn on_before_connect(&self, _: &Lobby, handshake: Handshake) -> Result<ConnectGate> {
        Ok(ConnectGate::Admit(handshake))
    }
    async fn on_admit(&mut self, _: &Context, _: &Handshake) -> Result<Admission> {
        Ok(Admission::Admit)
    }
    async fn on_connect(
        &mut self,
        _: &Context,
        connection: &Connection,
        _: &Handshake,
    ) -> Result<()> {
        connection.send("welcome, whoever you are")?;
        Ok(())
    }
    async fn on_message(&mut self, _: &Context, from: &Connection, message: Message) -> Result<()> {
        from.send(message)?;
        Ok(())
    }
    async fn on_request(&mut self, _: &Context, _: Request) -> Result<Response> {
        Ok(answer::text(StatusCode::OK, "welcome"))
    }

    async fn on_authenticated_request(
        &mut self,
        _: &Context,
        request: Request,
    ) -> Result<RequestGate> {
        Ok(RequestGate::Admit(request))
    }
    async fn on_authenticated_connect(&mut self, _: &Context, _: &Handshake) -> Result<Admission> {
        Ok(Admission::Admit)
    }

    async fn on_authorized_request(
        &mut self,
        _: &Context,
        request: Request,
    ) -> Result<RequestGate> {
        Ok(RequestGate::Admit(request))
    }
    async fn on_authorized_connect(&mut self, _: &Context, _: &Handshake) -> Result<Admission> {
        Ok(Admission::Admit)
    }
}

#[tokio::test]
async fn authentication_and_ownership_stand() {
    let server = TestServer::start(|options| {
        let owned = options.clone();
        Parties::new()
            .party("auth", move || WithAuth::new(OpenDoor, options.clone()))
            .party("owned", move || {
                WithAuth::new(WithOwnership::new(OpenDoor), owned.clone())
            })
            .party("bare", || WithOwnership::new(OpenDoor))
    })
    .await;
    let alice = server.issuer.token().sign();
    for (path, token, status, code) in [
        ("/parties/auth/a", None, 401, 1008),
        ("/parties/auth/a", Some("bad"), 401, 1008),
        // Nobody owns the room, so nobody gets in.
        ("/parties/owned/a", Some(alice.as_str()), 403, 1008),
        ("/parties/owned/a", None, 401, 1008),
        // Without WithAuth around it, ownership knows no caller.
        ("/parties/bare/a", Some(alice.as_str()), 401, 1008),
        ("/parties/bare/a", None, 401, 1008),
    ] {
        assert_eq!(server.get(path, token).await, status, "{path}");
        let mut socket = server.open(path, token).await;
        // The server may have closed the socket already. The test looks at what comes
        // back.
        let _ = socket.send(WsMessage::text("hello?")).await;
        assert_eq!(closed(&mut socket).await.0, code, "{path}");
    }
    assert_eq!(server.get("/parties/auth/a", Some(&alice)).await, 200);
}
