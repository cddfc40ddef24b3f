//! The wall clock and timers of the platform.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use futures_util::future::{Either, select};
use partyserver::host::life::from_millis;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::Closure;

use super::js;

/// The wall clock. On Workers it stands still while code runs, and moves on with each
/// input.
pub(crate) fn now() -> SystemTime {
    from_millis(now_millis())
}

/// Milliseconds since 1970. The platform is asked once for each poll of a task, because
/// its clock stands still during the poll.
pub(crate) fn now_millis() -> u64 {
    match NOW.get() {
        0 => {
            NOW.set(js_sys::Date::now() as u64);
            NOW.get()
        }
        now => now,
    }
}

/// Forgets the time, because it may have moved on since the platform was asked.
pub(crate) fn forget_now() {
    NOW.set(0);
}

thread_local! {
    /// 0 means that the platform must be asked.
    static NOW: Cell<u64> = const { Cell::new(0) };
}

/// Runs a future for a limited time. The timer is set only if the future waits.
pub(crate) async fn limited<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let future = std::pin::pin!(future);
    match select(future, Sleep::new(limit)).await {
        Either::Left((outcome, _)) => Some(outcome),
        Either::Right(_) => None,
    }
}

/// Waits. The timer is set at the first poll, and cleared when this is dropped.
pub(crate) struct Sleep {
    duration: Duration,
    timer: Option<Timer>,
}

struct Timer {
    id: JsValue,
    state: Rc<State>,
    _callback: Closure<dyn FnMut()>,
}

#[derive(Default)]
struct State {
    is_over: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Sleep {
    pub(crate) fn new(duration: Duration) -> Self {
        Self {
            duration,
            timer: None,
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let millis = self.duration.as_millis().min(i32::MAX as u128) as f64;
        let timer = self.timer.get_or_insert_with(|| {
            let state = Rc::new(State::default());
            let fired = Rc::clone(&state);
            let callback = Closure::new(move || {
                fired.is_over.set(true);
                if let Some(waker) = fired.waker.take() {
                    waker.wake();
                }
            });
            Timer {
                id: set_timeout(&callback, millis),
                state,
                _callback: callback,
            }
        });
        if timer.state.is_over.get() {
            return Poll::Ready(());
        }
        *timer.state.waker.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }
}

fn set_timeout(callback: &Closure<dyn FnMut()>, millis: f64) -> JsValue {
    match js::set_timeout(callback, millis) {
        Ok(id) => id,
        // An object may have 10,000 timers at once. If an event asks for one more, the
        // event ends: the sleep must neither count as over nor wait for ever.
        Err(thrown) => panic!("no timer: {}", js::error_text(&thrown)),
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if !self.state.is_over.get() {
            // This fails in a context other than the timer's. Then that context has
            // ended, and so has the timer.
            let _ = js::clear_timeout(&self.id);
        }
    }
}
