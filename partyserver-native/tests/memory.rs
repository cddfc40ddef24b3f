//! Rooms leave memory, and come back.

mod support;

use std::time::Duration;

use partyserver::*;
use partyserver_native::Parties;
use support::TestServer;

struct Plain;
impl Server for Plain {}

#[tokio::test]
async fn unused_rooms_leave_memory() {
    let options = PartyOptions::new().with_idle_time(Duration::from_millis(200));
    let parties = Parties::new().party_with("plain", options, || Plain);
    let server = TestServer::start(parties).await;
    let socket = server.open("/parties/plain/with-a-socket").await;
    for room in 0..100 {
        assert_eq!(server.get(&format!("/parties/plain/{room}")).await.0, 404);
    }
    assert_eq!(server.service.rooms_started(), 101);
    let emptied = async {
        while server.service.rooms_in_memory() > 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), emptied)
        .await
        .expect("they leave");
    // The one with a socket stays until the socket goes.
    drop(socket);
    let emptied = async {
        while server.service.rooms_in_memory() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), emptied)
        .await
        .expect("it leaves");
}

#[tokio::test]
async fn sockets_are_counted_and_capped() {
    let limits = partyserver_native::Limits::new().with_max_sockets(2);
    let server = TestServer::start(Parties::new().limits(limits).party("plain", || Plain)).await;
    let first = server.open("/parties/plain/a").await;
    let _second = server.open("/parties/plain/b").await;
    let mut third = server.open("/parties/plain/c").await;
    let refused = futures_util::StreamExt::next(&mut third)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        refused.as_close().map(|(code, _)| u16::from(code)),
        Some(1013)
    );
    assert_eq!(
        server.service.rooms_started(),
        2,
        "the third room was not woken"
    );
    drop(first);
    let freed = async {
        while server.service.sockets() > 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), freed)
        .await
        .expect("its place is free");
}
