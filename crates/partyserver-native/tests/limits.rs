//! What is too large, too slow or too much gets an answer, not a reset. Each client
//! here sends everything before it reads anything.

mod support;

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::StatusCode;
use partyserver::*;
use partyserver_native::{Limits, Parties};
use support::{Answer, TestServer, closed, closing, frame, handshake, rest, text as next_text};
use tokio::io::AsyncWriteExt;
use tokio_websockets::Message as WsMessage;

/// Answers with the length of what it received.
struct Lengths;

impl Server for Lengths {
    async fn on_message(&mut self, _: &Context, from: &Connection, m: Message) -> Result<()> {
        from.send(m.as_bytes().len().to_string())?;
        Ok(())
    }

    async fn on_request(&mut self, _: &Context, request: Request) -> Result<Response> {
        if request.uri().path().ends_with("/much") {
            return Ok(partyserver::answer::text(
                StatusCode::OK,
                vec![b'x'; 64 << 20],
            ));
        }
        let length = request.into_body().bytes().await?.len();
        Ok(partyserver::answer::text(
            StatusCode::OK,
            length.to_string(),
        ))
    }
}

fn parties() -> Parties {
    let small = PartyOptions::new()
        .max_body(1000)
        .max_message(1000)
        .max_connections_per_room(2);
    Parties::new()
        .party("lengths", || Lengths)
        .party_with("small", small, || Lengths)
}

#[tokio::test]
async fn heads() {
    let server = TestServer::start(parties()).await;
    let get = |url: &str, headers: &str| {
        format!("GET {url} HTTP/1.1\r\nHost: localhost\r\n{headers}Connection: close\r\n\r\n")
    };
    let header = |length| format!("X: {}\r\n", "x".repeat(length));
    let url = |length| format!("/parties/lengths/a?{}", "x".repeat(length));
    for (what, request, status) in [
        ("a fair URL", get(&url(60_000), ""), 200),
        ("a long URL", get(&url(66_000), ""), 414),
        (
            "fair headers",
            get("/parties/lengths/a", &header(60_000)),
            200,
        ),
        (
            "large headers",
            get("/parties/lengths/a", &header(66_000)),
            431,
        ),
        (
            "huge headers",
            get("/parties/lengths/a", &header(4_000_000)),
            431,
        ),
        (
            "many headers",
            get("/parties/lengths/a", &header(1).repeat(101)),
            431,
        ),
    ] {
        assert_eq!(server.raw(request).await.status, status, "{what}");
    }
}

#[tokio::test]
async fn a_smaller_limit_of_the_head() {
    let parties = parties().limits(Limits::new().max_head(10_000));
    let server = TestServer::start(parties).await;
    let long = "x".repeat(10_000);
    let answer = server.send("GET / HTTP/1.1", &[("X", &long)]).await;
    assert_eq!(answer.status, 431);
    let answer = server.send(&format!("GET /{long} HTTP/1.1"), &[]).await;
    assert_eq!(answer.status, 414);
}

