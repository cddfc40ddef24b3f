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

/// The deadlines of a room's connections. A turn sees to them when it ends, the platform's
/// alarm while the room sleeps, and [`Deadlines::keep`] beside a hook that takes long.
pub(super) struct Deadlines {
    connections: Rc<Connections>,
    /// Woken when one is moved.
    watcher: Cell<Option<Waker>>,
}

impl Deadlines {
    pub(super) fn of(connections: Rc<Connections>) -> Self {
        Self {
            connections,
            watcher: Cell::default(),
        }
    }

    /// The earliest of the open connections. Those past theirs are ended by being looked at.
    pub(super) fn earliest(&self) -> Option<SystemTime> {
        let open = self.connections.open();
        earliest(open.iter().map(|conn| conn.ends_at()))
    }

    /// One is another than before.
    pub(super) fn moved(&self) {
        if let Some(watcher) = self.watcher.take() {
            watcher.wake();
        }
    }

    /// Ends connections at their deadlines, for as long as it is polled.
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

    /// Ready when the earliest deadline is not this one any more.
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
/// So that a clock that jumps is noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
