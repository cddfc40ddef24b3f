//! Rooms leave memory, and come back.

mod support;

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use partyserver::*;
use partyserver_native::{Parties, PartyService};
use support::{TestServer, until};

struct Plain;
impl Server for Plain {}

#[tokio::test]
async fn unused_rooms_leave_memory() {
    let options = PartyOptions::new().idle_time(Duration::from_millis(200));
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
    // A room with a socket stays until the socket is gone.
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
async fn rooms_are_capped_until_others_leave() {
    let options = PartyOptions::new()
        .max_rooms(2)
        .idle_time(Duration::from_secs(2));
    let parties = Parties::new()
        .party_with("few", options, || Plain)
        .party("plain", || Plain);
    let server = TestServer::start(parties).await;
    let _socket = server.open("/parties/few/a").await;
    assert_eq!(server.get("/parties/few/b").await.0, 404);
    let line = "GET /parties/few/c HTTP/1.1";
    let refused = server.send(line, &[]).await;
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (503, Some("5"))
    );
    let mut third = server.open("/parties/few/c").await;
    let told = (1013, "try again later".to_owned());
    assert_eq!(support::closed(&mut third).await, told);
    // Rooms that are in memory are still served, and so are rooms of other parties.
    let _again = server.open("/parties/few/a").await;
    assert_eq!(server.get("/parties/plain/c").await.0, 404);
    until("one has left", || server.service.rooms_in_memory() < 3).await;
    assert_eq!(server.get("/parties/few/c").await.0, 404);
}

#[tokio::test]
async fn sockets_are_counted_and_capped() {
    let limits = partyserver_native::Limits::new().max_sockets(2);
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

/// When it is dropped, it uses the server that it is a part of, from another thread,
/// and then panics.
struct Dramatic {
    service: Arc<OnceLock<PartyService>>,
    seen: Sender<bool>,
}
impl Server for Dramatic {}

impl Drop for Dramatic {
    fn drop(&mut self) {
        let Some(service) = self.service.get().cloned() else {
            return;
        };
        let (look, looked) = channel();
        std::thread::spawn(move || look.send(service.rooms_in_memory()));
        let is_free = looked.recv_timeout(Duration::from_secs(2)).is_ok();
        self.seen.send(is_free).unwrap();
        panic!("as asked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_servers_end_holds_up_nobody_and_may_panic() {
    let service = Arc::new(OnceLock::new());
    let (seen, all_seen) = channel();
    let dramatic = {
        let service = Arc::clone(&service);
        move || Dramatic {
            service: Arc::clone(&service),
            seen: seen.clone(),
        }
    };
    let options = PartyOptions::new().idle_time(Duration::from_millis(100));
    let server = TestServer::start(Parties::new().party_with("dramatic", options, dramatic)).await;
    assert!(service.set(server.service.clone()).is_ok());
    for room in 0..3 {
        assert_eq!(
            server.get(&format!("/parties/dramatic/{room}")).await.0,
            404
        );
    }
    until("all leave", || server.service.rooms_in_memory() == 0).await;
    let seen: Vec<_> = all_seen.try_iter().collect();
    assert_eq!(seen, [true; 3], "the rooms could be looked at meanwhile");
}
