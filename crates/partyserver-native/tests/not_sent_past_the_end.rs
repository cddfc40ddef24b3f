//! After a deadline or a revocation, only the close frame is sent, and the rest of the
//! frame that the client's stream had begun to take.

mod support;

use std::time::Duration;

use partyserver::*;
use partyserver_native::{Limits, Parties, PartyService};
use support::{TestClock, closing, handshake, mounted, read_head, rest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower_service::Service as _;

/// Sends a lot to each new connection, which may stay for a minute. Closes or revokes
/// on request.
struct Talkative;

impl Server for Talkative {
    async fn on_connect(&mut self, cx: &Context, c: &Connection, _: &Handshake) -> Result<()> {
        let minute = cx.now() + Duration::from_secs(60);
        c.close_at(minute, Close::new(3000, "token expired"));
        for number in 0..100 {
            c.send(format!("{number:098}"))?;
        }
        Ok(())
    }

    async fn on_request(&mut self, cx: &Context, request: Request) -> Result<Response> {
        for connection in cx.room().connections() {
            if request.uri().path().ends_with("/close") {
                connection.close(4000, "the end");
            } else {
                connection.revoke(Close::new(1008, "session ended"));
            }
        }
        answer::json(&"done")
    }
}

/// The client's stream has taken 250 bytes when `end` happens. Returns how many of the
/// messages, of 100 bytes each on the wire, the client receives.
async fn received_around(end: impl AsyncFnOnce(&TestClock, &PartyService), close: &[u8]) -> usize {
    let clock = TestClock::new();
    let limits = Limits::new().close_time(Duration::from_millis(300));
    let parties = Parties::new().limits(limits).clock(clock.clone());
    let service = parties.party("talkative", || Talkative).build().unwrap();
    let mut client = mounted(&service, 250);
    let request = handshake("/parties/talkative/a");
    client.write_all(request.as_bytes()).await.unwrap();
    read_head(&mut client).await;
    // The stream has begun, and waits until the client reads on.
    let mut first = [0];
    client.read_exact(&mut first).await.unwrap();
    end(&clock, &service).await;
    let received = [&first[..], &rest(&mut client).await].concat();
    let messages = received
        .strip_suffix(close)
        .expect("the close frame is last");
    assert_eq!(messages.len() % 100, 0, "no message is sent by halves");
    for (number, message) in messages.chunks(100).enumerate() {
        let frame = [&[0x81, 98][..], format!("{number:098}").as_bytes()].concat();
        assert_eq!(message, frame);
    }
    messages.len() / 100
}

async fn ask(service: &PartyService, what: &str) {
    let request = http::Request::get(format!("/parties/talkative/a/{what}"));
    let request = request.header("host", "localhost");
    let request = request.body(http_body_util::Empty::<bytes::Bytes>::new());
    let answer = service.clone().call(request.unwrap()).await;
    assert_eq!(answer.unwrap().status(), 200);
}

#[tokio::test]
async fn at_a_deadline_that_comes_with_a_jump_of_the_clock() {
    let end = async |clock: &TestClock, _: &PartyService| clock.advance(Duration::from_secs(61));
    let received = received_around(end, &closing(3000, "token expired")).await;
    assert!(received <= 3, "{received} of 100");
}

#[tokio::test]
async fn at_a_revocation() {
    let end = async |_: &TestClock, service: &PartyService| ask(service, "revoke").await;
    let received = received_around(end, &closing(1008, "session ended")).await;
    assert!(received <= 3, "{received} of 100");
}

/// After the room's close, waiting messages are still sent, but not past the deadline.
#[tokio::test]
async fn at_a_deadline_after_a_close() {
    let end = async |clock: &TestClock, service: &PartyService| {
        ask(service, "close").await;
        clock.advance(Duration::from_secs(61));
    };
    let received = received_around(end, &closing(4000, "the end")).await;
    assert!(received <= 3, "{received} of 100");
    let end = async |_: &TestClock, service: &PartyService| ask(service, "close").await;
    let received = received_around(end, &closing(4000, "the end")).await;
    assert_eq!(received, 100);
}

#[tokio::test]
async fn without_an_end_all_is_sent() {
    let end = async |_: &TestClock, service: &PartyService| {
        let service = service.clone();
        tokio::spawn(async move { service.shutdown().await });
    };
    let received = received_around(end, &closing(1001, "the server stops")).await;
    assert_eq!(received, 100);
}
