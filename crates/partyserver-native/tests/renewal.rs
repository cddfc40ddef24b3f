//! A renewal makes an open socket's deadline later or earlier. It never reopens a
//! socket.

mod support;

use std::time::{Duration, Instant, SystemTime};

use futures_util::{SinkExt, StreamExt};
use partyserver::wrap::renew;
use partyserver::*;
use partyserver_native::{Clock, Limits, Parties, SystemClock};
use support::{Socket, TestClock, TestServer, closed, text as next_text};
use tokio_websockets::Message as WsMessage;

/// Admits for one minute. A message renews its own connection, and a request renews all.
/// The message, or the end of the path, says for how many milliseconds from now.
struct Renewing;

fn renewed(connection: &Connection, now: SystemTime, millis: u64) -> bool {
    let until = now + Duration::from_millis(millis);
    renew(connection, until, Close::new(3000, "token expired"))
}

impl Server for Renewing {
    async fn on_connect(&mut self, cx: &Context, c: &Connection, _: &Handshake) -> Result<()> {
        renewed(c, cx.now(), 60_000);
        Ok(())
    }

    async fn on_message(&mut self, cx: &Context, from: &Connection, m: Message) -> Result<()> {
        if let Ok(millis) = m.as_text()?.parse() {
            renewed(from, cx.now(), millis);
        }
        from.send("handled")?;
        Ok(())
    }

    async fn on_request(&mut self, cx: &Context, request: Request) -> Result<Response> {
        let what = request.uri().path().rsplit('/').next().unwrap_or_default();
        let done = cx.room().connections().into_iter().map(|connection| {
            what.parse().map_or_else(
                |_| connection.send("sent").is_ok(),
                |millis| renewed(&connection, cx.now(), millis),
            )
        });
        answer::json(&done.collect::<Vec<_>>())
    }
}

async fn start(clock: impl Clock) -> (TestServer, Socket) {
    let day = Duration::from_secs(24 * 60 * 60);
    // No other timer of the socket is due.
    let limits = Limits::new().ping(day, day);
    let parties = Parties::new().limits(limits).clock(clock);
    let server = TestServer::start(parties.party("renewing", || Renewing)).await;
    let socket = server.open("/parties/renewing/a").await;
    (server, socket)
}

async fn says(socket: &mut Socket, text: &str) {
    socket.send(WsMessage::text(text.to_owned())).await.unwrap();
    assert_eq!(next_text(socket).await, "handled");
}

async fn answer_to(server: &TestServer, what: &str) -> String {
    server.get(&format!("/parties/renewing/a/{what}")).await.1
}

fn expired() -> (u16, String) {
    (3000, "token expired".to_owned())
}

#[tokio::test]
async fn the_timer_follows_a_deadline_that_moves_sooner() {
    // It is renewed by its own message, whose turn runs in the socket's task, and from
    // outside.
    let (_server, mut socket) = start(SystemClock).await;
    let began = Instant::now();
    says(&mut socket, "300").await;
    assert_eq!(closed(&mut socket).await, expired());
    assert!(began.elapsed() >= Duration::from_millis(299));

    let (server, mut socket) = start(SystemClock).await;
    says(&mut socket, "?").await;
    let began = Instant::now();
    assert_eq!(answer_to(&server, "300").await, "[true]");
    assert_eq!(closed(&mut socket).await, expired());
    assert!(began.elapsed() >= Duration::from_millis(299));
}

#[tokio::test]
async fn the_timer_follows_a_deadline_that_moves_later() {
    let (server, mut socket) = start(SystemClock).await;
    for by_message in [true, false] {
        // The timer is set for the earlier deadline first.
        says(&mut socket, "700").await;
        let began = Instant::now();
        if by_message {
            says(&mut socket, "60000").await;
            says(&mut socket, "1600").await;
        } else {
            assert_eq!(answer_to(&server, "1600").await, "[true]");
        }
        // At the earlier deadline its timer fires, but nothing is sent.
        let past = Duration::from_millis(900);
        let nothing = tokio::time::timeout(past, socket.next()).await;
        assert!(nothing.is_err(), "{nothing:?}");
        says(&mut socket, "?").await;
        if !by_message {
            assert_eq!(closed(&mut socket).await, expired());
            assert!(began.elapsed() >= Duration::from_millis(1599));
        }
    }
}

#[tokio::test]
async fn nothing_is_handled_or_sent_past_the_new_deadline() {
    let clock = TestClock::new();
    let (server, mut socket) = start(clock.clone()).await;
    clock.advance(Duration::from_secs(59));
    says(&mut socket, "60000").await;
    clock.advance(Duration::from_secs(59));
    says(&mut socket, "?").await;
    assert_eq!(answer_to(&server, "send").await, "[true]");
    assert_eq!(next_text(&mut socket).await, "sent");
    clock.advance(Duration::from_secs(1));
    // Nothing has noticed the deadline yet, but the connection is over.
    assert_eq!(answer_to(&server, "send").await, "[false]");
    assert_eq!(answer_to(&server, "60000").await, "[false]");
    socket.send(WsMessage::text("60000")).await.unwrap();
    assert_eq!(closed(&mut socket).await, expired());
}

#[tokio::test]
async fn a_sooner_deadline_counts_at_once() {
    let clock = TestClock::new();
    let (server, mut socket) = start(clock.clone()).await;
    says(&mut socket, "?").await;
    assert_eq!(answer_to(&server, "1000").await, "[true]");
    clock.advance(Duration::from_secs(1));
    socket.send(WsMessage::text("60000")).await.unwrap();
    assert_eq!(closed(&mut socket).await, expired());
}

#[tokio::test]
async fn a_time_that_has_passed_closes_at_once() {
    let (server, mut socket) = start(SystemClock).await;
    says(&mut socket, "?").await;
    assert_eq!(answer_to(&server, "0").await, "[true]");
    assert_eq!(closed(&mut socket).await, expired());
}
