//! Runs futures, each in the context of the event that it began with.
//!
//! On Workers a timer, a fetch or a socket belongs to the request that made it.
//! So a future must never be polled in the context of another request, which is
//! what one common queue of tasks would do. Here each future has a loop of its
//! own in JavaScript (`drive` in the shim), and waking it resolves a promise that
//! was made in its own context.
//!
//! **The contract:** a panic ends its own task and nothing else. The task is asked
//! for its last words ([`Task::panicked`]); what it held is released there.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use js_sys::Function;
use send_wrapper::SendWrapper;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::turns::Turn;

type LocalFuture = Pin<Box<dyn Future<Output = JsValue>>>;

/// A future that JavaScript drives.
#[wasm_bindgen]
pub struct Task {
    /// Taken out while it is polled, so that after a panic it is never polled
    /// again.
    future: RefCell<Option<LocalFuture>>,
    waker: RefCell<Option<Waker>>,
    last_words: Cell<Option<LastWords>>,
}

/// What a task does and answers after a panic, given the id it was logged with.
type LastWords = Box<dyn FnOnce(&str) -> JsValue>;

impl Task {
    /// A task with its answer, and what it answers after a panic.
    pub(crate) fn new(
        future: impl Future<Output = JsValue> + 'static,
        last_words: impl FnOnce(&str) -> JsValue + 'static,
    ) -> Self {
        Self {
            future: RefCell::new(Some(Box::pin(future))),
            waker: RefCell::new(None),
            last_words: Cell::new(Some(Box::new(last_words))),
        }
    }
}

#[wasm_bindgen]
impl Task {
    /// Polls once. `undefined` while there is no answer; `wake` is called when
    /// it is worth polling again.
    pub fn poll(&self, wake: &Function) -> JsValue {
        let Some(mut future) = self.future.take() else {
            return JsValue::NULL;
        };
        let waker = self
            .waker
            .borrow_mut()
            .get_or_insert_with(|| Waker::from(Arc::new(JsWaker(SendWrapper::new(wake.clone())))))
            .clone();
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => answer,
            Poll::Pending => {
                *self.future.borrow_mut() = Some(future);
                JsValue::UNDEFINED
            }
        }
    }

    /// The answer of a task whose last poll panicked.
    pub fn panicked(&self, id: &str) -> JsValue {
        for turn in AT_RISK.take() {
            turn.end();
        }
        let last_words = self.last_words.take();
        last_words.map_or(JsValue::NULL, |last_words| last_words(id))
    }
}

/// Runs a future beside the event that is being handled now, for as long as the
/// platform lets it: on after the answer (`waitUntil`). Returns `false` where
/// no event is being handled; then it is dropped.
pub fn spawn(future: impl Future<Output = ()> + 'static) -> bool {
    let task = Task::new(
        async move {
            future.await;
            JsValue::NULL
        },
        |_| JsValue::NULL,
    );
    js::spawn(task)
}

/// Runs a future as a task of its own and waits for its end, by a panic too.
pub(crate) async fn run(
    future: impl Future<Output = ()> + 'static,
    last_words: impl FnOnce(&str) + 'static,
) {
    let ended = Rc::new(Ended::default());
    let (done, broken) = (Rc::clone(&ended), Rc::clone(&ended));
    let task = Task::new(
        async move {
            future.await;
            done.set();
            JsValue::NULL
        },
        move |panic| {
            last_words(panic);
            broken.set();
            JsValue::NULL
        },
    );
    if js::spawn(task) {
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

thread_local! {
    /// Held while code of the application runs that must not keep it.
    static AT_RISK: RefCell<Vec<Rc<Turn>>> = const { RefCell::new(Vec::new()) };
}

/// Runs code of the application; a turn that it panics in is ended by
/// [`Task::panicked`].
pub(crate) fn releasing<R>(turn: &Rc<Turn>, code: impl FnOnce() -> R) -> R {
    AT_RISK.with_borrow_mut(|turns| turns.push(Rc::clone(turn)));
    let outcome = code();
    AT_RISK.with_borrow_mut(Vec::pop);
    outcome
}

struct JsWaker(SendWrapper<Function>);

impl Wake for JsWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // The function only resolves a promise; it can't fail.
        let _ = self.0.call0(&JsValue::UNDEFINED);
    }
}

mod js {
    use wasm_bindgen::prelude::wasm_bindgen;

    use super::Task;

    #[wasm_bindgen]
    extern "C" {
        /// Of the shim.
        #[wasm_bindgen(js_name = partyserverSpawn)]
        pub(super) fn spawn(task: Task) -> bool;
    }
}
