//! A socket that has ended leaves no descriptor behind, however it ended. This file has
//! one test alone, because it counts the process's files.
#![cfg(target_os = "linux")]

mod support;

use futures_util::SinkExt;
use partyserver::*;
use partyserver_native::Parties;
use support::{TestServer, close_frame, frame, rest, until};
use tokio::io::AsyncWriteExt;
use tokio_websockets::Message as WsMessage;

/// Refuses a socket if the query says so. Closes, fails or panics when it is told to.
struct Ending;

impl Server for Ending {
    async fn on_before_connect(&self, _: &Lobby, handshake: Handshake) -> Result<ConnectGate> {
        if handshake.uri().query() == Some("refuse") {
            let answer = partyserver::answer::text(http::StatusCode::FORBIDDEN, "no");
            let refusal = Refusal::closing(answer, Close::new(1008, "no"));
            return Ok(ConnectGate::Refuse(refusal));
        }
        Ok(ConnectGate::Admit(handshake))
    }

    async fn on_message(&mut self, _: &Context, from: &Connection, m: Message) -> Result<()> {
        match m.as_text()? {
            "close" => from.close(4000, ""),
            "revoke" => from.revoke(Close::new(1008, "")),
            "error" => return Err(Error::msg("as asked")),
            _ => panic!("as asked"),
        }
        Ok(())
    }
}

fn sockets() -> usize {
    let files = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    let is_socket = |target: &std::path::PathBuf| target.to_string_lossy().starts_with("socket:");
    targets.filter(is_socket).count()
}

#[tokio::test]
async fn none_is_left() {
    let server = TestServer::start(Parties::new().party("ending", || Ending)).await;
    let before = sockets();
    for _ in 0..5 {
        for told in ["close", "revoke", "error", "panic"] {
            let mut socket = server.open("/parties/ending/a").await;
            socket.send(WsMessage::text(told)).await.unwrap();
            support::closed(&mut socket).await;
        }
        drop(server.open("/parties/ending/a").await);
        let mut closing = server.open("/parties/ending/a").await;
        closing.close().await.unwrap();
        let mut breaking = server.upgrade("/parties/ending/a").await;
        breaking.write_all(&frame(3, b"")).await.unwrap();
        breaking.write_all(&close_frame(1002, "")).await.unwrap();
        rest(&mut breaking).await;
        let mut refused = server.upgrade("/parties/ending/a?refuse").await;
        refused.write_all(&close_frame(1008, "no")).await.unwrap();
        rest(&mut refused).await;
        server.get("/parties/ending/a").await;
    }
    until("all are closed", || sockets() == before).await;
    assert_eq!(server.service.sockets(), 0);
}
