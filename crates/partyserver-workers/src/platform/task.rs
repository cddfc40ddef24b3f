//! Runs futures, each in the context of the event that it began with.
//!
//! On Workers a timer, a fetch or a socket belongs to the request that made it.
//! So a future must never be polled in the context of another request, which is
//! what one common queue of tasks would do. Here each future has a loop of its
//! own in JavaScript (`drive` in the shim), and waking it resolves a promise that
//! was made in its own context.
//!
//! **The contract:** a panic ends its own task and nothing else. The task is asked
//! for its last words ([`panicked`]); what it held or waited for is given back there.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use js_sys::Function;
use partyserver::host::escaped;
use send_wrapper::SendWrapper;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::{log, time};

type LocalFuture = Pin<Box<dyn Future<Output = JsValue>>>;

/// What a task does and answers after a panic, given its text.
type LastWords = Box<dyn FnOnce(String) -> JsValue>;

/// What a task holds beside code of the application. A panic drops nothing, so it is
/// given back by name.
pub(crate) trait Held {
    /// Gives it back.
    fn give_back(&self);
}

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
    safeguard: Safeguard,
    waker: Waker,
}

/// What is left of a task after a panic, which unwinds nothing.
struct Safeguard {
    last_words: LastWords,
    /// What it holds, beside what its last words give back.
    held: Vec<Weak<dyn Held>>,
}

thread_local! {
    /// What is to be run beside the event at hand, until the shim begins it.
    static SPAWNED: Cell<Option<Event>> = const { Cell::new(None) };
    /// Of what is being polled. Innermost last: polling may spawn, and what is
    /// spawned is polled at once.
    static POLLED: RefCell<Vec<Safeguard>> = const { RefCell::new(Vec::new()) };
}

/// What becomes a task: its answer, and what it answers after a panic.
pub(crate) struct Event {
    future: LocalFuture,
    last_words: LastWords,
}

impl Event {
    pub(crate) fn new(
        future: impl Future<Output = JsValue> + 'static,
        last_words: impl FnOnce(String) -> JsValue + 'static,
    ) -> Self {
        Self {
            future: Box::pin(future),
            last_words: Box::new(last_words),
        }
    }

    /// An event with nobody to answer to.
    pub(crate) fn silent(
        future: impl Future<Output = ()> + 'static,
        last_words: impl FnOnce(String) + 'static,
    ) -> Self {
        let future = async move {
            future.await;
            JsValue::NULL
        };
        Self::new(future, move |panic| {
            last_words(panic);
            JsValue::NULL
        })
    }

    /// Its answer, or the task that will have it. For the shim alone.
    pub(crate) fn begin(self) -> JsValue {
        let wakeup = Arc::new(Wakeup(SendWrapper::new(WakeupState::default())));
        let work = Work {
            future: self.future,
            safeguard: Safeguard {
                last_words: self.last_words,
                held: Vec::new(),
            },
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

    /// Runs it beside the event that is being handled now. Returns `false` where
    /// there is none; then it is dropped.
    pub(crate) fn spawn(self) -> bool {
        SPAWNED.set(Some(self));
        let is_begun = js::spawn();
        SPAWNED.take();
        is_begun
    }

    /// Runs it as a task of its own and waits for its end, by a panic too.
    pub(crate) async fn run(self) {
        let ended = Rc::new(Ended::default());
        let (done, broken) = (Rc::clone(&ended), Rc::clone(&ended));
        let Self { future, last_words } = self;
        let event = Self::silent(
            async move {
                future.await;
                done.set();
            },
            move |panic| {
                last_words(panic);
                broken.set();
            },
        );
        if event.spawn() {
            std::future::poll_fn(|cx| ended.poll(cx)).await;
        }
    }
}

/// Begins what was spawned.
#[wasm_bindgen]
pub fn begin() -> JsValue {
    SPAWNED.take().map_or(JsValue::NULL, Event::begin)
}

/// The answer of the task that has just panicked; `undefined` when it was no panic:
/// then nothing in this memory can be relied on.
#[wasm_bindgen]
pub fn panicked() -> JsValue {
    let Some(panic) = log::take_panic() else {
        return JsValue::UNDEFINED;
    };
    let Some(Safeguard { last_words, held }) = POLLED.with_borrow_mut(Vec::pop) else {
        tracing::error!(panic = escaped(&panic), "a panic outside of an event");
        return JsValue::NULL;
    };
    for held in held.iter().filter_map(Weak::upgrade) {
        held.give_back();
    }
    last_words(panic)
}

impl Work {
    /// Polls once; gives itself back while there is no answer.
    fn poll(mut self) -> Result<JsValue, Self> {
        time::forget_now();
        POLLED.with_borrow_mut(|polled| polled.push(self.safeguard));
        let outcome = self
            .future
            .as_mut()
            .poll(&mut Context::from_waker(&self.waker));
        let safeguard = POLLED.with_borrow_mut(Vec::pop);
        match (outcome, safeguard) {
            (Poll::Ready(answer), _) => Ok(answer),
            (Poll::Pending, Some(safeguard)) => {
                self.safeguard = safeguard;
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
    spawn_with(future, || {})
}

/// The same. After a panic, which the log tells, `clean_up` is called.
pub(crate) fn spawn_with(
    future: impl Future<Output = ()> + 'static,
    clean_up: impl FnOnce() + 'static,
) -> bool {
    let last_words = move |panic: String| {
        tracing::error!(panic = escaped(&panic), "a task beside the events panicked");
        clean_up();
    };
    Event::silent(future, last_words).spawn()
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

/// What the task at hand holds from here on beside code of the application: when that
/// panics, it is given back.
pub(crate) fn guard(held: Weak<dyn Held>) {
    POLLED.with_borrow_mut(|polled| {
        if let Some(safeguard) = polled.last_mut() {
            let all = &mut safeguard.held;
            all.retain(|held| held.strong_count() > 0);
            all.push(held);
        }
    });
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
        /// Of the shim: begins what was spawned.
        #[wasm_bindgen(js_name = partyserverSpawn)]
        pub(super) fn spawn() -> bool;
    }
}
