//! The time limit of a turn, for code that waits and for code that does not.
//!
//! A timer can end a turn only where the turn waits. A hook that broadcasts in a loop
//! never waits, so the functions that it calls end it.

use std::time::Duration;

use tokio::time::Instant;

/// The turn is past its limit.
#[derive(Debug)]
pub(crate) struct PastLimit;

tokio::task_local! {
    static ENDS: Option<Instant>;
}

/// Runs a turn until it ends or its limit has passed.
pub(crate) async fn within<T>(
    limit: Duration,
    turn: impl Future<Output = T>,
) -> Result<T, PastLimit> {
    // A limit past the end of time is no limit.
    let ends = Instant::now().checked_add(limit);
    let limited = tokio::time::timeout(limit, turn);
    ENDS.scope(ends, limited).await.map_err(|_| PastLimit)
}

/// If the turn that calls this is past its limit, ends it by unwinding with
/// [`PastLimit`]. Tasks that a room has spawned belong to no turn and are not affected.
pub(crate) fn check() {
    let is_past = |ends: &Option<Instant>| ends.is_some_and(|ends| Instant::now() >= ends);
    if ENDS.try_with(is_past).unwrap_or_default() && !std::thread::panicking() {
        std::panic::resume_unwind(Box::new(PastLimit));
    }
}
