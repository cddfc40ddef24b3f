//! Writes share a transaction, but not each other's failures.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use rusqlite::Connection;
use tokio::task::JoinSet;

use super::*;
use crate::store::error::Failure;

/// Queues the writes while the writer is held up, so that they become one batch.
/// Returns the outcomes in the order of queueing.
async fn in_one_batch(store: &Store, writes: Vec<Write>) -> Vec<Result<(), StorageError>> {
    let (go, wait) = mpsc::channel::<()>();
    let (begun, beginning) = tokio::sync::oneshot::channel();
    let mut begun = Some(begun);
    let holding = store.clone();
    let hold = tokio::spawn(async move {
        let work = move |_: &Connection| {
            begun.take().unwrap().send(()).unwrap();
            wait.recv().unwrap();
            Ok(())
        };
        holding.0.writer.write(work).await
    });
    beginning.await.unwrap();
    let count = writes.len();
    let mut running = JoinSet::new();
    for (index, work) in writes.into_iter().enumerate() {
        let store = store.clone();
        running.spawn(async move { (index, store.0.writer.write(work).await) });
        // On a runtime of one thread, the task runs until it waits for its answer.
        tokio::task::yield_now().await;
    }
    go.send(()).unwrap();
    hold.await.unwrap().unwrap();
    let mut outcomes = vec![Ok(()); count];
    while let Some(ended) = running.join_next().await {
        let (index, outcome) = ended.unwrap();
        outcomes[index] = outcome;
    }
    outcomes
}

type Write = Box<dyn FnMut(&Connection) -> Result<(), Failure> + Send>;

fn statement(sql: impl Into<String>) -> Write {
    let sql = sql.into();
    Box::new(move |db| {
        db.execute(&sql, [])?;
        Ok(())
    })
}

fn insert(key: usize) -> Write {
    statement(format!(
        "INSERT INTO keys VALUES ('p', 'r', '{key}', '1', 0)"
    ))
}

async fn count(store: &Store) -> i64 {
    let query = "SELECT count(*) FROM keys";
    let read = store
        .0
        .readers
        .read(|db| Ok(db.query_row(query, [], |row| row.get(0))?));
    read.await.unwrap()
}

#[tokio::test]
async fn a_thousand_writes_share_a_commit() {
    let store = Store::temporary().unwrap();
    let outcomes = in_one_batch(&store, (0..1000).map(insert).collect()).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(count(&store).await, 1000);
    // One commit held up the others, and the other is theirs.
    assert_eq!(store.0.writer.commits(), 2);
}

#[tokio::test]
async fn a_statement_that_fails_fails_alone() {
    let store = Store::temporary().unwrap();
    let mut writes: Vec<Write> = (0..100).map(insert).collect();
    writes.insert(
        50,
        statement("INSERT INTO keys VALUES ('p', 'r', '7', NULL, 0)"),
    );
    let outcomes = in_one_batch(&store, writes).await;
    assert!(outcomes[50].is_err());
    assert_eq!(
        outcomes.iter().filter(|outcome| outcome.is_err()).count(),
        1
    );
    assert_eq!(count(&store).await, 100);
}

#[tokio::test]
async fn a_commit_that_fails_fails_for_its_cause_alone() {
    let store = Store::temporary().unwrap();
    let table = "CREATE TABLE child (key REFERENCES parent DEFERRABLE INITIALLY DEFERRED)";
    for sql in ["CREATE TABLE parent (key PRIMARY KEY)", table] {
        store.0.writer.write(statement(sql)).await.unwrap();
    }
    let mut writes: Vec<Write> = (0..100).map(insert).collect();
    // A deferred constraint is checked only by the commit.
    writes.insert(31, statement("INSERT INTO child VALUES (1)"));
    let outcomes = in_one_batch(&store, writes).await;
    for (index, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome.is_err(), index == 31, "{index}: {outcome:?}");
    }
    assert_eq!(count(&store).await, 100);
}

#[tokio::test]
async fn what_does_not_fit_on_the_disk_fails_alone_and_no_step_runs_twice() {
    let store = Store::temporary().unwrap();
    put(&store, "a", "count", "0").await.unwrap();
    let limit = "PRAGMA max_page_count = 40";
    let set = |db: &Connection| Ok(db.query_row(limit, [], |_| Ok(()))?);
    store.0.writer.write(set).await.unwrap();

    let steps = Arc::new(AtomicUsize::new(0));
    let mut running = JoinSet::new();
    for index in 0..50 {
        let storage = store.storage(name("a"));
        let steps = Arc::clone(&steps);
        running.spawn(async move {
            if index % 10 == 5 {
                let large = move |_: Option<&str>| Change::Put("x".repeat(1 << 20));
                let outcome = storage.update("large", Box::new(large)).await;
                assert!(matches!(outcome, Err(StorageError::Full)), "{outcome:?}");
                return;
            }
            let step = move |present: Option<&str>| {
                steps.fetch_add(1, Ordering::Relaxed);
                let present: u32 = present.unwrap().parse().unwrap();
                Change::Put((present + 1).to_string())
            };
            storage.update("count", Box::new(step)).await.unwrap();
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
    assert_eq!(get(&store, "a", "count").await.as_deref(), Some("45"));
    assert_eq!(steps.load(Ordering::Relaxed), 45);
    assert_eq!(get(&store, "a", "large").await, None);
}
