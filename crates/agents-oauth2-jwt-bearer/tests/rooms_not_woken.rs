//! Traffic without a valid token wakes no room.

mod support;

use agents_oauth2_jwt_bearer::{WithAuth, WithOwnership};
use partyserver::Server;
use partyserver_native::Parties;
use support::TestServer;

struct Quiet;
impl Server for Quiet {}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_refused_requests_start_no_room() {
    let server = TestServer::start(|options| {
        Parties::new().party("private", move || {
            WithAuth::new(WithOwnership::new(Quiet), options.clone())
        })
    })
    .await;
    let server = std::sync::Arc::new(server);
    let bad = server.issuer.token().audience("other").sign();
    let clients = (0..8).map(|client| {
        let (server, bad) = (server.clone(), bad.clone());
        tokio::spawn(async move {
            for i in 0..1250 {
                let path = format!("/parties/private/room-{client}-{i}");
                let token = (i % 2 == 0).then_some(bad.as_str());
                assert_eq!(server.get(&path, token).await, 401);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    let mut refused = server.open("/parties/private/socket", None).await;
    assert_eq!(support::closed(&mut refused).await.0, 1008);
    assert_eq!(
        (
            server.service.rooms_started(),
            server.service.rooms_in_memory()
        ),
        (0, 0)
    );
    assert_eq!(server.service.sockets(), 0);
    // A check that the counter works.
    let alice = server.issuer.token().sign();
    assert_eq!(server.get("/parties/private/room", Some(&alice)).await, 403);
    assert_eq!(server.service.rooms_started(), 1);
}
