//! What a trusted proxy says about its clients is believed; what others say is not.

mod support;

use std::net::{IpAddr, Ipv4Addr};

use partyserver::*;
use partyserver_native::{Limits, Parties};
use support::{Answer, TestServer, handshake};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Refuses every socket, and answers with the URL that it sees.
struct Closed;

impl Server for Closed {
    async fn on_before_connect(&self, _: &Lobby, _: Handshake) -> Result<ConnectGate> {
        let answer = partyserver::answer::text(http::StatusCode::FORBIDDEN, "no");
        let refusal = Refusal::closing(answer, Close::new(1008, "no"));
        Ok(ConnectGate::Refuse(refusal))
    }

    async fn on_request(&mut self, _: &Context, request: Request) -> Result<Response> {
        let uri = request.uri().to_string();
        Ok(partyserver::answer::text(http::StatusCode::OK, uri))
    }
}

/// For each address, one refused socket at a time is told the reason.
async fn start(trusted: &[IpAddr]) -> TestServer {
    let parties = Parties::new()
        .limits(Limits::new().max_refused(100, 1))
        .trusted_proxies(trusted.iter().copied())
        .party("closed", || Closed);
    TestServer::start(parties).await
}

/// The status of an upgrade that a proxy passes on, and its connection.
async fn refused(server: &TestServer, said: &str) -> (u16, TcpStream) {
    let mut stream = server.tcp().await;
    let said = format!(" HTTP/1.1\r\n{said}\r\n");
    let request = handshake("/parties/closed/a").replacen(" HTTP/1.1\r\n", &said, 1);
    stream.write_all(request.as_bytes()).await.unwrap();
    let status = Answer::read(&mut stream).await.status;
    (status, stream)
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[tokio::test]
async fn refusals_are_counted_by_the_address_that_a_trusted_proxy_tells() {
    let server = start(&[LOOPBACK]).await;
    let mut held = Vec::new();
    for (said, expected) in [
        ("X-Forwarded-For: 203.0.113.1", 101),
        ("X-Forwarded-For: 203.0.113.1", 403),
        // The proxy's own entry is the last. A client can send the others.
        ("X-Forwarded-For: 203.0.113.9, 203.0.113.1", 403),
        ("Forwarded: for=203.0.113.1;proto=https", 403),
        ("X-Forwarded-For: 203.0.113.2", 101),
        ("Forwarded: for=\"[2001:db8::1]:4711\"", 101),
        ("Forwarded: for=\"[2001:db8::2]:4712\"", 403),
    ] {
        let (status, stream) = refused(&server, said).await;
        assert_eq!(status, expected, "{said}");
        held.push(stream);
    }
}

#[tokio::test]
async fn others_are_not_believed() {
    let server = start(&["198.51.100.7".parse().unwrap()]).await;
    let (first, _held) = refused(&server, "X-Forwarded-For: 203.0.113.1").await;
    let (second, _other) = refused(&server, "X-Forwarded-For: 203.0.113.2").await;
    assert_eq!((first, second), (101, 403), "both come from one address");
}

#[tokio::test]
async fn rooms_see_the_url_that_the_client_used() {
    let said = [
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "rooms.localhost"),
    ];
    for (trusted, url) in [
        (&[LOOPBACK][..], "https://rooms.localhost/parties/closed/a"),
        (&[], "http://localhost/parties/closed/a"),
    ] {
        let server = start(trusted).await;
        let line = "GET /parties/closed/a HTTP/1.1";
        let answer = server.send(line, &said).await;
        assert_eq!((answer.status, &*answer.body), (200, url));
    }
}
