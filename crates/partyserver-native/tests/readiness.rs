//! `/readyz` says when the store fails.

mod support;

use partyserver::*;
use partyserver_native::Parties;
use support::TestServer;

struct Plain;
impl Server for Plain {}

#[tokio::test]
async fn a_server_whose_store_fails_is_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let parties = Parties::new().data(folder.path());
    let server = TestServer::start(parties.party("plain", || Plain)).await;
    let ready = (200, r#"{"ready":true,"reasons":[]}"#.to_owned());
    assert_eq!(server.get("/readyz").await, ready);
    // From here on nothing in the file can be read.
    let db = rusqlite::Connection::open(folder.path().join("rooms.sqlite3")).unwrap();
    db.execute_batch(
        "PRAGMA writable_schema = ON;
         INSERT INTO sqlite_schema VALUES ('table', 'x', 'x', 0, 'no statement');
         PRAGMA schema_version = 1000",
    )
    .unwrap();
    let (status, body) = server.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(body.starts_with(r#"{"ready":false,"reasons":[""#), "{body}");
    // The server is still alive.
    assert_eq!(server.get("/healthz").await.0, 200);
}
