//! Sockets whose client sends nothing, or reads nothing.

mod support;

use std::time::Duration;

use futures_util::SinkExt;
use partyserver::*;
use partyserver_native::{Limits, Parties};
use support::{TestServer, text as next_text, until};
use tokio::io::AsyncReadExt;
use tokio_websockets::Message as WsMessage;

/// Answers with the number of connections. Sends a flood on request.
struct Counting;

impl Server for Counting {
    async fn on_message(
        &mut self,
        cx: &Context,
        from: &Connection,
        message: Message,
    ) -> Result<()> {
        if message.as_text()? == "flood" {
            let everything = "x".repeat(1 << 20);
            for _ in 0..64 {
                cx.room().broadcast(everything.clone());
            }
        }
        from.send(cx.room().connections().len().to_string())?;
        Ok(())
    }
}

async fn start() -> TestServer {
    let limits = Limits::new()
        .ping(Duration::from_millis(100), Duration::from_millis(400))
        .close_time(Duration::from_millis(300));
    TestServer::start(Parties::new().limits(limits).party("counting", || Counting)).await
}

#[tokio::test]
async fn a_silent_client_is_pinged_and_dropped() {
    let server = start().await;
    let mut silent = server.upgrade("/parties/counting/a").await;
    let mut received = Vec::new();
    // The client answers no ping, so the server ends the stream.
    let ended = tokio::time::timeout(Duration::from_secs(5), silent.read_to_end(&mut received));
    ended.await.expect("it is dropped").ok();
    assert!(received.starts_with(&[0x89, 0x00]), "it was pinged first");
    let mut socket = server.open("/parties/counting/a").await;
    socket.send(WsMessage::text("?")).await.unwrap();
    assert_eq!(next_text(&mut socket).await, "1");
}

#[tokio::test]
async fn a_client_that_answers_pings_stays() {
    let server = start().await;
    let mut socket = server.open("/parties/counting/a").await;
    // Reading answers pings. No text comes for longer than a client may be silent.
    let quiet = tokio::time::timeout(Duration::from_millis(1200), next_text(&mut socket)).await;
    assert!(quiet.is_err());
    socket.send(WsMessage::text("?")).await.unwrap();
    assert_eq!(next_text(&mut socket).await, "1");
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_let_go_and_others_are_served() {
    let server = start().await;
    let stuck = server.upgrade("/parties/counting/a").await;
    let mut other = server.open("/parties/counting/b").await;
    let mut flooder = server.open("/parties/counting/a").await;
    flooder.send(WsMessage::text("flood")).await.unwrap();
    other.send(WsMessage::text("?")).await.unwrap();
    assert_eq!(next_text(&mut other).await, "1");
    // For both of the room's clients, more waits than their queues can hold.
    let emptied = async {
        while server.service.sockets() > 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), emptied)
        .await
        .expect("their places are free");
    drop(stuck);
}

#[tokio::test]
async fn a_client_that_never_ends_a_frame_is_dropped() {
    use tokio::io::AsyncWriteExt;
    let limits = Limits::new()
        .ping(Duration::from_millis(100), Duration::from_secs(60))
        .frame_time(Duration::from_millis(300));
    let parties = Parties::new().limits(limits).party("counting", || Counting);
    let server = TestServer::start(parties).await;
    let (mut reader, mut writer) = server.upgrade("/parties/counting/a").await.into_split();
    // A frame of 125 bytes arrives one byte at a time, so the client is never silent.
    let trickle = async {
        for byte in [0x81, 0x80 | 125].into_iter().chain([0; 4 + 125]) {
            if writer.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let mut received = Vec::new();
    tokio::select! {
        () = trickle => panic!("it could send all of it"),
        _ = reader.read_to_end(&mut received) => {}
    }
    until("its place is free", || server.service.sockets() == 0).await;
}

#[tokio::test]
async fn a_client_that_never_ends_its_headers_is_dropped() {
    use tokio::io::AsyncWriteExt;
    let limits = Limits::new().head_time(Duration::from_millis(300));
    let parties = Parties::new().limits(limits).party("counting", || Counting);
    let server = TestServer::start(parties).await;
    let mut slow = server.tcp().await;
    slow.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        .await
        .unwrap();
    let mut received = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), slow.read_to_end(&mut received));
    ended.await.expect("it is dropped").ok();
    assert!(!received.starts_with(b"HTTP/1.1 200"));
}
