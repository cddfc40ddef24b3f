//! One timer for the alarms of all rooms.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use partyserver::StorageError;
use partyserver::host::alarm::{AlarmWork, Next};
use tokio::sync::Notify;

use super::AllRooms;
use crate::store::{Alarm, AlarmId, RoomName};

/// The alarms at work, and the news of what was set, was removed, or has run.
#[derive(Default)]
pub(crate) struct Alarms {
    changed: Notify,
    /// Due, running, or failed and to be tried again. A room without an entry has none.
    at_work: Mutex<HashMap<RoomName, AlarmWork>>,
}

impl Alarms {
    /// A room's alarm was set, as this one, or removed.
    pub(super) fn set_anew(&self, room: &RoomName, alarm: Option<AlarmId>) {
        self.step(room, |work| {
            // Its turn may have come before this news of it.
            if !alarm.is_some_and(|id| work.is_running(id.0)) {
                work.replace();
            }
        });
        self.changed.notify_one();
    }

    /// Its turn has come. Returns `false` when it was set anew or removed while it waited.
    pub(super) fn begin(&self, room: &RoomName) -> bool {
        self.step(room, AlarmWork::begin)
    }

    /// Its hook has run. Returns what is to be stored.
    pub(super) fn end(&self, room: &RoomName, is_done: bool, now: SystemTime) -> Next {
        self.step(room, |work| work.end(is_done, now))
    }

    /// Whether this very alarm runs now.
    pub(super) fn is_running(&self, alarm: &Alarm) -> bool {
        let at_work = self.lock();
        let work = at_work.get(&alarm.room);
        work.is_some_and(|work| work.is_running(alarm.id.0))
    }

    /// Whether the caller is to run an alarm that is due; nobody else is then.
    fn due(&self, alarm: &Alarm) -> bool {
        // What failed before this process began is not known.
        self.step(&alarm.room, |work| work.due(alarm.id.0, 0))
    }

    /// What comes after the run is stored.
    fn stored(&self, room: &RoomName, next: Next) {
        self.step(room, |work| work.stored(next));
        self.changed.notify_one();
    }

    /// It is not to run after all.
    fn dismiss(&self, room: &RoomName) {
        self.step(room, AlarmWork::dismiss);
        self.changed.notify_one();
    }

    /// How many are due or run.
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

    /// A step of an alarm is whole before anything could panic.
    fn lock(&self) -> MutexGuard<'_, HashMap<RoomName, AlarmWork>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs due alarms until the server stops. A server that nobody holds any more
/// is not held here either while nothing is due.
pub(crate) async fn run(rooms: Weak<AllRooms>) {
    let Some(alarms) = rooms.upgrade().map(|rooms| Arc::clone(&rooms.alarms)) else {
        return;
    };
    while let Some(pause) = start_due(&rooms).await {
        // The wait is bounded so that a clock that jumps is noticed.
        let _ = tokio::time::timeout(pause.min(LONGEST_PAUSE), alarms.changed.notified()).await;
    }
}

/// Starts what is due, each in a task of its own; returns how long nothing
/// else will be.
async fn start_due(weak: &Weak<AllRooms>) -> Option<Duration> {
    let rooms = weak.upgrade()?;
    if rooms.host.stop.has_begun() {
        return None;
    }
    let at_work = rooms.alarms.count();
    let places = MAX_AT_WORK.saturating_sub(at_work).min(MAX_AT_ONCE);
    // Those at work are due too, and are not to stand before the others.
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
    // There may be more, unless there are no places; what ends says so.
    Some(if left < places {
        Duration::ZERO
    } else {
        LONGEST_PAUSE
    })
}

/// Runs an alarm and stores what comes of it. Until that is stored the room's
/// alarm stays at work: a store that fails must not make its hook run again.
/// `None` when the server ends first.
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
    // It may have run, or been moved, since the list of alarms was read.
    if present.as_ref() != Some(&alarm) {
        rooms.alarms.dismiss(&alarm.room);
        return Some(());
    }
    let Some(room) = rooms.room(&alarm.room) else {
        // The party is not served now; its alarms wait until it is.
        let later = rooms.host.clock.now() + UNSERVED_PAUSE;
        drop(rooms);
        store_on(&weak, &alarm, Some(later), &mut failures).await?;
        weak.upgrade()?.alarms.dismiss(&alarm.room);
        return Some(());
    };
    let Some(next) = room.alarm().await else {
        // The turn that it waited for may be the one that set it: what is stored
        // now is looked at again, and may be this very alarm.
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

/// Clears an alarm or moves it to a later time, however often the store fails. One that
/// the room has set meanwhile is another alarm, and is left as it is.
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

/// The store fails an alarm that is at work. It is logged once, and tried on.
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

/// How many are read and started at once.
const MAX_AT_ONCE: usize = 64;
/// How many run at once. Each is a room in memory.
const MAX_AT_WORK: usize = 1024;
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const UNSERVED_PAUSE: Duration = Duration::from_secs(60 * 60);
/// How long a store that fails is left alone.
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
        // It was stored, and the timer was quicker than the task that set it.
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
        // Its own news too: what is stored is looked at again then.
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
