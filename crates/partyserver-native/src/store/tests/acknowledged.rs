//! A write is acknowledged only when it is on disk.

use std::sync::mpsc::channel;

use futures_util::FutureExt;

use super::*;

#[tokio::test]
async fn a_commit_ends_with_a_sync() {
    let store = Store::temporary().unwrap();
    let (told, tell) = channel();
    let ask = move |db: &rusqlite::Connection| {
        let mode: String = db.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
        let sync: i64 = db.query_row("PRAGMA synchronous", [], |row| row.get(0))?;
        told.send((mode, sync)).unwrap();
        Ok(())
    };
    store.0.writer.write(ask).await.unwrap();
    // With FULL a commit syncs the write-ahead log before it ends.
    assert_eq!(tell.recv(), Ok(("wal".to_owned(), 2)));
}

#[tokio::test]
async fn a_write_is_acknowledged_after_its_commit() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rooms.sqlite3");
    let mut db = schema::open(&file).unwrap();
    let (begun, beginning) = channel();
    let (go, wait) = channel::<()>();
    let hook = move || {
        begun.send(()).unwrap();
        // When the test has ended, the commit itself must not fail.
        let _ = wait.recv();
        false
    };
    db.commit_hook(Some(hook)).unwrap();
    let writer = Writer::start(db).unwrap();
    // Dropped before the writer. Otherwise the writer would wait for ever if this test
    // fails.
    let go = go;
    let make = |db: &rusqlite::Connection| Ok(db.execute_batch("CREATE TABLE own (own)")?);
    let mut write = Box::pin(writer.write(make));
    assert!((&mut write).now_or_never().is_none(), "it is queued");
    // The statement has run, and its commit begins.
    beginning.recv().unwrap();
    assert!((&mut write).now_or_never().is_none());
    let reader = schema::open_reader(&file).unwrap();
    let count = || reader.query_row(QUERY, [], |row| row.get(0));
    assert_eq!(count(), Ok(0));
    go.send(()).unwrap();
    write.await.unwrap();
    assert_eq!(count(), Ok(1));
}

const QUERY: &str = "SELECT count(*) FROM sqlite_schema WHERE name = 'own'";
