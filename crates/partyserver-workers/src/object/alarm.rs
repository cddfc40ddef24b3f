//! One alarm of the platform's for all that a room waits for: the alarm that its
//! code has set, and the deadlines of its connections.
//!
//! The platform's alarm is set to the earliest. One that fires early does no
//! harm: it finds nothing due and sets the next.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::select;
use partyserver::{BoxFuture, StorageError};
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;

use crate::js::settled;
use crate::room::ObjectRoom;
use crate::storage::unavailable;
use crate::task;
use crate::time::{Sleep, now_millis};

/// What is known of a room's alarm.
#[derive(Default)]
pub(crate) struct Alarm {
    /// The alarm that the room's code has set; `None` before it was read.
    user: RefCell<Option<Option<UserAlarm>>>,
    /// When the platform's alarm is set to; `None` before it was read.
    platform: Cell<Option<Option<u64>>>,
    /// How many alarms the room's code has set or removed: which one it is.
    count: Cell<u64>,
    /// The alarm whose `on_alarm` runs: stored until it has run, but not set.
    running: Cell<Option<u64>>,
    /// Whether the platform's alarm may have to be set anew: a deadline was moved, the
    /// object woke, or it has fired.
    pub(crate) is_moved: Cell<bool>,
    /// Woken when a deadline is moved.
    pub(crate) watcher: Cell<Option<Waker>>,
    /// Whether setting it is to be tried again soon.
    is_retried: Cell<bool>,
}

/// The alarm that the room's code has set, as it is stored.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct UserAlarm {
    /// Milliseconds since 1970.
    at: u64,
    /// How often `on_alarm` has failed since it was set.
    failures: u32,
}

impl ObjectRoom {
    /// Sets or removes the alarm of the room's code.
    pub(crate) async fn set_user_alarm(&self, at: Option<u64>) -> Result<(), StorageError> {
        // It is another alarm than the one that runs.
        self.alarm.count.set(self.alarm.count.get() + 1);
        self.store_user_alarm(at.map(|at| UserAlarm { at, failures: 0 }))
            .await
    }

    /// When the alarm of the room's code is set to.
    pub(crate) async fn user_alarm(&self) -> Result<Option<u64>, StorageError> {
        let alarm = self.load_user_alarm().await?;
        Ok(alarm
            .filter(|_| !self.is_user_alarm_running())
            .map(|alarm| alarm.at))
    }

    /// Whether the alarm of the room's code is due.
    pub(crate) async fn is_user_alarm_due(&self) -> Result<bool, StorageError> {
        let at = self.user_alarm().await?;
        Ok(at.is_some_and(|at| at <= now_millis()))
    }

    /// The same, once it is the alarm's turn. If so, it runs from here on.
    pub(crate) async fn begin_user_alarm(&self) -> Result<bool, StorageError> {
        let is_due = self.is_user_alarm_due().await?;
        if is_due {
            self.alarm.running.set(Some(self.alarm.count.get()));
        }
        Ok(is_due)
    }

    /// `on_alarm` has ended, if it has begun. After an error it is tried again.
    pub(crate) async fn end_user_alarm(&self, is_done: bool) -> Result<(), StorageError> {
        let ended = self.alarm.running.take();
        // One that was set meanwhile is another alarm.
        if ended != Some(self.alarm.count.get()) {
            return Ok(());
        }
        let failures = match *self.alarm.user.borrow() {
            Some(Some(alarm)) => alarm.failures,
            _ => 0,
        };
        let again = (!is_done && failures < MAX_RETRIES).then(|| UserAlarm {
            at: now_millis() + RETRY_MILLIS * 2_u64.pow(failures),
            failures: failures + 1,
        });
        let stored = self.store_user_alarm(again).await;
        if stored.is_err()
            && let Some(Some(alarm)) = &mut *self.alarm.user.borrow_mut()
        {
            // It is still due, and is not to run again at once.
            alarm.at = now_millis() + RETRY_MILLIS;
        }
        stored
    }

    fn is_user_alarm_running(&self) -> bool {
        self.alarm.running.get() == Some(self.alarm.count.get())
    }

    /// The platform's alarm has fired: it is not set any more.
    pub(crate) fn fired(&self) {
        self.alarm.platform.set(Some(None));
        self.alarm.is_moved.set(true);
    }

