//! A refused socket is told the reason, and nothing of it reaches the room.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::SinkExt;
use partyserver::*;
use partyserver_native::{Limits, Parties};
use support::{TestServer, close_frame, closing, frame, handshake, rest, text as next_text, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_websockets::Message as WsMessage;

/// Refuses at the gate or in the room, as the query says. Counts the hooks that run.
struct Picky(Arc<AtomicUsize>);

fn refusal() -> Refusal {
    let answer = partyserver::answer::text(http::StatusCode::FORBIDDEN, "no");
    Refusal::closing(answer, Close::new(1008, "no"))
}

impl Server for Picky {
    async fn on_before_connect(&self, _: &Lobby, handshake: Handshake) -> Result<ConnectGate> {
        if handshake.uri().query() == Some("gate") {
            return Ok(ConnectGate::Refuse(refusal()));
        }
        Ok(ConnectGate::Admit(handshake))
    }

    async fn on_admit(&mut self, _: &Context, handshake: &Handshake) -> Result<Admission> {
        if handshake.uri().query() == Some("room") {
            return Ok(Admission::Refuse(refusal()));
        }
        Ok(Admission::Admit)
    }

    async fn on_connect(&mut self, cx: &Context, _: &Connection, _: &Handshake) -> Result<()> {
        self.0.fetch_add(1, Ordering::SeqCst);
        cx.room().broadcast("someone came");
        Ok(())
    }

    async fn on_message(&mut self, cx: &Context, from: &Connection, _: Message) -> Result<()> {
        self.0.fetch_add(1, Ordering::SeqCst);
        from.send(cx.room().connections().len().to_string())?;
        Ok(())
    }

    async fn on_close(&mut self, _: &Context, _: &Connection, _: CloseEvent) -> Result<()> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

async fn start(limits: Limits) -> (TestServer, Arc<AtomicUsize>) {
    let ran = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&ran);
    let picky = move || Picky(Arc::clone(&counter));
    let server = TestServer::start(Parties::new().limits(limits).party("picky", picky)).await;
    (server, ran)
}

#[tokio::test]
async fn nothing_it_sends_is_handled_and_it_receives_the_close_frame_alone() {
    let (server, ran) = start(Limits::new()).await;
    for by in ["gate", "room"] {
        let path = format!("/parties/picky/a?{by}");
        let (mut refused, head) = server.upgrade_with(&path, &frame(1, b"with it")).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(
            head.to_lowercase()
                .contains("sec-websocket-protocol: chat\r\n")
        );
        refused.write_all(&frame(1, b"before")).await.unwrap();
        // A connection that comes meanwhile announces itself to everyone in the room.
        let mut admitted = server.open("/parties/picky/a").await;
        assert_eq!(next_text(&mut admitted).await, "someone came");
        refused.write_all(&close_frame(1008, "no")).await.unwrap();
        refused.write_all(&frame(1, b"after")).await.unwrap();
        assert_eq!(rest(&mut refused).await, closing(1008, "no"));
        // Only the admitted connection is there, and only its message was handled.
        admitted.send(WsMessage::text("?")).await.unwrap();
        assert_eq!(next_text(&mut admitted).await, "1");
        assert_eq!(ran.swap(0, Ordering::SeqCst), 2, "{by}");
        admitted.close().await.unwrap();
        until("it leaves", || ran.load(Ordering::SeqCst) == 1).await;
        ran.store(0, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn the_gate_refuses_without_waking_the_room() {
    let (server, _) = start(Limits::new()).await;
    let mut refused = server.upgrade("/parties/picky/a?gate").await;
    refused.write_all(&close_frame(1008, "no")).await.unwrap();
    assert_eq!(rest(&mut refused).await, closing(1008, "no"));
    assert_eq!(server.service.rooms_started(), 0);
    assert_eq!(server.service.rooms_in_memory(), 0);
}

#[tokio::test]
async fn one_that_never_closes_is_dropped() {
    let limits = Limits::new().close_time(Duration::from_millis(300));
    let (server, _) = start(limits).await;
    let mut refused = server.upgrade("/parties/picky/a?gate").await;
    assert_eq!(rest(&mut refused).await, closing(1008, "no"));
}

#[tokio::test]
async fn one_that_sends_on_and_on_is_dropped() {
    // Only the amount can end it, because the time limit is longer than the test.
    let limits = Limits::new().close_time(Duration::from_secs(600));
    let (server, _) = start(limits).await;
    let fragment = |opcode, payload: &[u8]| {
        let mut fragment = frame(opcode, payload);
        fragment[0] &= 0x7f;
        fragment
    };
    for (what, first, on) in [
        ("large messages", vec![], frame(2, &[0; 60_000])),
        ("small messages", vec![], frame(2, b"x").repeat(1000)),
        ("pings", vec![], frame(9, b"").repeat(1000)),
        (
            "a message of empty fragments",
            fragment(1, b""),
            fragment(0, b"").repeat(1000),
        ),
        ("no frames", vec![], vec![0xff; 1000]),
    ] {
        let mut refused = server.upgrade("/parties/picky/a?gate").await;
        refused.write_all(&first).await.unwrap();
        let flood = async { while refused.write_all(&on).await.is_ok() {} };
        let flood = tokio::time::timeout(Duration::from_secs(10), flood).await;
        flood.expect(what);
    }
}

#[tokio::test]
async fn one_may_send_256_kib_and_no_more() {
    let limits = Limits::new().close_time(Duration::from_secs(600));
    let (server, _) = start(limits).await;
    let mut much = frame(2, &[0; 122]).repeat(2048);
    assert_eq!(much.len(), 256 * 1024);
    let last = much.pop().unwrap();
    // Bytes that came with the handshake count too.
    let (mut refused, _) = server
        .upgrade_with("/parties/picky/a?gate", &much[..1000])
        .await;
    refused.write_all(&much[1000..]).await.unwrap();
    let mut received = vec![0; closing(1008, "no").len()];
    refused.read_exact(&mut received).await.unwrap();
    assert_eq!(received, closing(1008, "no"));
    let early = tokio::time::timeout(Duration::from_millis(300), refused.read_u8()).await;
    assert!(early.is_err(), "it is still open");
    refused.write_all(&[last]).await.unwrap();
    assert_eq!(rest(&mut refused).await, b"");
}

#[tokio::test]
async fn one_is_let_go_at_its_own_close_frame_whatever_came_before() {
    let limits = Limits::new().close_time(Duration::from_secs(600));
    let (server, _) = start(limits).await;
    for before in [frame(1, b"small"), frame(2, &[0; 60_000])] {
        let mut refused = server.upgrade("/parties/picky/a?gate").await;
        refused.write_all(&before).await.unwrap();
        refused.write_all(&close_frame(1008, "no")).await.unwrap();
        refused.shutdown().await.unwrap();
        assert_eq!(rest(&mut refused).await, closing(1008, "no"));
    }
}

#[tokio::test]
async fn past_the_cap_in_all_the_http_form_is_sent() {
    let (server, _) = start(Limits::new().max_refused(2, 100)).await;
    let _first = server.upgrade("/parties/picky/a?gate").await;
    let _second = server.upgrade("/parties/picky/b?room").await;
    for by in ["gate", "room"] {
        let path = format!("/parties/picky/a?{by}");
        let answer = server.raw(handshake(&path)).await;
        assert_eq!((answer.status, &*answer.body), (403, "no"), "{by}");
    }
}

#[tokio::test]
async fn past_the_cap_of_an_address_the_http_form_is_sent() {
    let (server, _) = start(Limits::new().max_refused(100, 2)).await;
    let first = server.upgrade("/parties/picky/a?gate").await;
    let _second = server.upgrade("/parties/picky/b?room").await;
    let answer = server.raw(handshake("/parties/picky/a?gate")).await;
    assert_eq!((answer.status, &*answer.body), (403, "no"));
    // A place is free again once a refused socket has ended.
    drop(first);
    let again = async {
        loop {
            let (_, head) = server.upgrade_with("/parties/picky/a?gate", b"").await;
            if head.starts_with("HTTP/1.1 101 ") {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), again)
        .await
        .expect("the place is given back");
}
