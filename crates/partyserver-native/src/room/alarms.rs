//! One timer for the alarms of all rooms.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use partyserver::StorageError;
use partyserver::host::alarm::{AlarmWork, Next};
use tokio::sync::Notify;

use super::AllRooms;
use crate::store::{Alarm, AlarmId, RoomName};

/// The alarms at work. It also signals that an alarm was set, was removed, or has run.
#[derive(Default)]
pub(crate) struct Alarms {
    changed: Notify,
    /// Alarms that are due, running, or failed and waiting to be tried again. A room
    /// without an entry has no alarm at work.
    at_work: Mutex<HashMap<RoomName, AlarmWork>>,
}

impl Alarms {
    /// The room set its alarm, which has this id now, or removed it.
    pub(super) fn set_anew(&self, room: &RoomName, alarm: Option<AlarmId>) {
        self.step(room, |work| {
            // The alarm's turn may have come before this call.
            if !alarm.is_some_and(|id| work.is_running(id.0)) {
                work.replace();
            }
        });
        self.changed.notify_one();
    }

    /// The alarm's turn has come. Returns `false` when it was set again or removed
    /// while it waited.
    pub(super) fn begin(&self, room: &RoomName) -> bool {
        self.step(room, AlarmWork::begin)
    }

    /// The alarm's hook has run. Returns the change to store.
    pub(super) fn end(&self, room: &RoomName, is_done: bool, now: SystemTime) -> Next {
        self.step(room, |work| work.end(is_done, now))
    }

    /// Whether the alarm with this id is running now.
    pub(super) fn is_running(&self, alarm: &Alarm) -> bool {
        let at_work = self.lock();
        let work = at_work.get(&alarm.room);
        work.is_some_and(|work| work.is_running(alarm.id.0))
    }

    /// Whether the caller must run an alarm that is due. Only one caller is told so.
    fn due(&self, alarm: &Alarm) -> bool {
        // Failures from before this process began are not known.
        self.step(&alarm.room, |work| work.due(alarm.id.0, 0))
    }

    /// The change after the run is stored.
    fn stored(&self, room: &RoomName, next: Next) {
        self.step(room, |work| work.stored(next));
        self.changed.notify_one();
    }

    /// The alarm does not run after all.
    fn dismiss(&self, room: &RoomName) {
        self.step(room, AlarmWork::dismiss);
        self.changed.notify_one();
    }

    /// How many alarms are due or running.
    fn count(&self) -> usize {
        let at_work = self.lock();
        at_work.values().filter(|work| work.is_at_work()).count()
    }

    fn step<T>(&self, room: &RoomName, step: impl FnOnce(&mut AlarmWork) -> T) -> T {
        let mut at_work = self.lock();
        let work = at_work.entry(room.clone()).or_default();
        let outcome = step(work);
        if work.is_forgotten() {
            at_work.remove(room);
        }
        outcome
    }

