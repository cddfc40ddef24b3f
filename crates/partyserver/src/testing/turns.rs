//! The queue for a room's turns: one at a time, in the order of the calls.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use super::work;

/// Who waits for a turn or has it: the place with the smallest number has the turn.
#[derive(Default)]
pub(super) struct Turns(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    places: BTreeMap<u64, Option<Waker>>,
    next: u64,
}

impl Turns {
    /// Takes a place at the end of the queue.
    pub(super) fn queue(self: &Arc<Self>) -> Place {
        let mut queue = self.lock();
        let number = queue.next;
        queue.next += 1;
        queue.places.insert(number, None);
        Place {
            turns: Arc::clone(self),
            number,
        }
    }

    /// Whether nobody has a turn or waits for one.
    pub(super) fn are_free(&self) -> bool {
        self.lock().places.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue. The first place has the turn. Dropping a place gives it up.
pub(super) struct Place {
    turns: Arc<Turns>,
    number: u64,
}

impl Place {
    /// Waits until this place is the first.
    pub(super) async fn called(&self) {
        poll_fn(|cx| {
            let mut queue = self.turns.lock();
            if queue.places.keys().next() == Some(&self.number) {
                return Poll::Ready(());
            }
            queue.places.insert(self.number, Some(cx.waker().clone()));
            work::waits();
            Poll::Pending
        })
        .await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let first = {
            let mut queue = self.turns.lock();
            queue.places.remove(&self.number);
            queue.places.values_mut().next().and_then(Option::take)
        };
        if let Some(waker) = first {
            waker.wake();
        }
    }
}
