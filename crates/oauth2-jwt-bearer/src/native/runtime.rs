//! The wall clock, and tokio's timer and tasks.

use std::time::{Duration, SystemTime};

use crate::verifier::port::{BoxFuture, Runtime};

/// The runtime that the caller is in.
#[derive(Debug)]
pub(super) struct Tokio;

impl Runtime for Tokio {
    #[allow(
        clippy::disallowed_methods,
        reason = "this port is where the clock is read"
    )]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) -> bool {
        let runtime = tokio::runtime::Handle::try_current();
        runtime.map(|runtime| runtime.spawn(task)).is_ok()
    }
}
