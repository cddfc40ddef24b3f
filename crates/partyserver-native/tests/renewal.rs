//! A renewal moves the end of a live socket, later or sooner, and nothing is handled or
//! sent past the end that holds then.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::{SinkExt, StreamExt};
use partyserver::*;
use partyserver_native::{Limits, Parties};
use support::{Socket, TestClock, TestServer, closed, text};
use tokio_websockets::Message as WsMessage;

/// Admits each connection for the milliseconds in its URL, and counts the messages. A GET
/// renews all connections for the milliseconds in its own, and says how many were still
/// open. A PUT sends to all, and says how many the room has.
struct Renewing(Arc<AtomicU32>);

fn number(uri: &http::Uri) -> u64 {
    uri.query().unwrap().parse().unwrap()
}

fn expired() -> Close {
    Close::new(3000, "token expired")
}

impl Server for Renewing {
    async fn on_connect(&mut self, cx: &Context, c: &Connection, h: &Handshake) -> Result<()> {
        c.renew(cx.now() + Duration::from_millis(number(h.uri())), expired());
        Ok(())
    }

    async fn on_message(&mut self, _: &Context, from: &Connection, _: Message) -> Result<()> {
        self.0.fetch_add(1, Ordering::SeqCst);
        from.send("handled")?;
        Ok(())
    }

    async fn on_request(&mut self, cx: &Context, request: Request) -> Result<Response> {
        let connections = cx.room().connections();
        if request.method() == http::Method::PUT {
            cx.room().broadcast("news");
            return answer::json(&connections.len());
        }
        let until = cx.now() + Duration::from_millis(number(request.uri()));
        let renewed = connections
            .iter()
            .filter(|connection| connection.renew(until, expired()));
        answer::json(&renewed.count())
    }
}

struct Live {
    server: TestServer,
    socket: Socket,
    handled: Arc<AtomicU32>,
}

impl Live {
    /// A socket that ends by itself after so many milliseconds.
    async fn for_millis(millis: u64, parties: Parties) -> Self {
        let handled = Arc::new(AtomicU32::new(0));
        let renewing = {
            let handled = Arc::clone(&handled);
            move || Renewing(Arc::clone(&handled))
        };
        // No other timer of the socket comes near.
        let ping = Duration::from_secs(600);
        let parties = parties.limits(Limits::new().ping(ping, 2 * ping));
        let server = TestServer::start(parties.party("renewing", renewing)).await;
        let socket = server.open(&format!("/parties/renewing/a?{millis}")).await;
        let mut live = Self {
            server,
            socket,
            handled,
        };
        // Its timer is set by then.
        live.say().await;
        assert_eq!(text(&mut live.socket).await, "handled");
        live
    }

    async fn say(&mut self) {
        self.socket.send(WsMessage::text("?")).await.unwrap();
    }

    /// Renews it; whether it was still open.
    async fn renew(&self, millis: u64) -> bool {
        let (status, renewed) = self
            .server
            .get(&format!("/parties/renewing/a?{millis}"))
            .await;
        assert_eq!(status, 200);
        renewed == "1"
    }

    /// Sends to all that are open; how many there are.
    async fn broadcast(&self) -> String {
        let line = "PUT /parties/renewing/a HTTP/1.1";
        self.server.send(line, &[]).await.body
    }

    fn handled(&self) -> u32 {
        self.handled.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn moved_later_it_outlives_the_old_end_and_closes_at_the_new_one() {
    let began = SystemTime::now();
    let mut live = Live::for_millis(700, Parties::new()).await;
    assert!(live.renew(1_500).await);
    let renewed = SystemTime::now();
    let old_end = began + Duration::from_millis(800);
    let quiet = old_end
        .duration_since(SystemTime::now())
        .unwrap_or_default();
    let early = tokio::time::timeout(quiet, live.socket.next()).await;
    assert!(early.is_err(), "nothing happens at the old end: {early:?}");
    live.say().await;
    assert_eq!(text(&mut live.socket).await, "handled");
    // Nothing is sent or received until its own timer ends it.
    let told = closed(&mut live.socket).await;
    assert_eq!(told, (3000, "token expired".to_owned()));
    let lived = renewed.elapsed().unwrap();
    assert!(lived >= Duration::from_millis(1_400), "{lived:?}");
    assert!(!live.renew(60_000).await, "nothing revives it");
    assert_eq!(live.handled(), 2);
}

#[tokio::test]
async fn moved_sooner_it_closes_sooner() {
    let mut live = Live::for_millis(3_600_000, Parties::new()).await;
    assert!(live.renew(300).await);
    // `closed` waits for ten seconds at most.
    let told = closed(&mut live.socket).await;
    assert_eq!(told, (3000, "token expired".to_owned()));
}

#[tokio::test]
async fn nothing_is_handled_or_sent_past_the_moved_end() {
    for (at_first, renewed, jump) in [
        (60_000, 120_000, 120),
        (120_000, 60_000, 60),
        (60_000, 120_000, 3_600),
    ] {
        let clock = TestClock::new();
        let parties = Parties::new().clock(clock.clone());
        let mut live = Live::for_millis(at_first, parties).await;
        assert!(live.renew(renewed).await);
        clock.advance(Duration::from_millis(jump * 1000 - 1));
        if jump * 1000 <= renewed {
            live.say().await;
            assert_eq!(text(&mut live.socket).await, "handled");
            clock.advance(Duration::from_millis(1));
        }
        let handled = live.handled();
        // A renewal that comes too late, a broadcast, and a frame of the client.
        assert!(!live.renew(renewed).await);
        live.broadcast().await;
        live.say().await;
        let told = closed(&mut live.socket).await;
        assert_eq!(told, (3000, "token expired".to_owned()), "{renewed}");
        assert_eq!(live.handled(), handled);
        assert_eq!(live.broadcast().await, "0");
    }
}
