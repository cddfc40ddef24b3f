//! The deadlines of a room's connections.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use futures_util::future::select;
use partyserver::host::alarm::earliest;

use super::connections::Connections;
use crate::platform::time::{Sleep, now};

/// The deadlines of a room's connections. A turn handles them when it ends, the
/// platform's alarm handles them while the room sleeps, and [`Deadlines::keep`] handles
/// them beside a hook that takes long.
pub(super) struct Deadlines {
    connections: Rc<Connections>,
    /// Woken when a deadline moves.
    watcher: Cell<Option<Waker>>,
}

impl Deadlines {
    pub(super) fn of(connections: Rc<Connections>) -> Self {
        Self {
            connections,
            watcher: Cell::default(),
        }
    }

    /// The earliest deadline of the open connections. This call ends those that are
    /// past theirs.
    pub(super) fn earliest(&self) -> Option<SystemTime> {
        let open = self.connections.open();
        earliest(open.iter().map(|conn| conn.ends_at()))
    }

    /// A deadline has changed.
    pub(super) fn moved(&self) {
        if let Some(watcher) = self.watcher.take() {
            watcher.wake();
        }
    }

    /// Ends connections at their deadlines, as long as this future is polled.
    pub(super) async fn keep(&self) -> Infallible {
        loop {
            let next = self.earliest();
            let pause = next.map_or(LONGEST_PAUSE, |next| {
                next.duration_since(now()).unwrap_or_default()
            });
            let moved = std::future::poll_fn(|cx| self.poll_moved(next, cx));
            let pause = pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
            select(moved, Sleep::new(pause)).await;
        }
    }

    /// Ready when the earliest deadline is no longer `known`.
    fn poll_moved(&self, known: Option<SystemTime>, cx: &mut Context<'_>) -> Poll<()> {
        if self.earliest() != known {
            return Poll::Ready(());
        }
        self.watcher.set(Some(cx.waker().clone()));
        Poll::Pending
    }
}

/// Timers count whole milliseconds.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
/// The limit makes sure that a clock that jumps is noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
