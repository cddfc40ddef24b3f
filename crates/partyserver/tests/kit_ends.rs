//! In the kit, a room is told of the end of each connection, once, with the same data
//! as on a host.

use std::time::Duration;

use partyserver::testing::{TestRoom, TestSocket};
use partyserver::*;

/// Says who leaves and how. A connection with the id `brief` has one minute. A message
/// asks the room to close the connection, to revoke it, or to fail.
struct Farewell;

impl Server for Farewell {
    async fn on_connect(&mut self, cx: &Context, from: &Connection, _: &Handshake) -> Result<()> {
        if from.id() == "brief" {
            from.close_at(cx.now() + MINUTE, Close::new(3000, "token expired"));
        }
        Ok(())
    }

    async fn on_message(&mut self, _: &Context, from: &Connection, message: Message) -> Result<()> {
        match message.as_text()? {
            "close" => from.close(4000, "as asked"),
            "revoke" => from.revoke(Close::new(1008, "not yours")),
            _ => return Err(Error::msg("as asked")),
        }
        Ok(())
    }

    async fn on_close(&mut self, cx: &Context, of: &Connection, event: CloseEvent) -> Result<()> {
        assert!(of.send("too late").is_err());
        assert!(!cx.room().connections().contains(of));
        let CloseEvent {
            code,
            reason,
            clean,
            ..
        } = event;
        let id = of.id();
        cx.room()
            .broadcast(format!("{id}: {code} {reason:?} {clean}"));
        Ok(())
    }
}

const MINUTE: Duration = Duration::from_secs(60);

/// A room with one client that is told of ends, and one more.
async fn room(id: &str) -> (TestRoom, TestSocket, TestSocket) {
    let mut room = TestRoom::new("farewell", "a", || Farewell);
    let watcher = room.connect("/?_pk=watcher").await.unwrap();
    let socket = room.connect(&format!("/?_pk={id}")).await.unwrap();
    (room, watcher, socket)
}

async fn nothing_more(room: &mut TestRoom, watcher: &TestSocket, socket: &TestSocket) {
    room.close(socket, 1000, "").await.unwrap();
    room.vanish(socket).await.unwrap();
    room.send(socket, "close").await.unwrap();
    room.advance(MINUTE).await.unwrap();
    assert_eq!(watcher.received(), [], "it is told once");
    assert_eq!(socket.received(), []);
}

#[tokio::test]
async fn an_end_by_the_clock() {
    for sleeps in [false, true] {
        let (mut room, watcher, socket) = room("brief").await;
        if sleeps {
            room.hibernate();
        }
        room.advance(MINUTE - Duration::from_millis(1))
            .await
            .unwrap();
        assert_eq!((socket.closed(), watcher.received()), (None, vec![]));
        room.advance(Duration::from_millis(1)).await.unwrap();
        assert_eq!(socket.closed(), Some(Close::new(3000, "token expired")));
        let told = "brief: 3000 \"token expired\" true";
        assert_eq!(watcher.received(), [told.into()], "asleep: {sleeps}");
        nothing_more(&mut room, &watcher, &socket).await;
    }
}

#[tokio::test]
async fn an_end_by_the_server() {
    for (message, close) in [
        ("close", Close::new(4000, "as asked")),
        ("revoke", Close::new(1008, "not yours")),
    ] {
        let (mut room, watcher, socket) = room("other").await;
        room.send(&socket, message).await.unwrap();
        let told = format!("other: {} {:?} true", close.code(), close.reason());
        assert_eq!(socket.closed(), Some(close));
        assert_eq!(watcher.received(), [told.into()]);
        nothing_more(&mut room, &watcher, &socket).await;
    }
}

#[tokio::test]
async fn an_end_by_a_handle_outside_of_hooks() {
    let (mut room, watcher, socket) = room("other").await;
    let handle = room.room().connection("other").unwrap();
    handle.close(4001, "from outside");
    assert_eq!(socket.closed(), Some(Close::new(4001, "from outside")));
    assert_eq!(watcher.received(), [], "the room has had no turn yet");
    room.settle().await.unwrap();
    let told = "other: 4001 \"from outside\" true";
    assert_eq!(watcher.received(), [told.into()]);
}

#[tokio::test]
async fn an_end_by_the_client() {
    let (mut room, watcher, socket) = room("other").await;
    room.close(&socket, 1000, "bye").await.unwrap();
    assert_eq!(socket.closed(), Some(Close::new(1000, "bye")));
    assert_eq!(watcher.received(), ["other: 1000 \"bye\" true".into()]);
    nothing_more(&mut room, &watcher, &socket).await;
}

#[tokio::test]
async fn a_client_that_is_gone() {
    let (mut room, watcher, socket) = room("other").await;
    room.vanish(&socket).await.unwrap();
    assert_eq!(socket.closed(), None, "nobody has sent a close frame");
    assert_eq!(watcher.received(), ["other: 1006 \"\" false".into()]);
    nothing_more(&mut room, &watcher, &socket).await;
}

#[tokio::test]
async fn an_end_by_a_hook_that_fails() {
    let (mut room, watcher, socket) = room("other").await;
    let error = room.send(&socket, "fail").await.unwrap_err();
    assert_eq!(error.to_string(), "as asked");
    let close = socket.closed().unwrap();
    assert_eq!(close.code(), Close::INTERNAL_ERROR);
    assert!(!close.reason().contains("as asked"), "{}", close.reason());
    assert_eq!(watcher.received().len(), 1);
    nothing_more(&mut room, &watcher, &socket).await;
}
