//! What is left when a store ends in different ways.

use std::task::{Context, Poll, Waker};

use partyserver::BoxFuture;

use super::*;

fn poll_once<T>(future: &mut BoxFuture<'_, T>) -> Poll<T> {
    future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn an_acknowledged_write_needs_no_close() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    put(&store, "a", "k", "1").await.unwrap();
    drop(store);
    // The drop has waited for the threads. The last of them removed the log.
    assert!(!folder.path().join("rooms.sqlite3-wal").exists());
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(get(&store, "a", "k").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_closed_store_lets_go_of_its_folder_and_answers_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let sql = store.sql(&name("a"));
    sql.execute("CREATE TABLE t (v)", vec![]).await.unwrap();
    store.check().await.unwrap();
    tokio::join!(store.close(), store.close());
    let log = folder.path().join("rooms.sqlite3-wal");
    assert!(!log.exists(), "the last checkpoint is complete");

    let successor = Store::open(folder.path()).unwrap();
    put(&successor, "a", "k", "1").await.unwrap();
    assert!(store.check().await.is_err());
    assert!(store.storage(name("a")).get("k").await.is_err());
    assert!(put(&store, "a", "k", "2").await.is_err());
    assert!(sql.execute("SELECT 1", vec![]).await.is_err());
    assert_eq!(get(&successor, "a", "k").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_store_that_takes_no_writes_is_not_ready() {
    let store = Store::temporary().unwrap();
    store.check().await.unwrap();
    store.0.writer.close().await;
    assert!(store.check().await.is_err());
}

#[tokio::test]
async fn a_write_whose_caller_went_away_is_carried_out() {
    let store = Store::temporary().unwrap();
    let storage = store.storage(name("a"));
    let mut update = storage.update("k", Box::new(|_| Change::Put("1".into())));
    // After one poll the update is queued.
    assert!(poll_once(&mut update).is_pending());
    drop(update);
    // The writer works in order.
    put(&store, "a", "other", "1").await.unwrap();
    assert_eq!(get(&store, "a", "k").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn an_update_may_hold_the_last_handle() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let storage = store.storage(name("a"));
    let (sender, dropped) = tokio::sync::oneshot::channel();
    // The store and then the sender are dropped together with the step. This happens on
    // the writer's thread, which can't wait for itself.
    let held = (store.clone(), Witness(Some(sender)));
    let step = move |_: Option<&str>| {
        let (_store, _witness) = &held;
        Change::Put("1".into())
    };
    let mut update = storage.update("k", Box::new(step));
    assert!(poll_once(&mut update).is_pending());
    drop(update);
    drop((storage, store));
    assert!(dropped.await.unwrap(), "the writer panicked");
}

/// Reports whether it was dropped in the right order.
struct Witness(Option<tokio::sync::oneshot::Sender<bool>>);

impl Drop for Witness {
    fn drop(&mut self) {
        let sender = self.0.take().unwrap();
        sender.send(!std::thread::panicking()).unwrap();
    }
}
