//! The limits of a hook: its time, by the kit's clock, and its panics.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::clock::Clock;
use crate::host::failure::Failure;
use crate::maybe_send::BoxFuture;

/// Why a future has no result.
pub(super) enum Cut {
    /// It panicked, with this payload.
    Panicked(Box<dyn Any + Send>),
    /// It ran past its limit.
    TimedOut,
}

impl Cut {
    /// The same, in the form that hosts log and answer.
    pub(super) fn failure(&self) -> Failure {
        match self {
            Self::Panicked(panic) => Failure::Panicked(text_of(&**panic)),
            Self::TimedOut => Failure::TimedOut,
        }
    }
}

/// Runs a future until it ends or its limit has passed.
pub(super) async fn within<T>(
    clock: &Arc<Clock>,
    limit: Duration,
    future: BoxFuture<'_, T>,
) -> Result<T, Cut> {
    // A limit past the end of time is no limit.
    let mut timer = clock.now().checked_add(limit).map(|at| clock.timer(at));
    let mut future = Some(future);
    let cut = poll_fn(|cx| {
        let Some(running) = &mut future else {
            unreachable!("it is taken once it has ended")
        };
        // The timer is set first, so that a future that moves the clock can't move it
        // past the limit.
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
    // The future is dropped here, whether it was cut off or has ended: dropping can
    // panic too.
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
