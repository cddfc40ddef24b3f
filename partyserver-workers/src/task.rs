//! Runs futures, each in the context of the event that it began with.
//!
//! On Workers a timer, a fetch or a socket belongs to the request that made it.
//! So a future must never be polled in the context of another request, which is
//! what one common queue of tasks would do. Here each future has a loop of its
//! own in JavaScript (`drive` in the shim), and waking it resolves a promise that
//! was made in its own context.
//!
//! **The contract:** a panic ends its own task and nothing else. The task is asked
//! for its last words ([`panicked`]); what it held is released there.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use js_sys::Function;
use send_wrapper::SendWrapper;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::failure::escaped;
use crate::turns::Turn;
use crate::{log, time};

type LocalFuture = Pin<Box<dyn Future<Output = JsValue>>>;

/// What a task does and answers after a panic, given its text.
type LastWords = Box<dyn FnOnce(&str) -> JsValue>;

/// A future that waits; JavaScript drives it on.
#[wasm_bindgen]
pub struct Task {
    /// What is left to do; taken out while it is polled, so that after a panic it
    /// is never polled again.
    work: RefCell<Option<Work>>,
    wakeup: Arc<Wakeup>,
}

struct Work {
    future: LocalFuture,
    last_words: LastWords,
    waker: Waker,
}

/// What is being polled. A panic unwinds nothing, so what it shall leave in order
/// is noted here.
struct Polled {
    last_words: LastWords,
    /// Turns that code of the application must not keep.
    at_risk: Vec<Rc<Turn>>,
}

thread_local! {
    /// What the event at hand has become, until it is begun.
    static OFFERED: Cell<Option<(LocalFuture, LastWords)>> = const { Cell::new(None) };
    /// Innermost last: polling may spawn, and what is spawned is polled at once.
    static POLLED: RefCell<Vec<Polled>> = const { RefCell::new(Vec::new()) };
}

/// Makes an event a task, with its answer and what it answers after a panic. The
/// shim begins it as soon as this call from it is over.
pub(crate) fn offer(
    future: impl Future<Output = JsValue> + 'static,
    last_words: impl FnOnce(&str) -> JsValue + 'static,
) {
    OFFERED.set(Some((Box::pin(future), Box::new(last_words))));
}

/// Begins what was offered: the answer, or the task that will have it.
#[wasm_bindgen]
pub fn begin() -> JsValue {
    let Some((future, last_words)) = OFFERED.take() else {
        return JsValue::NULL;
    };
    let wakeup = Arc::new(Wakeup(SendWrapper::new(WakeupState::default())));
    let work = Work {
        future,
        last_words,
        waker: Waker::from(Arc::clone(&wakeup)),
    };
    match work.poll() {
        Ok(answer) => answer,
        Err(work) => JsValue::from(Task {
            work: RefCell::new(Some(work)),
            wakeup,
        }),
    }
}

/// The answer of the task that has just panicked; `undefined` when it was no panic:
/// then nothing in this memory can be relied on.
#[wasm_bindgen]
pub fn panicked() -> JsValue {
    let Some(panic) = log::take_panic() else {
        return JsValue::UNDEFINED;
    };
    let Some(polled) = POLLED.with_borrow_mut(Vec::pop) else {
        tracing::error!(panic = escaped(&panic), "a panic outside of an event");
        return JsValue::NULL;
    };
    for turn in polled.at_risk {
        turn.end();
    }
    (polled.last_words)(&panic)
}

impl Work {
    /// Polls once; gives itself back while there is no answer.
    fn poll(mut self) -> Result<JsValue, Self> {
        time::forget_now();
        let last_words = self.last_words;
        POLLED.with_borrow_mut(|polled| {
            polled.push(Polled {
                last_words,
                at_risk: Vec::new(),
            });
        });
        let outcome = self
            .future
            .as_mut()
            .poll(&mut Context::from_waker(&self.waker));
        let polled = POLLED.with_borrow_mut(Vec::pop);
        match (outcome, polled) {
            (Poll::Ready(answer), _) => Ok(answer),
            (Poll::Pending, Some(Polled { last_words, .. })) => {
                self.last_words = last_words;
                Err(self)
            }
            (Poll::Pending, None) => unreachable!("what was pushed above is popped here"),
        }
    }
}

