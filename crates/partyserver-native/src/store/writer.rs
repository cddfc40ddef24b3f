//! All writes, on one thread, committed in groups.
//!
//! A sync takes far longer than a write. So the writer takes all queued writes, makes
//! one transaction of them, syncs once, and only then acknowledges each write. The
//! longer a sync takes, the more writes share the next one.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use partyserver::StorageError;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::error::{Failure, closed, storage_error};
use super::threads::Threads;

/// The thread that writes. It ends when this is dropped.
pub(super) struct Writer {
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    commits: Arc<AtomicU64>,
    thread: Threads,
}

struct Job {
    work: Work,
    done: oneshot::Sender<Result<(), StorageError>>,
}

/// A write. It runs again in another transaction if the first transaction was lost for
/// a reason that was not its own.
type Work = Box<dyn FnMut(&Connection) -> Result<(), Failure> + Send>;

impl Writer {
    pub(super) fn start(db: Connection) -> io::Result<Self> {
        let (queue, jobs) = mpsc::channel(MAX_QUEUED);
        let commits = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&commits);
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            commits,
            thread: Threads::start("store-writer", [move || run(&db, jobs, &counter)])?,
        })
    }

    /// Runs `work` in the next transaction, and returns when it is on disk. Waits for a
    /// place while the queue is full.
    ///
    /// A queued write is carried out even if this future is dropped. A write may
    /// contain at most one statement that writes. So a write that fails leaves nothing
    /// behind in the transaction that it shares.
    pub(super) async fn write(
        &self,
        work: impl FnMut(&Connection) -> Result<(), Failure> + Send + 'static,
    ) -> Result<(), StorageError> {
        let (done, outcome) = oneshot::channel();
        let job = Job {
            work: Box::new(work),
            done,
        };
        let queue = self.queue().clone().ok_or_else(closed)?;
        queue.send(job).await.map_err(|_| closed())?;
        drop(queue);
        outcome.await.map_err(|_| closed())?
    }

    /// Whether the writer accepts writes.
    pub(super) fn is_open(&self) -> bool {
        self.queue()
            .as_ref()
            .is_some_and(|queue| !queue.is_closed())
    }

    /// Ends the thread after the queued writes. Later writes fail.
    pub(super) async fn close(&self) {
        self.queue().take();
        self.thread.ended().await;
        tracing::debug!(
            commits = self.commits.load(Ordering::Relaxed),
            "the store is closed"
        );
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Option<mpsc::Sender<Job>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many transactions were committed.
    #[cfg(test)]
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }
}

fn run(db: &Connection, mut jobs: mpsc::Receiver<Job>, commits: &AtomicU64) {
    let mut batch = Vec::new();
    while jobs.blocking_recv_many(&mut batch, MAX_BATCH) > 0 {
        commit(db, std::mem::take(&mut batch), commits);
    }
    if let Err(error) = empty_log(db) {
        tracing::warn!(%error, "the store's log stays beside its file");
    }
}

/// Copies the content of the log into the file. The log is as durable as the file, so
/// this only saves time at the next start.
fn empty_log(db: &Connection) -> rusqlite::Result<()> {
    // A connection that has not used the log yet can't do the checkpoint.
    db.query_row("SELECT count(*) FROM keys WHERE false", [], |_| Ok(()))?;
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// Commits the jobs together. If their transaction is lost, they are committed in
/// smaller groups, so that in the end only the job that fails is refused.
fn commit(db: &Connection, jobs: Vec<Job>, commits: &AtomicU64) {
    let mut groups = vec![jobs];
    while let Some(group) = groups.pop() {
        let Err(mut lost) = transaction(db, group) else {
            commits.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        // This keeps the order, because the earlier half is on top.
        let later = lost.split_off(lost.len() / 2);
        groups.extend([later, lost].into_iter().filter(|group| !group.is_empty()));
    }
}

/// Runs the jobs in one transaction and answers them. If it is lost, the jobs that have
/// no answer yet are returned.
fn transaction(db: &Connection, jobs: Vec<Job>) -> Result<(), Vec<Job>> {
    if let Err(error) = db.execute_batch("BEGIN IMMEDIATE") {
        answer(jobs, &Err(storage_error(&error)));
        return Err(Vec::new());
    }
    let mut waiting = Vec::with_capacity(jobs.len());
    let mut jobs = jobs.into_iter();
    while let Some(mut job) = jobs.next() {
        let outcome = catch_unwind(AssertUnwindSafe(|| (job.work)(db)));
        let outcome = match outcome {
            Ok(outcome) => outcome.map_err(|Failure(error)| error),
            Err(_) => Err(unavailable("the update panicked")),
        };
        if db.is_autocommit() {
            // SQLite has rolled everything back, as it does when the disk is full.
            let lost = outcome.and_then(|()| Err(unavailable("the transaction was lost")));
            answer([job], &lost);
            waiting.extend(jobs);
            return Err(waiting);
        }
        match outcome {
            Ok(()) => waiting.push(job),
            failed @ Err(_) => answer([job], &failed),
        }
    }
    let Err(error) = db.execute_batch("COMMIT") else {
        answer(waiting, &Ok(()));
        return Ok(());
    };
    if !db.is_autocommit() {
        // If the rollback fails, the BEGIN of the next group fails too, and shows it.
        let _ = db.execute_batch("ROLLBACK");
    }
    if waiting.len() > 1 {
        return Err(waiting);
    }
    answer(waiting, &Err(storage_error(&error)));
    Err(Vec::new())
}

fn unavailable(reason: &str) -> StorageError {
    StorageError::Unavailable(reason.into())
}

fn answer(jobs: impl IntoIterator<Item = Job>, outcome: &Result<(), StorageError>) {
    for job in jobs {
        // A caller that went away does not need the answer.
        let _ = job.done.send(outcome.clone());
    }
}

/// When this many writes are queued, further ones wait for a place.
const MAX_QUEUED: usize = 4096;
/// How many writes share a transaction at most.
const MAX_BATCH: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_was_just_made_can_empty_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("store.sqlite3");
        let db = super::super::schema::open(&file).unwrap();
        empty_log(&db).unwrap();
    }
}
