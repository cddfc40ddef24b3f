//! A deadline is a time of the wall clock, so it takes effect at once when the clock
//! jumps.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use partyserver::*;
use partyserver_native::{Limits, Parties};
use support::{Socket, TestClock, TestServer, closed, text as next_text};
use tokio_websockets::Message as WsMessage;

/// Admits for one hour, and counts the messages.
struct Hourly(Arc<AtomicU32>);

impl Server for Hourly {
    async fn on_connect(&mut self, cx: &Context, c: &Connection, _: &Handshake) -> Result<()> {
        let hour = cx.now() + Duration::from_secs(60 * 60);
        c.close_at(hour, Close::new(3000, "token expired"));
        Ok(())
    }

    async fn on_message(&mut self, _: &Context, from: &Connection, _: Message) -> Result<()> {
        self.0.fetch_add(1, Ordering::SeqCst);
        from.send("handled")?;
        Ok(())
    }
}

/// A socket that has received an answer, and the clock that the test moves.
async fn live(ping: Duration) -> (TestServer, Socket, TestClock, Arc<AtomicU32>) {
    let clock = TestClock::new();
    let handled = Arc::new(AtomicU32::new(0));
    let hourly = {
        let handled = Arc::clone(&handled);
        move || Hourly(Arc::clone(&handled))
    };
    let limits = Limits::new().ping(ping, Duration::from_secs(600));
    let parties = Parties::new().limits(limits).clock(clock.clone());
    let server = TestServer::start(parties.party("hourly", hourly)).await;
    let mut socket = server.open("/parties/hourly/a").await;
    socket.send(WsMessage::text("?")).await.unwrap();
    assert_eq!(next_text(&mut socket).await, "handled");
    (server, socket, clock, handled)
}

#[tokio::test]
async fn no_frame_is_handled_past_it() {
    // No timer of the socket itself is due.
    let (_server, mut socket, clock, handled) = live(Duration::from_secs(600)).await;
    clock.advance(Duration::from_secs(2 * 60 * 60));
    socket.send(WsMessage::text("late")).await.unwrap();
    let told = (3000, "token expired".to_owned());
    assert_eq!(closed(&mut socket).await, told);
    assert_eq!(handled.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_idle_socket_is_closed_by_its_next_ping() {
    let (_server, mut socket, clock, _) = live(Duration::from_millis(50)).await;
    clock.advance(Duration::from_secs(2 * 60 * 60));
    let told = async {
        loop {
            let message = socket.next().await.unwrap().unwrap();
            if let Some((code, reason)) = message.as_close() {
                return (u16::from(code), reason.to_owned());
            }
            assert!(message.is_ping());
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(10), told).await;
    assert_eq!(told, Ok((3000, "token expired".to_owned())));
}
