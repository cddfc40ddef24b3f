//! The platform gives a room one alarm. It serves everything that the room waits for:
//! the alarm that its code has set, and the deadlines of its connections.
//!
//! The platform's alarm is set to the earliest of these. If it fires too early, it does
//! no harm: it finds nothing due and sets the next.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use partyserver::StorageError;
use partyserver::host::RESERVED;
use partyserver::host::alarm::{AlarmWork, Next, RETRY, WakeUp, earliest};
use partyserver::host::life::{from_millis, to_millis};
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;

use super::connections::Connections;
use super::deadlines::Deadlines;
use super::storage::{ObjectStorage, unavailable};
use super::turns::Turns;
use crate::platform::js::settled;
use crate::platform::task;
use crate::platform::time::{Sleep, now};

/// A room's alarm.
pub(super) struct Alarm {
    party: Arc<str>,
    storage: Arc<ObjectStorage>,
    pub(super) deadlines: Deadlines,
    /// The turns of the room's server.
    turns: Rc<Turns>,
    /// The alarm that the room's code has set. `None` before it was read.
    own: RefCell<Option<Option<OwnAlarm>>>,
    /// The id of that alarm: how many alarms the room's code has set or removed.
    id: Cell<u64>,
    work: RefCell<AlarmWork>,
    /// Whether its hook has ended well, until what follows from that is stored.
    outcome: Cell<Option<bool>>,
    platform: RefCell<WakeUp>,
    /// Whether setting the platform's alarm will be tried again soon.
    is_retried: Cell<bool>,
}

/// The alarm that the room's code has set, as it is stored.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct OwnAlarm {
    /// Milliseconds since 1970.
    at: u64,
    /// How often `on_alarm` has failed since it was set.
    failures: u32,
}

impl OwnAlarm {
    fn at(at: SystemTime, failures: u32) -> Self {
        let at = to_millis(at);
        Self { at, failures }
    }

    fn time(&self) -> SystemTime {
        from_millis(self.at)
    }
}

impl Alarm {
    pub(super) fn new(
        party: Arc<str>,
        storage: Arc<ObjectStorage>,
        connections: Rc<Connections>,
        turns: Rc<Turns>,
    ) -> Rc<Self> {
        Rc::new(Self {
            party,
            storage,
            deadlines: Deadlines::of(connections),
            turns,
            own: RefCell::default(),
            id: Cell::default(),
            work: RefCell::default(),
            outcome: Cell::default(),
            platform: RefCell::default(),
            is_retried: Cell::default(),
        })
    }

    /// Sets or removes the alarm of the room's code.
    pub(super) async fn set(&self, at: Option<SystemTime>) -> Result<(), StorageError> {
        self.id.set(self.id.get() + 1);
        self.work.borrow_mut().replace();
        self.put(at.map(|at| OwnAlarm::at(at, 0))).await
    }

    /// The time of the alarm of the room's code.
    pub(super) async fn get(&self) -> Result<Option<SystemTime>, StorageError> {
        let own = self.load().await?;
        Ok(self.unless_running(own).map(|own| own.time()))
    }

    /// Whether the alarm of the room's code is due. If so, the caller must run it.
    pub(super) async fn due(&self) -> Result<bool, StorageError> {
        let own = self.load().await?;
        let own = own.filter(|own| own.time() <= now());
        Ok(own.is_some_and(|own| self.work.borrow_mut().due(self.id.get(), own.failures)))
    }

    /// The alarm's turn has come. Returns whether it must still run.
    pub(super) fn begin(&self) -> bool {
        self.work.borrow_mut().begin()
    }

    /// Its run has ended.
    ///
    /// # Errors
    /// When what follows can't be stored. Then the hook is not run again, but this is to
    /// be called again with [`Alarm::unstored`].
    pub(super) async fn end(&self, is_done: bool) -> Result<(), StorageError> {
        self.outcome.set(Some(is_done));
        let next = {
            let mut work = self.work.borrow_mut();
            if !is_done {
                // A failure before the hook counts as a run, because it would happen
                // again at once.
                let _ = work.begin();
            }
            work.end(is_done, now())
        };
        match next {
            Next::Leave => {}
            Next::Clear => self.put(None).await?,
            Next::Again { at, failures } => self.put(Some(OwnAlarm::at(at, failures))).await?,
        }
        self.work.borrow_mut().stored(next);
        self.outcome.set(None);
        Ok(())
    }

    /// The outcome of a run from which nothing could be stored yet.
    pub(super) fn unstored(&self) -> Option<bool> {
        self.outcome.get()
    }

    /// Nobody sees to its run any more: it is run anew.
    pub(super) fn dismiss(&self) {
        self.work.borrow_mut().dismiss();
        self.outcome.set(None);
    }

    /// The platform's alarm has fired.
    pub(super) fn fired(&self) {
        self.platform.borrow_mut().fired();
    }

