//! However a socket's task ends, its connection leaves the room.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::SinkExt;
use partyserver::*;
use partyserver_native::{Clock, Limits, Parties};
use support::{TestServer, text as next_text, until};
use tokio_websockets::Message as WsMessage;

/// Says how many connections there are, and tells the test that one has closed.
struct Counting(Arc<AtomicBool>);

impl Server for Counting {
    async fn on_connect(&mut self, cx: &Context, c: &Connection, _: &Handshake) -> Result<()> {
        if c.uri().query() == Some("limited") {
            let hour = cx.now() + Duration::from_secs(3600);
            c.close_at(hour, Close::new(3000, "token expired"));
        }
        Ok(())
    }

    async fn on_message(&mut self, cx: &Context, from: &Connection, _: Message) -> Result<()> {
        from.send(cx.room().connections().len().to_string())?;
        Ok(())
    }

    async fn on_close(&mut self, _: &Context, _: &Connection, event: CloseEvent) -> Result<()> {
        self.0.store(!event.clean, Ordering::SeqCst);
        Ok(())
    }
}

/// A clock that panics while it is told to. Only deadlines use it.
#[derive(Clone, Default)]
struct Breaking(Arc<AtomicBool>);

impl Clock for Breaking {
    fn now(&self) -> SystemTime {
        assert!(!self.0.load(Ordering::SeqCst), "the clock is broken");
        SystemTime::UNIX_EPOCH
    }
}

#[tokio::test]
async fn a_socket_whose_task_panics_leaves_the_room() {
    let clock = Breaking::default();
    let has_broken = Arc::new(AtomicBool::new(false));
    let closes = Arc::clone(&has_broken);
    let parties = Parties::new().clock(clock.clone());
    let parties = parties.party("counting", move || Counting(Arc::clone(&closes)));
    let server = TestServer::start(parties).await;
    let mut other = server.open("/parties/counting/a").await;
    let mut socket = server.open("/parties/counting/a?limited").await;
    socket.send(WsMessage::text("?")).await.unwrap();
    assert_eq!(next_text(&mut socket).await, "2");
    clock.0.store(true, Ordering::SeqCst);
    socket.send(WsMessage::text("?")).await.unwrap();
    until("the room is told", || has_broken.load(Ordering::SeqCst)).await;
    clock.0.store(false, Ordering::SeqCst);
    until("its place is free", || server.service.sockets() == 1).await;
    other.send(WsMessage::text("?")).await.unwrap();
    assert_eq!(next_text(&mut other).await, "1");
}

#[tokio::test]
async fn limits_without_end_are_none() {
    let limits = Limits::new()
        .head_time(Duration::MAX)
        .body_time(Duration::MAX)
        .write_time(Duration::MAX)
        .ping(Duration::MAX, Duration::MAX)
        .close_time(Duration::MAX)
        .shutdown_time(Duration::MAX);
    let options = PartyOptions::new()
        .turn_limit(Duration::MAX)
        .idle_time(Duration::MAX);
    let parties = Parties::new().limits(limits);
    let parties = parties.party_with("counting", options, || Counting(Arc::default()));
    let server = TestServer::start(parties).await;
    let mut socket = server.open("/parties/counting/a").await;
    socket.send(WsMessage::text("?")).await.unwrap();
    assert_eq!(next_text(&mut socket).await, "1");
    assert_eq!(server.get("/parties/counting/a").await.0, 404);
    let stop = tokio::spawn({
        let service = server.service.clone();
        async move { service.shutdown().await }
    });
    assert_eq!(support::closed(&mut socket).await.0, 1001);
    socket.close().await.unwrap();
    stop.await.expect("it stops");
}
