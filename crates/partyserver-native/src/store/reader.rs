//! Reads, on threads that have a connection each.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use partyserver::StorageError;
use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

use super::error::{Failure, closed};
use super::threads::Threads;
use super::{StoreError, schema};

/// The threads that read. They end when this is dropped.
pub(super) struct Readers {
    queue: SyncSender<Job>,
    /// There are as many permits as places in the queue, so that queueing never blocks.
    /// A job keeps its permit until a thread takes it, even if its caller has gone away
    /// meanwhile.
    places: Arc<Semaphore>,
    threads: Threads,
}

enum Job {
    Query(Box<dyn FnOnce(&Connection) + Send>),
    End,
}

impl Readers {
    pub(super) fn start(file: &Path) -> Result<Self, StoreError> {
        let connections: Vec<Connection> = (0..THREADS)
            .map(|_| schema::open_reader(file))
            .collect::<Result<_, _>>()?;
        let (queue, jobs) = sync_channel::<Job>(MAX_QUEUED);
        let jobs = Arc::new(Mutex::new(jobs));
        let bodies = connections.into_iter().map(|db| {
            let jobs = Arc::clone(&jobs);
            move || {
                while let Some(Job::Query(query)) = next(&jobs) {
                    query(&db);
                }
            }
        });
        let threads =
            Threads::start("store-reader", bodies).map_err(|source| StoreError::File {
                path: file.to_owned(),
                source,
            })?;
        Ok(Self {
            queue,
            places: Arc::new(Semaphore::new(MAX_QUEUED)),
            threads,
        })
    }

    /// Runs a query on the committed data. Waits for a place while the queue is full.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StorageError> {
        let place = Arc::clone(&self.places);
        let place = place.acquire_owned().await.map_err(|_| closed())?;
        let (done, outcome) = oneshot::channel();
        let job = Job::Query(Box::new(move |db| {
            drop(place);
            if !done.is_closed() {
                // A caller that went away does not need the answer.
                let _ = done.send(query(db));
            }
        }));
        self.queue.send(job).map_err(|_| closed())?;
        outcome
            .await
            .map_err(|_| closed())?
            .map_err(|Failure(error)| error)
    }

    /// Ends the threads after the queued jobs. Later reads fail.
    pub(super) async fn close(&self) {
        // With every permit taken, the queue has a place for each end.
        let places = self.places.acquire_many(MAX_QUEUED as u32).await;
        for _ in 0..THREADS {
            // An error means that the threads are gone already.
            let _ = self.queue.send(Job::End);
        }
        drop(places);
        self.threads.ended().await;
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
