//! The time limit of a turn, for code that waits and for code that does not.
//!
//! A timer ends a turn only where it waits. A hook that broadcasts in a loop never
//! does, so it is ended by what it calls.

use std::time::Duration;

use tokio::time::Instant;

/// The turn had its time.
#[derive(Debug)]
pub(crate) struct PastLimit;

tokio::task_local! {
    static ENDS: Option<Instant>;
}

/// Runs a turn, or what of it fits into the limit.
pub(crate) async fn within<T>(
    limit: Duration,
    turn: impl Future<Output = T>,
) -> Result<T, PastLimit> {
    // A limit beyond all time is none.
    let ends = Instant::now().checked_add(limit);
    let limited = tokio::time::timeout(limit, turn);
    ENDS.scope(ends, limited).await.map_err(|_| PastLimit)
}

/// Ends the turn that calls this, if it is past its limit, by unwinding with
/// [`PastLimit`]. What a room has spawned is in no turn, and not affected.
pub(crate) fn check() {
    let is_past = |ends: &Option<Instant>| ends.is_some_and(|ends| Instant::now() >= ends);
    if ENDS.try_with(is_past).unwrap_or_default() && !std::thread::panicking() {
        std::panic::resume_unwind(Box::new(PastLimit));
    }
}
