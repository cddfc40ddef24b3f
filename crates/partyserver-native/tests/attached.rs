//! What the gate attaches is among the extensions of the request, and of the handshake,
//! that a room sees.

mod support;

use partyserver::*;
use partyserver_native::Parties;
use support::{TestServer, text as next_text};

/// Its gate says that every caller is Alice.
struct Wonderland;

fn principal(extensions: &http::Extensions) -> String {
    let attachments = extensions.get::<Attachments>();
    let principal = attachments.and_then(|attachments| attachments.get::<Principal>());
    principal.map_or_else(|| "nobody".to_owned(), |principal| principal.0.to_string())
}

impl Server for Wonderland {
    async fn on_before_request(&self, lobby: &Lobby, request: Request) -> Result<RequestGate> {
        lobby.attachments().insert(Principal("alice".into()));
        Ok(RequestGate::Admit(request))
    }

    async fn on_before_connect(&self, lobby: &Lobby, handshake: Handshake) -> Result<ConnectGate> {
        lobby.attachments().insert(Principal("alice".into()));
        Ok(ConnectGate::Admit(handshake))
    }

    async fn on_connect(&mut self, _: &Context, c: &Connection, h: &Handshake) -> Result<()> {
        c.send(principal(h.extensions()))?;
        Ok(())
    }

    async fn on_request(&mut self, _: &Context, request: Request) -> Result<Response> {
        let principal = principal(request.extensions());
        Ok(answer::text(http::StatusCode::OK, principal))
    }
}

#[tokio::test]
async fn a_room_finds_whose_event_it_is() {
    let server = TestServer::start(Parties::new().party("wonderland", || Wonderland)).await;
    let alice = (200, "alice".to_owned());
    assert_eq!(server.get("/parties/wonderland/a").await, alice);
    let mut socket = server.open("/parties/wonderland/a").await;
    assert_eq!(next_text(&mut socket).await, "alice");
}