    /// The platform's alarm may be set to the wrong time.
    pub(super) fn look_again(&self) {
        self.platform.borrow_mut().moved();
    }

    /// A connection's deadline has changed. During a turn, the end of the turn handles
    /// that.
    pub(super) fn moved(self: &Rc<Self>) {
        self.look_again();
        self.deadlines.moved();
        if !self.turns.is_busy() {
            self.settle_soon();
        }
    }

    /// Sets the platform's alarm beside the current event.
    pub(super) fn settle_soon(self: &Rc<Self>) {
        let this = Rc::clone(self);
        task::spawn(async move {
            // After an error it tries again by itself.
            let _ = this.settle().await;
        });
    }

    /// Sets the platform's alarm if something has moved.
    pub(super) async fn settle(self: &Rc<Self>) -> Result<(), StorageError> {
        // A deadline may move while the alarm is being set.
        while self.take_stale() {
            if let Err(error) = self.schedule().await {
                self.look_again();
                tracing::error!(party = %self.party, %error, "the alarm can't be set");
                self.retry();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Sets the platform's alarm for the deadlines alone.
    pub(super) async fn settle_without_own(&self) -> Result<(), StorageError> {
        self.set_platform(None).await
    }

    fn take_stale(&self) -> bool {
        self.platform.borrow_mut().take_stale()
    }

    fn retry(self: &Rc<Self>) {
        if self.is_retried.replace(true) {
            return;
        }
        let this = Rc::clone(self);
        let is_begun = task::spawn(async move {
            Sleep::new(RETRY).await;
            this.is_retried.set(false);
            // After an error it is tried again.
            this.settle_soon();
        });
        if !is_begun {
            self.is_retried.set(false);
        }
    }

    async fn schedule(&self) -> Result<(), StorageError> {
        let own = self.load().await?;
        if !self.platform.borrow().is_known() {
            let present = settled(self.storage.as_js().get_alarm(js_sys::Object::new())).await;
            let present = present.map_err(unavailable)?.as_f64();
            let present = present.map(|millis| from_millis(millis as u64));
            self.platform.borrow_mut().read(present);
        }
        self.set_platform(self.unless_running(own)).await
    }

    /// An alarm is stored until it has run, but while it runs it does not count as set.
    fn unless_running(&self, own: Option<OwnAlarm>) -> Option<OwnAlarm> {
        own.filter(|_| !self.work.borrow().is_running(self.id.get()))
    }

    /// Sets the platform's alarm to the earliest time that the room waits for. The
    /// write has begun when this returns.
    fn set_platform(
        &self,
        own: Option<OwnAlarm>,
    ) -> impl Future<Output = Result<(), StorageError>> {
        let own = own.map(|own| own.time());
        let next = earliest([own, self.deadlines.earliest()]);
        // The platform accepts no alarm at time 0.
        let next = next.map(|next| next.max(from_millis(1)));
        let wanted = self.platform.borrow_mut().wanted(next);
        let set = wanted.map(|at| {
            let date = js_sys::Date::new(&JsValue::from_f64(to_millis(at) as f64));
            let storage = self.storage.as_js();
            storage.set_alarm(date, js_sys::Object::new())
        });
        async move {
            let Some(set) = set else {
                return Ok(());
            };
            let set = settled(set).await;
            if set.is_err() {
                self.platform.borrow_mut().failed();
            }
            set.map_err(unavailable).map(|_| ())
        }
    }

    async fn load(&self) -> Result<Option<OwnAlarm>, StorageError> {
        if let Some(known) = *self.own.borrow() {
            return Ok(known);
        }
        let stored = settled(self.storage.as_js().get(&key()))
            .await
            .map_err(unavailable)?;
        let stored = stored.as_string();
        let own = stored.and_then(|text| serde_json::from_str(&text).ok());
        // The alarm may have been set while it was being read.
        Ok(*self.own.borrow_mut().get_or_insert(own))
    }

    async fn put(&self, own: Option<OwnAlarm>) -> Result<(), StorageError> {
        let storage = self.storage.as_js();
        let stored = match &own {
            Some(own) => storage.put(&key(), serde_json::to_string(own)?.into()),
            None => storage.delete(&key()),
        };
        let id = self.id.get();
        let before = self.own.borrow_mut().replace(own);
        // Done in the same step, so that no crash can come between the two.
        let set = self.set_platform(own);
        // Both are waited for: each notes what it could not do.
        let (stored, set) = (settled(stored).await, set.await);
        if let Err(thrown) = stored {
            // Another may have been set meanwhile.
            if id == self.id.get() {
                *self.own.borrow_mut() = before;
            }
            return Err(unavailable(thrown));
        }
        set
    }
}

fn key() -> String {
    format!("{RESERVED}alarm")
}
