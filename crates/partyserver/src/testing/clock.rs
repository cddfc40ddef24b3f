//! The kit's clock and its timers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::SystemTime;

/// A clock that stands still until it is moved. It never goes back.
pub(super) struct Clock(Mutex<State>);

struct State {
    now: SystemTime,
    /// Which tasks to wake at a time, in the order in which they were set.
    timers: BTreeMap<(SystemTime, u64), Waker>,
    next: u64,
}

impl Clock {
    pub(super) fn at(now: SystemTime) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            now,
            timers: BTreeMap::new(),
            next: 0,
        })))
    }

    pub(super) fn now(&self) -> SystemTime {
        self.lock().now
    }

    /// Sets the clock, before anything has read it.
    pub(super) fn set(&self, now: SystemTime) {
        self.lock().now = now;
    }

    /// Moves the clock on, and wakes the timers whose time has come.
    pub(super) fn move_to(&self, at: SystemTime) {
        let due = {
            let mut state = self.lock();
            let now = state.now.max(at);
            state.now = now;
            let later = state.timers.split_off(&(now, u64::MAX));
            std::mem::replace(&mut state.timers, later)
        };
        for waker in due.into_values() {
            waker.wake();
        }
    }

    /// The earliest timer.
    pub(super) fn next_timer(&self) -> Option<SystemTime> {
        let state = self.lock();
        state.timers.keys().next().map(|(at, _)| *at)
    }

    /// A timer. It begins to count at its first poll.
    pub(super) fn timer(self: &Arc<Self>, at: SystemTime) -> Timer {
        Timer {
            clock: Arc::clone(self),
            at,
            key: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes its task at a time.
pub(super) struct Timer {
    clock: Arc<Clock>,
    at: SystemTime,
    key: Option<u64>,
}

impl Timer {
    pub(super) fn at(&self) -> SystemTime {
        self.at
    }

    /// Ready when its time has come.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.clock.lock();
        if state.now >= self.at {
            return Poll::Ready(());
        }
        let key = *self.key.get_or_insert_with(|| {
            state.next += 1;
            state.next
        });
        state.timers.insert((self.at, key), cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.clock.lock().timers.remove(&(self.at, key));
        }
    }
}
