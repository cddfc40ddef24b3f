//! Expiry and a change of owner reach a socket while a hook of its room runs.

mod support;

use std::sync::Arc;
use std::time::Duration;

use agents_oauth2_jwt_bearer::{
    AuthContext, Claim, Overwrite, RoomOwnership, WithAuth, WithOwnership,
};
use futures_util::SinkExt;
use partyserver::*;
use partyserver_native::Parties;
use support::{TestServer, closed, text as next_text};
use tokio::sync::Semaphore;
use tokio_websockets::Message as WsMessage;

/// Its `on_message` hangs until the test lets it go on.
struct Hanging(Arc<Semaphore>);

impl Server for Hanging {
    async fn on_connect(
        &mut self,
        cx: &Context,
        connection: &Connection,
        _: &Handshake,
    ) -> Result<()> {
        connection.send(cx.claims()?.subject())?;
        Ok(())
    }

    async fn on_message(
        &mut self,
        cx: &Context,
        from: &Connection,
        message: Message,
    ) -> Result<()> {
        if message.as_text()? == "give away" {
            let room = cx.room().clone();
            // This runs in a task beside the room, while the room is held up.
            cx.room().spawn(async move {
                room.set_owner("bob", Overwrite::Yes)
                    .await
                    .expect("the room is given away");
            });
        }
        from.send("hanging")?;
        self.0.acquire().await?.forget();
        Ok(())
    }
}

async fn start(go: &Arc<Semaphore>) -> TestServer {
    let go = Arc::clone(go);
    TestServer::start(move |options| {
        Parties::new().party("hanging", move || {
            let owned = WithOwnership::new(Hanging(Arc::clone(&go))).claim(Claim::FirstUser);
            WithAuth::new(owned, options.clone())
        })
    })
    .await
}

#[tokio::test]
async fn expiry_is_not_queued() {
    let go = Arc::new(Semaphore::new(0));
    let server = start(&go).await;
    let token = server
        .issuer
        .token()
        .expires_in(Duration::from_secs(2))
        .sign();
    let mut socket = server.open("/parties/hanging/a", Some(&token)).await;
    assert_eq!(next_text(&mut socket).await, "alice");
    socket.send(WsMessage::text("hang")).await.unwrap();
    assert_eq!(next_text(&mut socket).await, "hanging");
    let expired = tokio::time::timeout(Duration::from_secs(5), closed(&mut socket)).await;
    assert_eq!(expired.expect("in time"), (3000, "token expired".into()));
    go.add_permits(1);
}

#[tokio::test]
async fn an_owner_change_is_not_queued() {
    let go = Arc::new(Semaphore::new(0));
    let server = start(&go).await;
    let token = server.issuer.token().sign();
    let mut socket = server.open("/parties/hanging/a", Some(&token)).await;
    let mut idle = server.open("/parties/hanging/a", Some(&token)).await;
    for socket in [&mut socket, &mut idle] {
        assert_eq!(next_text(socket).await, "alice");
    }
    socket.send(WsMessage::text("give away")).await.unwrap();
    let not_yours = (1008, "This chat is not yours.".to_owned());
    let moved = tokio::time::timeout(Duration::from_secs(5), closed(&mut idle)).await;
    assert_eq!(moved.expect("in time"), not_yours);
    loop {
        // "hanging" may have been sent before the room was given away.
        let message = futures_util::StreamExt::next(&mut socket)
            .await
            .unwrap()
            .unwrap();
        if let Some((code, reason)) = message.as_close() {
            assert_eq!((u16::from(code), reason), (1008, not_yours.1.as_str()));
            break;
        }
    }
    go.add_permits(1);
    let alice = server.issuer.token().sign();
    assert_eq!(server.get("/parties/hanging/a", Some(&alice)).await, 403);
}