#[tokio::test]
async fn bodies() {
    let server = TestServer::start(parties()).await;
    let post = |party: &str, framing: &str, body: &str| {
        format!("POST /parties/{party}/a HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n{body}")
    };
    let sized = |party, length| {
        let framing = format!("Content-Length: {length}");
        post(party, &framing, &"x".repeat(length))
    };
    let chunked = |chunks| {
        let chunk = format!("64\r\n{}\r\n", "x".repeat(100));
        let body = format!("{}0\r\n\r\n", chunk.repeat(chunks));
        post("small", "Transfer-Encoding: chunked", &body)
    };
    for (request, status, body) in [
        (sized("small", 1000), 200, "1000"),
        (sized("small", 1001), 413, "The body is too large"),
        (sized("lengths", 8_000_000), 413, "The body is too large"),
        (chunked(10), 200, "1000"),
        (chunked(11), 413, "The request's body can't be used"),
        (chunked(20_000), 413, "The request's body can't be used"),
    ] {
        let answer = server.raw(request).await;
        assert_eq!((answer.status, &*answer.body), (status, body));
    }
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_holds_up_nobody() {
    let limits = Limits::new().body_time(Duration::from_millis(300));
    let server = TestServer::start(parties().limits(limits)).await;
    let mut slow = server.tcp().await;
    let begun =
        b"POST /parties/lengths/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx";
    slow.write_all(begun).await.unwrap();
    assert_eq!(server.get("/parties/lengths/a").await.0, 200);
    assert_eq!(Answer::read(&mut slow).await.status, 408);
}

#[tokio::test]
async fn an_answer_that_is_not_taken_is_given_up() {
    let limits = Limits::new()
        .write_time(Duration::from_millis(300))
        .max_connections(1);
    let server = TestServer::start(parties().limits(limits)).await;
    let mut stuck = server.tcp().await;
    let request = b"GET /parties/lengths/a/much HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stuck.write_all(request).await.unwrap();
    // There is one place, and it is free again although the client is still there.
    assert_eq!(server.get("/parties/lengths/a").await.0, 200);
    drop(stuck);
}

#[tokio::test]
async fn a_connection_that_is_idle_gives_up_its_place() {
    let limits = Limits::new()
        .head_time(Duration::from_millis(300))
        .max_connections(1);
    let server = TestServer::start(parties().limits(limits)).await;
    let mut idle = server.tcp().await;
    let request = b"GET /parties/lengths/a HTTP/1.1\r\nHost: localhost\r\n\r\n";
    idle.write_all(request).await.unwrap();
    assert_eq!(Answer::read(&mut idle).await.status, 200);
    assert_eq!(server.get("/parties/lengths/a").await.0, 200);
}

#[tokio::test]
async fn sockets_are_among_the_connections_and_leave_a_quarter_of_them() {
    let limits = Limits::new().max_connections(4);
    let server = TestServer::start(parties().limits(limits)).await;
    let first = server.open("/parties/lengths/a").await;
    let _second = server.open("/parties/lengths/a").await;
    let _third = server.open("/parties/lengths/a").await;
    let mut fourth = server.open("/parties/lengths/a").await;
    assert_eq!(closed(&mut fourth).await.0, 1013);
    drop(fourth);
    assert_eq!(server.get("/parties/lengths/a").await.0, 200);
    let idle = server.tcp().await;
    let answer = server.get("/parties/lengths/a");
    let mut answer = std::pin::pin!(answer);
    let early = tokio::time::timeout(Duration::from_millis(300), &mut answer).await;
    assert!(early.is_err(), "all four are open");
    drop(first);
    assert_eq!(answer.await.0, 200);
    drop(idle);
}

#[tokio::test]
async fn messages() {
    let server = TestServer::start(parties()).await;
    let mut socket = server.open("/parties/small/a").await;
    socket.send(WsMessage::binary(vec![0; 1000])).await.unwrap();
    assert_eq!(next_text(&mut socket).await, "1000");
    socket.send(WsMessage::binary(vec![0; 1001])).await.unwrap();
    assert_eq!(closed(&mut socket).await.0, 1009);

    // The sizes of fragments are added up.
    let mut fragments = server.upgrade("/parties/small/a").await;
    let mut first = frame(1, &[b'x'; 600]);
    first[0] &= 0x7f;
    fragments.write_all(&first).await.unwrap();
    fragments.write_all(&frame(0, &[b'x'; 600])).await.unwrap();
    fragments
        .write_all(&support::close_frame(1009, ""))
        .await
        .unwrap();
    assert_eq!(rest(&mut fragments).await, closing(1009, ""));
}

#[tokio::test]
async fn a_huge_message_is_refused_to_a_client_that_sends_it_whole() {
    let server = TestServer::start(parties()).await;
    let mut socket = server.upgrade("/parties/small/a").await;
    let length = 8_000_000_u64;
    let mut message = vec![0x82, 0xff];
    message.extend(length.to_be_bytes());
    message.resize(message.len() + 4 + length as usize, 0);
    socket.write_all(&message).await.unwrap();
    socket.shutdown().await.unwrap();
    let why = closing(1009, "max length: 1000");
    assert_eq!(rest(&mut socket).await, why);
}

#[tokio::test]
async fn connections_of_a_room() {
    let server = TestServer::start(parties()).await;
    let first = server.open("/parties/small/a").await;
    let _second = server.open("/parties/small/a").await;
    let mut third = server.open("/parties/small/a").await;
    let full = (1013, "the room is full".to_owned());
    assert_eq!(closed(&mut third).await, full);
    let _elsewhere = server.open("/parties/small/b").await;
    drop(first);
    let again = async {
        loop {
            let mut socket = server.open("/parties/small/a").await;
            socket.send(WsMessage::text("x")).await.unwrap();
            if socket.next().await.unwrap().unwrap().is_text() {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), again)
        .await
        .expect("a place is free again");
}

#[tokio::test]
async fn a_full_room_is_503_where_no_close_frame_can_be_sent() {
    let limits = Limits::new().max_refused(0, 0);
    let server = TestServer::start(parties().limits(limits)).await;
    let _first = server.open("/parties/small/a").await;
    let _second = server.open("/parties/small/a").await;
    let answer = server.raw(handshake("/parties/small/a")).await;
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").is_some());
    assert_eq!(answer.header("cache-control"), Some("private, no-store"));
}

#[tokio::test]
async fn past_the_cap_on_refused_sockets_capacity_is_503() {
    let limits = Limits::new().max_sockets(0).max_refused(0, 0);
    let server = TestServer::start(parties().limits(limits)).await;
    let answer = server.raw(handshake("/parties/small/a")).await;
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").is_some());
    assert_eq!(server.service.rooms_started(), 0);
}
