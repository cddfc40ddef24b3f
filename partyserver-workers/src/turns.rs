//! A fair lock that survives a panic of its holder.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Hands out turns in the order in which they were asked for.
#[derive(Default)]
pub(crate) struct Turns {
    is_busy: Cell<bool>,
    waiting: RefCell<VecDeque<Rc<Waiter>>>,
}

#[derive(Default)]
struct Waiter {
    is_granted: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

/// One turn: asked for once, and given back by [`Turn::end`] or when it is dropped.
/// Whoever cleans up after a panic holds it too, because the panic drops nothing.
pub(crate) struct Turn {
    turns: Rc<Turns>,
    waiter: Rc<Waiter>,
}

impl Turns {
    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy.get()
    }

    pub(crate) fn turn(self: &Rc<Self>) -> Rc<Turn> {
        Rc::new(Turn {
            turns: Rc::clone(self),
            waiter: Rc::default(),
        })
    }

    fn wait(&self, waiter: Rc<Waiter>) {
        self.waiting.borrow_mut().push_back(waiter);
    }

    fn next(&self) -> Option<Rc<Waiter>> {
        self.waiting.borrow_mut().pop_front()
    }
}

impl Turn {
    /// Waits until it is this one's turn.
    pub(crate) async fn begin(&self) {
        let Waiter { is_granted, waker } = &*self.waiter;
        if !self.turns.is_busy.replace(true) {
            is_granted.set(true);
            return;
        }
        self.turns.wait(Rc::clone(&self.waiter));
        std::future::poll_fn(|cx| {
            if is_granted.get() {
                return Poll::Ready(());
            }
            waker.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// Gives the turn to the next; nothing happens when it is not held.
    pub(crate) fn end(&self) {
        if !self.waiter.is_granted.replace(false) {
            return;
        }
        while let Some(next) = self.turns.next() {
            // Held by nobody else: it was dropped while it waited.
            if Rc::strong_count(&next) == 1 {
                continue;
            }
            next.is_granted.set(true);
            if let Some(waker) = next.waker.take() {
                waker.wake();
            }
            return;
        }
        self.turns.is_busy.set(false);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.end();
    }
}