#[wasm_bindgen]
impl Task {
    /// Polls once. `undefined` while there is no answer.
    pub fn poll(&self) -> JsValue {
        let Some(work) = self.work.take() else {
            return JsValue::NULL;
        };
        match work.poll() {
            Ok(answer) => {
                self.wakeup.0.is_over.set(true);
                answer
            }
            Err(work) => {
                *self.work.borrow_mut() = Some(work);
                JsValue::UNDEFINED
            }
        }
    }

    /// Has `wake` called when it is worth polling again; `true` when it is already.
    pub fn listen(&self, wake: Function) -> bool {
        *self.wakeup.0.wake.borrow_mut() = Some(wake);
        self.wakeup.0.is_woken.get()
    }

    /// Whether it has ended well.
    #[wasm_bindgen(js_name = isOver)]
    pub fn is_over(&self) -> bool {
        self.wakeup.0.is_over.get()
    }
}

/// Runs a future beside the event that is being handled now, for as long as the
/// platform lets it: on after the answer (`waitUntil`). Returns `false` where
/// no event is being handled; then it is dropped.
pub fn spawn(future: impl Future<Output = ()> + 'static) -> bool {
    spawn_with(future, |_| {})
}

fn spawn_with(
    future: impl Future<Output = ()> + 'static,
    last_words: impl FnOnce(&str) + 'static,
) -> bool {
    offer(
        async move {
            future.await;
            JsValue::NULL
        },
        move |panic| {
            last_words(panic);
            JsValue::NULL
        },
    );
    let is_begun = js::spawn();
    OFFERED.take();
    is_begun
}

/// Runs a future as a task of its own and waits for its end, by a panic too.
pub(crate) async fn run(
    future: impl Future<Output = ()> + 'static,
    last_words: impl FnOnce(&str) + 'static,
) {
    let ended = Rc::new(Ended::default());
    let (done, broken) = (Rc::clone(&ended), Rc::clone(&ended));
    let is_begun = spawn_with(
        async move {
            future.await;
            done.set();
        },
        move |panic| {
            last_words(panic);
            broken.set();
        },
    );
    if is_begun {
        std::future::poll_fn(|cx| ended.poll(cx)).await;
    }
}

/// Whether a task has ended.
#[derive(Default)]
struct Ended {
    is_set: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Ended {
    fn set(&self) {
        self.is_set.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_set.get() {
            return Poll::Ready(());
        }
        self.waker.set(Some(cx.waker().clone()));
        Poll::Pending
    }
}

/// Runs code of the application; a turn that it panics in is ended by
/// [`panicked`].
pub(crate) fn releasing<R>(turn: &Rc<Turn>, code: impl FnOnce() -> R) -> R {
    let with_innermost = |change: &dyn Fn(&mut Vec<Rc<Turn>>)| {
        POLLED.with_borrow_mut(|polled| {
            if let Some(polled) = polled.last_mut() {
                change(&mut polled.at_risk);
            }
        });
    };
    with_innermost(&|at_risk| at_risk.push(Rc::clone(turn)));
    let outcome = code();
    with_innermost(&|at_risk| drop(at_risk.pop()));
    outcome
}

/// Wakes a task: a note before anyone listens, later a call.
struct Wakeup(SendWrapper<WakeupState>);

#[derive(Default)]
struct WakeupState {
    is_woken: Cell<bool>,
    is_over: Cell<bool>,
    wake: RefCell<Option<Function>>,
}

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        match &*self.0.wake.borrow() {
            // The function only resolves a promise; it can't fail.
            Some(wake) => drop(wake.call0(&JsValue::UNDEFINED)),
            None => self.0.is_woken.set(true),
        }
    }
}

mod js {
    use wasm_bindgen::prelude::wasm_bindgen;

    #[wasm_bindgen]
    extern "C" {
        /// Of the shim: begins what was offered.
        #[wasm_bindgen(js_name = partyserverSpawn)]
        pub(super) fn spawn() -> bool;
    }
}
