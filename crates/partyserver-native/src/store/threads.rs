//! Threads that end before their owner does.

use std::thread::{self, JoinHandle};

use tokio::sync::watch;

/// Threads of the store. Dropping this waits for them, so that nothing is written after
/// the folder is unlocked. Whatever sends them work must be dropped before, so declare
/// this field after it.
pub(super) struct Threads {
    handles: Vec<JoinHandle<()>>,
    /// Closed when the last thread has ended.
    ended: watch::Receiver<()>,
}

impl Threads {
    /// Starts a thread with this name for each of the bodies.
    pub(super) fn start<F>(name: &str, bodies: impl IntoIterator<Item = F>) -> std::io::Result<Self>
    where
        F: FnOnce() + Send + 'static,
    {
        let (end, ended) = watch::channel(());
        let start = |body: F| {
            let end = end.clone();
            thread::Builder::new().name(name.into()).spawn(move || {
                body();
                drop(end);
            })
        };
        Ok(Self {
            handles: bodies.into_iter().map(start).collect::<Result<_, _>>()?,
            ended,
        })
    }

    /// Waits for the end of all of them.
    pub(super) async fn ended(&self) {
        // Nothing is ever sent, so an error means that the last sender is gone.
        while self.ended.clone().changed().await.is_ok() {}
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        for handle in self.handles.drain(..) {
            // The closure of an update may have held the last handle to the store.
            if handle.thread().id() != thread::current().id() {
                // A thread that panicked has ended too.
                let _ = handle.join();
            }
        }
    }
}
