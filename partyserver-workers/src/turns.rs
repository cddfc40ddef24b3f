//! A fair lock that survives a panic of its holder.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Hands out turns in the order in which they were asked for.
#[derive(Default)]
pub(crate) struct Turns {
    is_busy: Cell<bool>,
    waiting: RefCell<VecDeque<Rc<Place>>>,
    load: Load,
}

/// The bytes that wait, of a room or of one of its clients.
pub(crate) type Load = Rc<Cell<usize>>;

/// Where a turn stands.
#[derive(Default)]
struct Place {
    stage: Cell<Stage>,
    waker: Cell<Option<Waker>>,
    /// What it adds to the loads while it waits.
    bytes: usize,
    loads: Vec<Load>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    New,
    Waiting,
    Held,
    Over,
}

/// One turn: asked for once, and given back by [`Turn::end`] or when it is dropped.
/// Whoever cleans up after a panic holds it too, because the panic drops nothing.
pub(crate) struct Turn {
    turns: Rc<Turns>,
    place: Rc<Place>,
}

impl Turns {
    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy.get()
    }

    pub(crate) fn turn(self: &Rc<Self>) -> Rc<Turn> {
        self.turn_with(0, Vec::new())
    }

    /// A turn of something that takes memory while it waits.
    pub(crate) fn turn_with(self: &Rc<Self>, bytes: usize, loads: Vec<Load>) -> Rc<Turn> {
        Rc::new(Turn {
            turns: Rc::clone(self),
            place: Rc::new(Place {
                bytes,
                loads,
                ..Place::default()
            }),
        })
    }

    /// Of all that waits.
    pub(crate) fn load(&self) -> &Load {
        &self.load
    }

    fn wait(&self, place: Rc<Place>) {
        place.stage.set(Stage::Waiting);
        for load in &place.loads {
            load.set(load.get() + place.bytes);
        }
        self.waiting.borrow_mut().push_back(place);
    }

    fn next(&self) -> Option<Rc<Place>> {
        self.waiting.borrow_mut().pop_front()
    }
}

impl Place {
    /// It waits no longer.
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

impl Turn {
    /// Waits until it is this one's turn.
    pub(crate) async fn begin(&self) {
        let Place { stage, waker, .. } = &*self.place;
        if !self.turns.is_busy.replace(true) {
            stage.set(Stage::Held);
            return;
        }
        self.turns.wait(Rc::clone(&self.place));
        std::future::poll_fn(|cx| {
            if stage.get() == Stage::Held {
                return Poll::Ready(());
            }
            waker.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// Gives the turn to the next, or up while it waits for it.
    pub(crate) fn end(&self) {
        if self.place.leave(Stage::Over) != Stage::Held {
            return;
        }
        while let Some(next) = self.turns.next() {
            if next.stage.get() == Stage::Over {
                continue;
            }
            next.leave(Stage::Held);
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
