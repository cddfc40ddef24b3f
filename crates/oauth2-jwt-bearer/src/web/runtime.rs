//! `Date.now`, `setTimeout`, and the host's way to run a task.

use std::time::{Duration, SystemTime};

use js_sys::futures::JsFuture;
use js_sys::{Function, Promise};
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use super::Spawn;
use crate::verifier::port::{BoxFuture, Runtime};

/// The runtime that the program is in.
pub(super) struct Web {
    pub(super) spawn: Spawn,
}

impl Runtime for Web {
    fn now(&self) -> SystemTime {
        // The clock counts whole milliseconds. A clock before 1970 is read as 1970.
        SystemTime::UNIX_EPOCH + Duration::from_millis(js_sys::Date::now() as u64)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        // A timer with a larger number would fire at once.
        let milliseconds = i32::try_from(duration.as_millis()).unwrap_or(i32::MAX);
        // The timer begins now. It is never cleared: on Workers its id has no meaning
        // outside of the request that began it, and the future may be dropped in
        // another request.
        let timer = Promise::new(&mut |resolve, _| {
            set_timeout(&resolve, milliseconds);
        });
        let timer = SendWrapper::new(JsFuture::from(timer));
        Box::pin(async move {
            let _ = timer.await;
        })
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) -> bool {
        (self.spawn)(task)
    }

    fn patience(&self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }
}

#[wasm_bindgen]
extern "C" {
    /// Gives a number or an object: the timer's id, which is not used.
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Function, milliseconds: i32) -> JsValue;
}
