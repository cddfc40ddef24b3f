//! A fair lock that survives a panic of its holder.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};

/// Hands out turns in the order in which they were asked for.
#[derive(Default)]
pub(super) struct Turns {
    is_busy: Cell<bool>,
    waiting: RefCell<VecDeque<Weak<Turn>>>,
    load: Load,
}

/// The bytes that wait, in a room or from one of its clients.
pub(super) type Load = Rc<Cell<usize>>;

/// One turn. It is asked for once, and is given back by [`Turn::end`] or when it is
/// dropped. The code that cleans up after a panic holds it too, because a panic drops
/// nothing.
pub(super) struct Turn {
    turns: Rc<Turns>,
    stage: Cell<Stage>,
    waker: Cell<Option<Waker>>,
    /// How many bytes it adds to the loads while it waits.
    bytes: usize,
    loads: Vec<Load>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    Waiting,
    Held,
    Over,
}

impl Turns {
    pub(super) fn is_busy(&self) -> bool {
        self.is_busy.get()
    }

    pub(super) fn turn(self: &Rc<Self>) -> Rc<Turn> {
        self.turn_with(0, Vec::new())
    }

    /// A turn for something that takes memory while it waits.
    pub(super) fn turn_with(self: &Rc<Self>, bytes: usize, loads: Vec<Load>) -> Rc<Turn> {
        Rc::new(Turn {
            turns: Rc::clone(self),
            stage: Cell::new(Stage::New),
            waker: Cell::new(None),
            bytes,
            loads,
        })
    }

    /// The bytes of everything that waits.
    pub(super) fn load(&self) -> &Load {
        &self.load
    }

    /// The first turn that still waits.
    fn next(&self) -> Option<Rc<Turn>> {
        let mut waiting = self.waiting.borrow_mut();
        loop {
            let next = waiting.pop_front()?.upgrade();
            let next = next.filter(|next| next.stage.get() == Stage::Waiting);
            if next.is_some() {
                return next;
            }
        }
    }
}

impl Turn {
    /// Waits until this turn is the current one.
    pub(super) async fn begin(self: &Rc<Self>) {
        if !self.turns.is_busy.replace(true) {
            self.stage.set(Stage::Held);
            return;
        }
        self.wait();
        std::future::poll_fn(|cx| {
            if self.stage.get() == Stage::Held {
                return Poll::Ready(());
            }
            self.waker.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// Passes the turn to the next in the queue, or leaves the queue if it still waits.
    pub(super) fn end(&self) {
        if self.leave(Stage::Over) != Stage::Held {
            return;
        }
        let Some(next) = self.turns.next() else {
            return self.turns.is_busy.set(false);
        };
        next.leave(Stage::Held);
        if let Some(waker) = next.waker.take() {
            waker.wake();
        }
    }

    fn wait(self: &Rc<Self>) {
        self.stage.set(Stage::Waiting);
        for load in &self.loads {
            load.set(load.get() + self.bytes);
        }
        let mut waiting = self.turns.waiting.borrow_mut();
        waiting.push_back(Rc::downgrade(self));
    }

    /// Goes to another stage. Returns the stage before.
    fn leave(&self, stage: Stage) -> Stage {
        let before = self.stage.replace(stage);
        if before == Stage::Waiting {
            for load in &self.loads {
                load.set(load.get().saturating_sub(self.bytes));
            }
        }
        before
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.end();
    }
}
