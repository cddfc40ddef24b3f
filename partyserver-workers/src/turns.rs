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

/// One turn: asked for once, and given back by [`Turn::end`]. Whoever cleans up
/// after a panic holds it too, because the panic drops nothing.
pub(crate) struct Turn {
    turns: Rc<Turns>,
    is_held: Cell<bool>,
}

impl Turns {
    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy.get()
    }

    pub(crate) fn turn(self: &Rc<Self>) -> Rc<Turn> {
        Rc::new(Turn {
            turns: Rc::clone(self),
            is_held: Cell::new(false),
        })
    }
}

impl Turn {
    /// Waits until it is this one's turn.
    pub(crate) async fn begin(&self) {
        if self.turns.is_busy.replace(true) {
            let waiter = Rc::new(Waiter::default());
            self.turns
                .waiting
                .borrow_mut()
                .push_back(Rc::clone(&waiter));
            std::future::poll_fn(|cx| {
                if waiter.is_granted.get() {
                    return Poll::Ready(());
                }
                waiter.waker.set(Some(cx.waker().clone()));
                Poll::Pending
            })
            .await;
        }
        self.is_held.set(true);
    }

    /// Gives the turn to the next; nothing happens when it is not held.
    pub(crate) fn end(&self) {
        if !self.is_held.replace(false) {
            return;
        }
        let next = self.turns.waiting.borrow_mut().pop_front();
        match next {
            Some(next) => {
                next.is_granted.set(true);
                if let Some(waker) = next.waker.take() {
                    waker.wake();
                }
            }
            None => self.turns.is_busy.set(false),
        }
    }
}
