//! One alarm of the platform's for all that a room waits for: the alarm that its
//! code has set, and the deadlines of its connections.
//!
//! The platform's alarm is set to the earliest. One that fires early does no
//! harm: it finds nothing due and sets the next.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use partyserver::StorageError;
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;

use crate::js::settled;
use crate::room::ObjectRoom;
use crate::storage::{RESERVED, unavailable};
use crate::time::{Sleep, now_millis};

/// What is known of a room's alarm.
#[derive(Default)]
pub(crate) struct Alarm {
    /// The alarm that the room's code has set; `None` before it was read.
    user: RefCell<Option<Option<UserAlarm>>>,
    /// When the platform's alarm is set to; `None` before it was read.
    platform: Cell<Option<Option<u64>>>,
    /// Whether `on_alarm` runs: the alarm is stored until it has run, but not set.
    is_running: Cell<bool>,
    /// Whether a deadline was moved since the platform's alarm was last set.
    pub(crate) is_moved: Cell<bool>,
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
        self.alarm.is_running.set(false);
        self.store_user_alarm(at.map(|at| UserAlarm { at, failures: 0 }))
            .await
    }

    /// When the alarm of the room's code is set to.
    pub(crate) async fn user_alarm(&self) -> Result<Option<u64>, StorageError> {
        let alarm = self.load_user_alarm().await?;
        Ok(alarm
            .filter(|_| !self.alarm.is_running.get())
            .map(|alarm| alarm.at))
    }

    /// Whether the alarm of the room's code is due; it runs from here on.
    pub(crate) async fn begin_user_alarm(&self) -> bool {
        let is_due = match self.load_user_alarm().await {
            Ok(alarm) => alarm.is_some_and(|alarm| alarm.at <= now_millis()),
            Err(error) => {
                tracing::error!(party = %self.party_name(), %error, "the alarm can't be read");
                false
            }
        };
        is_due && !self.alarm.is_running.replace(true)
    }

    /// `on_alarm` has ended. After an error it is tried again.
    pub(crate) async fn end_user_alarm(&self, is_done: bool) {
        // One that was set meanwhile is another alarm.
        if !self.alarm.is_running.replace(false) {
            return;
        }
        let failures = match *self.alarm.user.borrow() {
            Some(Some(alarm)) => alarm.failures,
            _ => 0,
        };
        let again = (!is_done && failures < MAX_RETRIES).then(|| UserAlarm {
            at: now_millis() + RETRY_MILLIS * 2_u64.pow(failures),
            failures: failures + 1,
        });
        if let Err(error) = self.store_user_alarm(again).await {
            tracing::error!(party = %self.party_name(), %error, "an alarm can't be stored");
        }
    }

    /// The platform's alarm has fired: it is not set any more.
    pub(crate) fn fired(&self) {
        self.alarm.platform.set(Some(None));
        self.alarm.is_moved.set(true);
    }

    /// Sets the platform's alarm when a deadline was moved.
    pub(crate) async fn settle_deadlines(&self) {
        if self.alarm.is_moved.replace(false)
            && let Err(error) = self.schedule().await
        {
            self.alarm.is_moved.set(true);
            tracing::error!(party = %self.party_name(), %error, "the alarm can't be set");
        }
    }

    /// Closes connections at their deadlines, for as long as it is polled.
    pub(crate) async fn keep_deadlines(self: &Arc<Self>) -> std::convert::Infallible {
        loop {
            let next = self.next_deadline().unwrap_or(u64::MAX);
            let pause = next
                .saturating_sub(now_millis())
                .clamp(1, LONGEST_PAUSE_MILLIS);
            Sleep::new(Duration::from_millis(pause)).await;
        }
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
        let user = user.filter(|_| !self.alarm.is_running.get());
        let next = self
            .next_deadline()
            .into_iter()
            .chain(user.map(|user| user.at));
        let Some(next) = next.min() else {
            return Ok(());
        };
        let storage = self.storage().as_js();
        let present = match self.alarm.platform.get() {
            Some(present) => present,
            None => {
                let present = settled(storage.get_alarm(js_sys::Object::new())).await;
                present
                    .map_err(unavailable)?
                    .as_f64()
                    .map(|millis| millis as u64)
            }
        };
        if present.is_some_and(|present| present <= next) {
            self.alarm.platform.set(Some(present));
            return Ok(());
        }
        self.alarm.platform.set(Some(Some(next)));
        let date = js_sys::Date::new(&JsValue::from_f64(next as f64));
        let set = settled(storage.set_alarm(date, js_sys::Object::new())).await;
        if set.is_err() {
            self.alarm.platform.set(None);
        }
        set.map_err(unavailable).map(|_| ())
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
        if let Err(thrown) = settled(stored).await {
            *self.alarm.user.borrow_mut() = before;
            return Err(unavailable(thrown));
        }
        self.schedule().await
    }
}

fn key() -> String {
    format!("{RESERVED}alarm")
}

const RETRY_MILLIS: u64 = 2000;
const MAX_RETRIES: u32 = 6;
/// So that a clock that jumps is noticed.
const LONGEST_PAUSE_MILLIS: u64 = 60_000;
