//! The limits of a party hold in the kit.

use std::future::pending;
use std::time::Duration;

use http::StatusCode;
use partyserver::testing::{TestParties, TestRoom};
use partyserver::*;

/// Returns what it is sent. A request with a special path never ends.
struct Echo;

impl Server for Echo {
    async fn on_message(&mut self, _: &Context, from: &Connection, message: Message) -> Result<()> {
        from.send(message)?;
        Ok(())
    }

    async fn on_request(&mut self, cx: &Context, request: Request) -> Result<Response> {
        match request.uri().path().rsplit('/').next() {
            Some("for-ever") => pending().await,
            Some("long") => cx.room().sleep(Duration::from_secs(3600)).await,
            _ => {}
        }
        Ok(Response::new(request.into_body()))
    }
}

fn room(options: PartyOptions) -> TestRoom {
    TestRoom::with_options("echo", "a", options, || Echo)
}

fn post(path: &str, body: impl Into<Body>) -> Request {
    let request = http::Request::post(format!("http://test{path}"));
    request.body(body.into()).unwrap()
}

#[tokio::test]
async fn a_room_that_is_full() {
    let mut room = room(PartyOptions::new().max_connections_per_room(2));
    let first = room.connect("/").await.unwrap();
    let _second = room.connect("/").await.unwrap();
    let third = room.connect("/").await.unwrap();
    assert_eq!(third.closed(), Some(Close::new(1013, "the room is full")));
    assert!(third.connection().is_none());
    room.close(&first, 1000, "").await.unwrap();
    assert_eq!(room.connect("/").await.unwrap().closed(), None);
}

#[tokio::test]
async fn a_message_that_is_too_large() {
    let mut room = room(PartyOptions::new().max_message(4));
    let socket = room.connect("/").await.unwrap();
    room.send(&socket, "four").await.unwrap();
    assert_eq!(socket.received(), ["four".into()]);
    room.send(&socket, "fives").await.unwrap();
    assert_eq!(socket.received(), []);
    assert_eq!(
        socket.closed(),
        Some(Close::new(1009, "the message is too large"))
    );
    assert!(room.room().connections().is_empty());
}

#[tokio::test]
async fn a_body_that_is_too_large() {
    let mut room = room(PartyOptions::new().max_body(4));
    let fits = room.request(post("/", "four")).await.unwrap();
    assert_eq!(fits.into_body().bytes().await.unwrap(), "four");
    let streamed = || Body::stream(Body::from("fives"));
    for body in [Body::from("fives"), streamed()] {
        let answer = room.request(post("/", body)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
}

#[tokio::test]
async fn a_hook_that_sleeps_past_its_limit() {
    let mut room = room(PartyOptions::new().turn_limit(Duration::from_secs(10)));
    let before = room.now();
    let error = room.request(post("/long", "")).await.unwrap_err();
    assert_eq!(error.to_string(), "a hook ran past the turn limit");
    let took = room.now().duration_since(before).unwrap();
    assert_eq!(took, Duration::from_secs(10), "it was ended there");
}

#[tokio::test]
async fn a_hook_that_never_ends_ends_by_the_clock() {
    let limit = Duration::from_secs(10);
    let options = PartyOptions::new().turn_limit(limit);
    let parties = TestParties::new().party_with("echo", options, || Echo);
    let request = parties.request(post("/parties/echo/a/for-ever", ""));
    // Both run at once: the hook, and the clock that ends it.
    let (answer, ()) = tokio::join!(request, parties.advance(limit));
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(parties.failures().len(), 1);
    // The room starts again.
    let answer = parties.request(post("/parties/echo/a", "")).await;
    assert_eq!(answer.status(), StatusCode::OK);
}
