//! What `on_connect` sends waits until the hook has ended. It is counted apart from
//! what waits for a client that reads slowly.

mod support;

use futures_util::SinkExt;
use partyserver::*;
use partyserver_native::Parties;
use support::{Socket, TestServer, closed, text as next_text};
use tokio_websockets::Message as WsMessage;

/// Replays a history; the query gives the number and the size of its messages. Sends
/// what it is told to all.
struct History;

impl Server for History {
    async fn on_connect(&mut self, _: &Context, c: &Connection, _: &Handshake) -> Result<()> {
        let query = c.uri().query().unwrap_or("0x0");
        let (count, length) = query.split_once('x').ok_or(Error::msg("no product"))?;
        let text = Message::from("x".repeat(length.parse()?));
        for _ in 0..count.parse()? {
            // If a message does not fit, the test will notice.
            let _ = c.send(text.clone());
        }
        Ok(())
    }

    async fn on_message(&mut self, cx: &Context, _: &Connection, message: Message) -> Result<()> {
        cx.room().broadcast(message);
        Ok(())
    }
}

async fn start() -> TestServer {
    let small = PartyOptions::new()
        .max_queued_bytes(1000)
        .max_replay_bytes(4000);
    let parties = Parties::new()
        .party("history", || History)
        .party_with("small", small, || History);
    TestServer::start(parties).await
}

async fn receives(socket: &mut Socket, count: usize, length: usize) {
    for _ in 0..count {
        assert_eq!(next_text(socket).await.len(), length);
    }
}

#[tokio::test]
async fn a_history_is_replayed_whole() {
    let server = start().await;
    for (count, length) in [(16, 1 << 20), (65_536, 10), (1, 20 << 20)] {
        let path = format!("/parties/history/a?{count}x{length}");
        let mut socket = server.open_of_any_size(&path).await;
        receives(&mut socket, count, length).await;
        socket.send(WsMessage::text("live")).await.unwrap();
        assert_eq!(next_text(&mut socket).await, "live");
    }
}

#[tokio::test]
async fn past_the_limit_the_socket_is_closed() {
    let server = start().await;
    for query in [
        "history/a?17x1048576",
        "history/a?65537x1",
        "small/a?5x1000",
    ] {
        let mut socket = server.open(&format!("/parties/{query}")).await;
        let told = (1013, "too much was sent to a new client".to_owned());
        assert_eq!(closed(&mut socket).await, told, "{query}");
    }
}

#[tokio::test]
async fn what_comes_after_it_counts_apart() {
    let server = start().await;
    let mut replayed = server.open("/parties/small/a?4x1000").await;
    let mut other = server.open("/parties/small/a").await;
    other.send(WsMessage::text("x".repeat(1000))).await.unwrap();
    receives(&mut replayed, 5, 1000).await;
    receives(&mut other, 1, 1000).await;
}
