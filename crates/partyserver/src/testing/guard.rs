//! A hook's limits: its time, by the kit's clock, and its panics.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::clock::Clock;
use crate::host::failure::Failure;
use crate::maybe_send::BoxFuture;

/// Why a future has no outcome.
pub(super) enum Cut {
    /// It panicked, with this.
    Panicked(Box<dyn Any + Send>),
    /// It ran past its limit.
    TimedOut,
}

impl Cut {
    /// The same, as hosts tell it.
    pub(super) fn failure(&self) -> Failure {
        match self {
            Self::Panicked(panic) => Failure::Panicked(text_of(&**panic)),
            Self::TimedOut => Failure::TimedOut,
        }
    }
}

/// Runs a future, or what of it fits into the limit.
pub(super) async fn within<T>(
    clock: &Arc<Clock>,
    limit: Duration,
    future: BoxFuture<'_, T>,
) -> Result<T, Cut> {
    // A limit beyond all time is none.
    let mut timer = clock.now().checked_add(limit).map(|at| clock.timer(at));
    let mut future = Some(future);
    let cut = poll_fn(|cx| {
        let Some(running) = &mut future else {
            unreachable!("it is taken once it has ended")
        };
        // Set first, so that a future which moves the clock does not move it past this.
        let _ = timer.as_mut().map(|timer| timer.poll(cx));
        match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx))) {
            Ok(Poll::Ready(outcome)) => return Poll::Ready(Ok(outcome)),
            Ok(Poll::Pending) => {}
            Err(panic) => return Poll::Ready(Err(Cut::Panicked(panic))),
        }
        match timer.as_mut().map(|timer| timer.poll(cx)) {
            Some(Poll::Ready(())) => Poll::Ready(Err(Cut::TimedOut)),
            _ => Poll::Pending,
        }
    })
    .await;
    // What is cut off, or has ended, is dropped here: that can panic too.
    match catch_unwind(AssertUnwindSafe(|| drop(future.take()))) {
        Err(panic) if cut.is_ok() => Err(Cut::Panicked(panic)),
        _ => cut,
    }
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}
