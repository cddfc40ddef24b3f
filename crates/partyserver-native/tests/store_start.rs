//! A data folder that can't be used stops the start, with one line that names it. A
//! folder that another server has unlocked can be used again.

mod support;

use std::path::Path;
use std::time::Duration;

use partyserver::Server;
use partyserver_native::{Parties, PartyService, ServeError, StoreError};

struct Silent;

impl Server for Silent {}

fn build(folder: &Path) -> Result<PartyService, ServeError> {
    Parties::new()
        .party("silent", || Silent)
        .data(folder)
        .build()
}

fn refused(folder: &Path) -> StoreError {
    let Err(ServeError::Store(error)) = build(folder) else {
        panic!("{} was not refused", folder.display())
    };
    let message = error.to_string();
    assert!(message.contains(folder.to_str().unwrap()), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    error
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_stops_the_start() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(refused(&file), StoreError::Folder { .. }));
    let missing = parent.path().join("no/such");
    assert!(matches!(refused(&missing), StoreError::Folder { .. }));
}

#[tokio::test]
async fn a_folder_in_use_stops_the_start_until_the_other_server_has_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let first = build(folder.path()).unwrap();
    assert!(matches!(refused(folder.path()), StoreError::InUse { .. }));
    first.shutdown().await;
    assert!(build(folder.path()).is_ok());
    // The first server has stopped, but its value still exists.
    assert_eq!(first.sockets(), 0);
}

#[tokio::test]
async fn a_folder_is_free_once_nobody_holds_its_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = build(folder.path()).unwrap();
    // Its timers have begun to wait by then, but nothing signals that.
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(server);
    support::until("the folder is free", || build(folder.path()).is_ok()).await;
}

#[tokio::test]
async fn a_store_of_a_newer_version_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    build(folder.path()).unwrap().shutdown().await;
    let db = rusqlite::Connection::open(folder.path().join("rooms.sqlite3")).unwrap();
    db.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(db);
    let error = refused(folder.path());
    assert!(
        matches!(error, StoreError::Newer { found: 99, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_not_a_store_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let text = "this is not a database, but a text of some length";
    std::fs::write(folder.path().join("rooms.sqlite3"), text).unwrap();
    assert!(matches!(refused(folder.path()), StoreError::Damaged { .. }));
}
