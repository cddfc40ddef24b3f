//! All writes, on one thread, committed in groups.
//!
//! A sync takes far longer than a write. So the writer takes what is queued,
//! makes one transaction of it, syncs once, and only then acknowledges each
//! write. The longer a sync takes, the more writes share the next one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use partyserver::StorageError;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::storage_error;

/// The thread that writes.
pub(super) struct Writer {
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
    commits: Arc<AtomicU64>,
}

struct Job {
    work: Work,
    done: oneshot::Sender<Result<(), StorageError>>,
}

type Work = Box<dyn FnOnce(&Connection) -> rusqlite::Result<()> + Send>;

impl Writer {
    pub(super) fn start(db: Connection) -> Self {
        let (queue, jobs) = mpsc::channel(MAX_QUEUED);
        let (end, ended) = oneshot::channel();
        let commits = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&commits);
        std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                run(&db, jobs, &counter);
                // Nobody waits for the end of a store that is dropped.
                let _ = end.send(());
            })
            .expect("the system starts a thread");
        Self {
            queue: Mutex::new(Some(queue)),
            ended: Mutex::new(Some(ended)),
            commits,
        }
    }

    /// Runs `work` in the next transaction; returns when it is on disk.
    ///
    /// Once queued it is carried out even when this future is dropped.
    pub(super) async fn write(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<(), StorageError> {
        let closed = || StorageError::Unavailable("the store is closed".into());
        let queue = self
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let (done, outcome) = oneshot::channel();
        let job = Job {
            work: Box::new(work),
            done,
        };
        queue
            .ok_or_else(closed)?
            .send(job)
            .await
            .map_err(|_| closed())?;
        outcome.await.map_err(|_| closed())?
    }

    /// Ends the thread after what is queued.
    pub(super) async fn close(&self) {
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let ended = self
            .ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(ended) = ended {
            // An error means that the thread is gone, which is what is wanted.
            let _ = ended.await;
        }
        tracing::debug!(
            commits = self.commits.load(Ordering::Relaxed),
            "the store is closed"
        );
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
}

/// Runs the jobs in one transaction. A job that fails, fails alone; when the
/// transaction is lost, each of its jobs is told so and the rest get another.
fn commit(db: &Connection, jobs: Vec<Job>, commits: &AtomicU64) {
    let mut waiting = Vec::new();
    for job in jobs {
        if db.is_autocommit()
            && let Err(error) = db.execute_batch("BEGIN IMMEDIATE")
        {
            answer([job.done], &Err(storage_error(&error)));
            continue;
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| (job.work)(db)));
        let outcome = match outcome {
            Ok(outcome) => outcome.map_err(|error| storage_error(&error)),
            Err(_) => Err(StorageError::Unavailable("the update panicked".into())),
        };
        if db.is_autocommit() {
            // SQLite rolled everything back: the disk is full, or worse.
            let lost = outcome.and(Err(StorageError::Unavailable(
                "the transaction was lost".into(),
            )));
            answer(waiting.drain(..).chain([job.done]), &lost);
            continue;
        }
        match outcome {
            Ok(()) => waiting.push(job.done),
            failed @ Err(_) => answer([job.done], &failed),
        }
    }
    if db.is_autocommit() {
        return;
    }
    let outcome = db
        .execute_batch("COMMIT")
        .map_err(|error| storage_error(&error));
    if outcome.is_err() && !db.is_autocommit() {
        // A failed rollback shows as a failed BEGIN of the next batch.
        let _ = db.execute_batch("ROLLBACK");
    }
    commits.fetch_add(1, Ordering::Relaxed);
    answer(waiting, &outcome);
}

fn answer(
    waiting: impl IntoIterator<Item = oneshot::Sender<Result<(), StorageError>>>,
    outcome: &Result<(), StorageError>,
) {
    for done in waiting {
        // A caller that went away does not need the answer.
        let _ = done.send(outcome.clone());
    }
}

const MAX_QUEUED: usize = 4096;
const MAX_BATCH: usize = 1024;
