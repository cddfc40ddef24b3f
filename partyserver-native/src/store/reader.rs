//! Reads, on threads with a connection each.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use partyserver::StorageError;
use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

use super::{StoreError, schema, storage_error};

/// The threads that read. They end when this is dropped.
pub(super) struct Readers {
    queue: SyncSender<Job>,
    /// As many permits as the queue has places, so that queueing never blocks.
    places: Semaphore,
}

type Job = Box<dyn FnOnce(&Connection) + Send>;

impl Readers {
    pub(super) fn start(file: &Path) -> Result<Self, StoreError> {
        let (queue, jobs) = sync_channel::<Job>(MAX_QUEUED);
        let jobs = Arc::new(Mutex::new(jobs));
        for index in 0..THREADS {
            let db = schema::open_reader(file)?;
            let jobs = Arc::clone(&jobs);
            std::thread::Builder::new()
                .name(format!("store-reader-{index}"))
                .spawn(move || {
                    while let Some(job) = next(&jobs) {
                        job(&db);
                    }
                })
                .expect("the system starts a thread");
        }
        Ok(Self {
            queue,
            places: Semaphore::new(MAX_QUEUED),
        })
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        let gone = || StorageError::Unavailable("the store is closed".into());
        let _place = self.places.acquire().await.map_err(|_| gone())?;
        let (done, outcome) = oneshot::channel();
        let job: Job = Box::new(move |db| {
            // A caller that went away does not need the answer.
            let _ = done.send(query(db));
        });
        self.queue.send(job).map_err(|_| gone())?;
        outcome
            .await
            .map_err(|_| gone())?
            .map_err(|error| storage_error(&error))
    }
}

fn next(jobs: &Mutex<Receiver<Job>>) -> Option<Job> {
    jobs.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .recv()
        .ok()
}

const THREADS: usize = 2;
const MAX_QUEUED: usize = 4096;