    /// Sets the platform's alarm when a deadline was moved.
    pub(crate) async fn settle_deadlines(self: &Arc<Self>) -> Result<(), StorageError> {
        // One may be moved while the alarm is set.
        while self.alarm.is_moved.replace(false) {
            if let Err(error) = self.schedule().await {
                self.alarm.is_moved.set(true);
                tracing::error!(party = %self.party_name(), %error, "the alarm can't be set");
                self.retry();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Sets the platform's alarm for the deadlines alone.
    pub(crate) async fn settle_without_user_alarm(&self) -> Result<(), StorageError> {
        self.set_platform_alarm(None).await
    }

    fn retry(self: &Arc<Self>) {
        if self.alarm.is_retried.replace(true) {
            return;
        }
        let room = Arc::clone(self);
        let again: BoxFuture<'static, ()> = Box::pin(async move {
            Sleep::new(Duration::from_millis(RETRY_MILLIS)).await;
            room.alarm.is_retried.set(false);
            // It is tried again after an error.
            let _ = room.settle_deadlines().await;
        });
        if !task::spawn(again) {
            self.alarm.is_retried.set(false);
        }
    }

    /// Closes connections at their deadlines, for as long as it is polled.
    pub(crate) async fn keep_deadlines(self: &Arc<Self>) -> std::convert::Infallible {
        loop {
            let next = self.next_deadline().unwrap_or(u64::MAX);
            let pause = next
                .saturating_sub(now_millis())
                .clamp(1, LONGEST_PAUSE_MILLIS);
            let moved = std::future::poll_fn(|cx| self.poll_moved(next, cx));
            select(moved, Sleep::new(Duration::from_millis(pause))).await;
        }
    }

    /// Ready when the earliest deadline is not this one any more.
    fn poll_moved(&self, known: u64, cx: &mut Context<'_>) -> Poll<()> {
        if self.next_deadline().unwrap_or(u64::MAX) != known {
            return Poll::Ready(());
        }
        self.alarm.watcher.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    /// The earliest deadline of the open connections. Those past theirs are
    /// closed by being looked at.
    fn next_deadline(&self) -> Option<u64> {
        let open = self.open();
        let deadlines = open.iter().filter_map(|conn| conn.deadline());
        deadlines.map(|deadline| deadline.at).min()
    }

    async fn schedule(&self) -> Result<(), StorageError> {
        let user = self.load_user_alarm().await?;
        if self.alarm.platform.get().is_none() {
            let present = settled(self.storage().as_js().get_alarm(js_sys::Object::new())).await;
            let present = present.map_err(unavailable)?.as_f64();
            let present = present.map(|millis| millis as u64);
            // It may have been set while it was read.
            if self.alarm.platform.get().is_none() {
                self.alarm.platform.set(Some(present));
            }
        }
        self.set_platform_alarm(user).await
    }

    /// Has the platform's alarm set to the earliest of what the room waits for. It
    /// is under way when this returns.
    fn set_platform_alarm(
        &self,
        user: Option<UserAlarm>,
    ) -> impl Future<Output = Result<(), StorageError>> {
        let user = user.filter(|_| !self.is_user_alarm_running());
        let all = self.next_deadline().into_iter();
        let next = all.chain(user.map(|user| user.at)).min();
        // The platform sets none at the beginning of time.
        let next = next.map(|next| next.max(1));
        let present = self.alarm.platform.get().flatten();
        let next = next.filter(|next| present.is_none_or(|present| *next < present));
        let set = next.map(|next| {
            self.alarm.platform.set(Some(Some(next)));
            let date = js_sys::Date::new(&JsValue::from_f64(next as f64));
            let storage = self.storage().as_js();
            storage.set_alarm(date, js_sys::Object::new())
        });
        async move {
            let Some(set) = set else {
                return Ok(());
            };
            let set = settled(set).await;
            if set.is_err() {
                self.alarm.platform.set(None);
            }
            set.map_err(unavailable).map(|_| ())
        }
    }

    async fn load_user_alarm(&self) -> Result<Option<UserAlarm>, StorageError> {
        if let Some(known) = *self.alarm.user.borrow() {
            return Ok(known);
        }
        let stored = settled(self.storage().as_js().get(&key()))
            .await
            .map_err(unavailable)?;
        let stored = stored.as_string();
        let alarm = stored.and_then(|text| serde_json::from_str(&text).ok());
        // It may have been set while it was read.
        Ok(*self.alarm.user.borrow_mut().get_or_insert(alarm))
    }

    async fn store_user_alarm(&self, alarm: Option<UserAlarm>) -> Result<(), StorageError> {
        let storage = self.storage().as_js();
        let stored = match &alarm {
            Some(alarm) => storage.put(&key(), serde_json::to_string(alarm)?.into()),
            None => storage.delete(&key()),
        };
        let before = self.alarm.user.borrow_mut().replace(alarm);
        // In the same step, so that no crash comes between the two.
        let set = self.set_platform_alarm(alarm);
        if let Err(thrown) = settled(stored).await {
            *self.alarm.user.borrow_mut() = before;
            return Err(unavailable(thrown));
        }
        set.await
    }
}

fn key() -> String {
    format!("{}alarm", partyserver::host::RESERVED)
}

const RETRY_MILLIS: u64 = 2000;
const MAX_RETRIES: u32 = 6;
/// So that a clock that jumps is noticed.
const LONGEST_PAUSE_MILLIS: u64 = 60_000;
