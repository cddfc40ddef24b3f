//! Runs futures, each in the context of the event that it began with.
//!
//! On Workers a timer, a fetch or a socket belongs to the request that made it. So a
//! future must never be polled in the context of another request, as one common queue
//! of tasks would do. Here each future has its own loop in JavaScript (`drive` in the
//! shim), and waking it resolves a promise that was made in its own context.
//!
//! **The contract:** a panic ends its own task and nothing else. Then the task's last
//! words are called ([`panicked`]). They give back what the task held or waited for.

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

/// What a task does and answers after a panic, given the panic's text.
type LastWords = Box<dyn FnOnce(String) -> JsValue>;

/// What a task holds while code of the application runs. A panic drops nothing, so it
/// must be given back explicitly.
pub(crate) trait Held {
    /// Gives it back.
    fn give_back(&self);
}

/// A future that waits. JavaScript polls it.
#[wasm_bindgen]
pub struct Task {
    /// The rest of the work. It is taken out while it is polled, so that it is never
    /// polled again after a panic.
    work: RefCell<Option<Work>>,
    wakeup: Arc<Wakeup>,
}

struct Work {
    future: LocalFuture,
    safeguard: Safeguard,
    waker: Waker,
}

/// What a task leaves after a panic, which unwinds nothing.
struct Safeguard {
    last_words: LastWords,
    /// What the task holds, in addition to what its last words give back.
    held: Vec<Weak<dyn Held>>,
}

thread_local! {
    /// What will run beside the current event, until the shim begins it.
    static SPAWNED: Cell<Option<Event>> = const { Cell::new(None) };
    /// The safeguards of the tasks that are being polled, the innermost last. Polling
    /// may spawn a task, and a spawned task is polled at once.
    static POLLED: RefCell<Vec<Safeguard>> = const { RefCell::new(Vec::new()) };
}

/// What becomes a task: its work, and its answer after a panic.
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

    /// An event that answers nobody.
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

    /// The answer, or the task that will have it. Only the shim calls this.
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

    /// Runs the event beside the one that is being handled now. Returns `false` if no
    /// event is being handled; then this event is dropped.
    pub(crate) fn spawn(self) -> bool {
        SPAWNED.set(Some(self));
        let is_begun = js::spawn();
        SPAWNED.take();
        is_begun
    }

    /// Runs the event as a task of its own and waits for its end, even if it panics.
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

/// Begins a task that was spawned.
#[wasm_bindgen]
pub fn begin() -> JsValue {
    SPAWNED.take().map_or(JsValue::NULL, Event::begin)
}

/// The answer of the task that has just panicked. `undefined` if it was not a panic:
/// then nothing in this memory can be trusted.
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
    /// Polls once. Returns itself while there is no answer.
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

    /// Sets `wake` to be called when polling is useful again. `true` if it is useful
    /// already.
    pub fn listen(&self, wake: Function) -> bool {
        *self.wakeup.0.wake.borrow_mut() = Some(wake);
        self.wakeup.0.is_woken.get()
    }

    /// Whether the task has ended without a panic.
    #[wasm_bindgen(js_name = isOver)]
    pub fn is_over(&self) -> bool {
        self.wakeup.0.is_over.get()
    }
}

/// Runs a future beside the event that is being handled now. The future may go on after
/// the answer, as long as the platform allows (`waitUntil`). Returns `false` if no
/// event is being handled; then the future is dropped.
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

/// From here on, the current task holds this while code of the application runs. If
/// that code panics, `held` is given back.
pub(crate) fn guard(held: Weak<dyn Held>) {
    POLLED.with_borrow_mut(|polled| {
        if let Some(safeguard) = polled.last_mut() {
            let all = &mut safeguard.held;
            all.retain(|held| held.strong_count() > 0);
            all.push(held);
        }
    });
}

/// Wakes a task. Before anyone listens it keeps a note; later it calls a function.
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
        /// Of the shim: begins a task that was spawned.
        #[wasm_bindgen(js_name = partyserverSpawn)]
        pub(super) fn spawn() -> bool;
    }
}