    /// Each step of an alarm is complete before anything could panic, so a poisoned
    /// lock is harmless.
    fn lock(&self) -> MutexGuard<'_, HashMap<RoomName, AlarmWork>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs due alarms until the server stops. While nothing is due, this does not keep the
/// server in memory if nobody else holds it.
pub(crate) async fn run(rooms: Weak<AllRooms>) {
    let Some(alarms) = rooms.upgrade().map(|rooms| Arc::clone(&rooms.alarms)) else {
        return;
    };
    while let Some(pause) = start_due(&rooms).await {
        // The wait is limited, so that a clock that jumps is noticed.
        let _ = tokio::time::timeout(pause.min(LONGEST_PAUSE), alarms.changed.notified()).await;
    }
}

/// Starts every due alarm in a task of its own. Returns how long there will be nothing
/// else to start.
async fn start_due(weak: &Weak<AllRooms>) -> Option<Duration> {
    let rooms = weak.upgrade()?;
    if rooms.host.stop.has_begun() {
        return None;
    }
    let at_work = rooms.alarms.count();
    let places = MAX_AT_WORK.saturating_sub(at_work).min(MAX_AT_ONCE);
    // Alarms at work are due too. They must not take the places of others in the list.
    let alarms = match rooms.host.store.next_alarms(at_work + places).await {
        Ok(alarms) => alarms,
        Err(error) => {
            tracing::warn!(%error, "the alarms can't be read");
            return Some(STORE_PAUSE);
        }
    };
    let mut left = places;
    for alarm in alarms {
        if left == 0 {
            break;
        }
        let now = rooms.host.clock.now();
        if alarm.at > now {
            return Some(alarm.at.duration_since(now).unwrap_or_default());
        }
        if rooms.alarms.due(&alarm) {
            tokio::spawn(run_one(Weak::clone(weak), alarm));
            left -= 1;
        }
    }
    // There may be more due alarms, unless all places are taken. An alarm that ends
    // signals that a place is free.
    Some(if left < places {
        Duration::ZERO
    } else {
        LONGEST_PAUSE
    })
}

/// Runs an alarm and stores the outcome. Until that is stored, the room's alarm stays
/// at work, so that a store that fails does not make the hook run again. `None` when
/// the server ends first.
async fn run_one(weak: Weak<AllRooms>, alarm: Alarm) -> Option<()> {
    let mut failures = StoreFailures::default();
    let present = loop {
        let outcome = weak.upgrade()?.host.store.alarm(alarm.room.clone()).await;
        match outcome {
            Ok(present) => break present,
            Err(error) => failures.pause(&weak, &error).await?,
        }
    };
    let rooms = weak.upgrade()?;
    // The alarm may have run, or may have been moved, since the list of alarms was
    // read.
    if present.as_ref() != Some(&alarm) {
        rooms.alarms.dismiss(&alarm.room);
        return Some(());
    }
    let Some(room) = rooms.room(&alarm.room) else {
        // The party is not served now. Its alarms wait until it is.
        let later = rooms.host.clock.now() + UNSERVED_PAUSE;
        drop(rooms);
        store_on(&weak, &alarm, Some(later), &mut failures).await?;
        weak.upgrade()?.alarms.dismiss(&alarm.room);
        return Some(());
    };
    let Some(next) = room.alarm().await else {
        // The alarm may have waited for the very turn that set it again. So the stored
        // alarm is looked at again; it may be this one.
        rooms.alarms.dismiss(&alarm.room);
        return Some(());
    };
    drop(rooms);
    match next {
        Next::Clear => store_on(&weak, &alarm, None, &mut failures).await?,
        Next::Again { at, .. } => store_on(&weak, &alarm, Some(at), &mut failures).await?,
        Next::Leave => {}
    }
    weak.upgrade()?.alarms.stored(&alarm.room, next);
    Some(())
}

/// Clears an alarm or moves it to a later time, and tries until the store succeeds. If
/// the room has set its alarm meanwhile, that is another alarm, and it is left as it
/// is.
async fn store_on(
    weak: &Weak<AllRooms>,
    alarm: &Alarm,
    later: Option<SystemTime>,
    failures: &mut StoreFailures,
) -> Option<()> {
    loop {
        let store = weak.upgrade()?.host.store.clone();
        let outcome = match later {
            None => store.clear_alarm(alarm).await,
            Some(later) => store.move_alarm(alarm, later).await,
        };
        match outcome {
            Ok(()) => return Some(()),
            Err(error) => failures.pause(weak, &error).await?,
        }
    }
}

/// The store fails while an alarm is at work. This is logged once, and tried again.
#[derive(Default)]
struct StoreFailures {
    are_logged: bool,
}

impl StoreFailures {
    async fn pause(&mut self, rooms: &Weak<AllRooms>, error: &StorageError) -> Option<()> {
        if rooms.upgrade()?.host.stop.has_begun() {
            return None;
        }
        if !std::mem::replace(&mut self.are_logged, true) {
            tracing::error!(%error, "the store fails an alarm; trying on");
        }
        tokio::time::sleep(STORE_PAUSE).await;
        Some(())
    }
}

/// How many alarms are read and started at once.
const MAX_AT_ONCE: usize = 64;
/// How many alarms run at once. Each keeps a room in memory.
const MAX_AT_WORK: usize = 1024;
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const UNSERVED_PAUSE: Duration = Duration::from_secs(60 * 60);
/// How long to wait before a store that fails is tried again.
const STORE_PAUSE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> RoomName {
        RoomName {
            party: "chat".into(),
            room: "a".into(),
        }
    }

    fn alarm(id: u64) -> Alarm {
        Alarm {
            id: AlarmId(id),
            room: room(),
            at: SystemTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn an_alarm_whose_news_comes_while_it_runs_is_not_another() {
        let alarms = Alarms::default();
        // The alarm was stored, and the timer ran before the task that set it went on.
        assert!(alarms.due(&alarm(1)) && alarms.begin(&room()));
        alarms.set_anew(&room(), Some(AlarmId(1)));
        assert!(alarms.is_running(&alarm(1)));
        let next = alarms.end(&room(), true, SystemTime::UNIX_EPOCH);
        assert_eq!(next, Next::Clear, "it does not run a second time");
        alarms.stored(&room(), next);
        assert!(alarms.lock().is_empty());
    }

    #[test]
    fn one_that_is_replaced_while_it_runs_clears_nothing() {
        for replaced_by in [None, Some(AlarmId(2))] {
            let alarms = Alarms::default();
            assert!(alarms.due(&alarm(1)) && alarms.begin(&room()));
            alarms.set_anew(&room(), replaced_by);
            assert!(!alarms.due(&alarm(2)), "the first has not ended");
            let next = alarms.end(&room(), true, SystemTime::UNIX_EPOCH);
            assert_eq!(next, Next::Leave);
            alarms.stored(&room(), next);
            assert!(alarms.due(&alarm(2)));
        }
    }

    #[test]
    fn one_that_is_replaced_while_it_waits_does_not_run() {
        // The same holds for the news of the alarm itself: the stored alarm is looked
        // at again then.
        for replaced_by in [None, Some(AlarmId(1)), Some(AlarmId(2))] {
            let alarms = Alarms::default();
            assert!(alarms.due(&alarm(1)));
            alarms.set_anew(&room(), replaced_by);
            assert!(!alarms.begin(&room()));
            alarms.dismiss(&room());
            assert!(alarms.lock().is_empty());
        }
    }

    #[test]
    fn rooms_without_an_alarm_at_work_take_no_memory() {
        let alarms = Alarms::default();
        alarms.set_anew(&room(), Some(AlarmId(1)));
        assert!(!alarms.begin(&room()));
        assert!(alarms.lock().is_empty());
        assert!(alarms.due(&alarm(1)));
        alarms.dismiss(&room());
        assert!(alarms.lock().is_empty() && alarms.count() == 0);
    }
}
