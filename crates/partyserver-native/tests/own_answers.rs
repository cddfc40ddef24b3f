//! An answer that the host gives without a party may belong to a URL with a token. So
//! nobody may cache it, and pages it leads to are not told the URL.

mod support;

use partyserver::*;
use partyserver_native::{Limits, Parties, PartyService};
use support::Answer;
use tokio::io::AsyncWriteExt;

struct Plain;
impl Server for Plain {}

#[tokio::test]
async fn they_are_private() {
    let parties = Parties::new()
        .party("plain", || Plain)
        .limits(Limits::new().max_head(10_000))
        .fallback(async |_| panic!("as asked"));
    let service = parties.build().unwrap();
    let long = "x".repeat(10_000);
    let name = "x".repeat(1025);
    let (long_url, long_name) = (format!("/{long}"), format!("/parties/plain/{name}"));
    for (path, host, header, status) in [
        ("/parties/nothing/a", "localhost", "", 400),
        (&*long_name, "localhost", "", 414),
        (&*long_url, "localhost", "", 414),
        ("/parties/plain/a", "localhost", &*long, 431),
        ("/parties/plain/a", "user@localhost", "", 400),
        ("/panics", "localhost", "", 500),
    ] {
        assert_eq!(answer_of(&service, path, host, header).await, status);
    }
    service.shutdown().await;
    let stopped = answer_of(&service, "/parties/plain/a", "localhost", "");
    assert_eq!(stopped.await, 503);
}

/// The status of an answer, after a check that the answer is private. The server that
/// the service is mounted in takes heads of any size.
async fn answer_of(service: &PartyService, path: &str, host: &str, header: &str) -> u16 {
    let mut client = support::mounted(service, 4096);
    let request =
        format!("GET {path}?access_token=x HTTP/1.1\r\nHost: {host}\r\nX: {header}\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let answer = Answer::read(&mut client).await;
    let status = answer.status;
    let cached = answer.header("cache-control");
    assert_eq!(cached, Some("private, no-store"), "{status}");
    let referrer = answer.header("referrer-policy");
    assert_eq!(referrer, Some("no-referrer"), "{status}");
    status
}
