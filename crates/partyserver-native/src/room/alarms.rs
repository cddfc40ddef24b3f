//! One timer for the alarms of all rooms.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use partyserver::StorageError;
use tokio::sync::Notify;

use crate::service::Inner;
use crate::store::{Alarm, RoomName};

/// Told when an alarm was set or removed, or has run.
#[derive(Default)]
pub(crate) struct Alarms {
    changed: Arc<Notify>,
    /// The alarms at work: due, running now, or failed and to be tried again.
    at_work: Mutex<HashMap<RoomName, AtWork>>,
}

struct AtWork {
    /// The alarm's own id: one that is set anew is another one.
    id: i64,
    stage: Stage,
    failures: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It failed, and is tried again when it is due.
    Waiting,
    /// Its hook waits for its turn.
    Due,
    /// Its hook runs, or what came of it is not stored yet.
    Running,
    /// It was due or running when the room's alarm was set anew or removed.
    Replaced,
}

impl Alarms {
    pub(crate) fn changed(&self) {
        self.changed.notify_one();
    }

    /// A room's alarm was set or removed: what failed before is forgotten.
    pub(crate) fn set_anew(&self, room: &RoomName) {
        {
            let mut at_work = self.lock();
            match at_work.get_mut(room) {
                Some(entry) if entry.stage != Stage::Waiting => entry.stage = Stage::Replaced,
                Some(_) => drop(at_work.remove(room)),
                None => {}
            }
        }
        self.changed();
    }

    /// Whether the caller may run the room's alarm; nobody else may then.
    fn begin(&self, alarm: &Alarm) -> bool {
        let mut at_work = self.lock();
        let failures = match at_work.get(&alarm.room) {
            Some(entry) if entry.stage != Stage::Waiting => return false,
            Some(entry) if entry.id == alarm.id => entry.failures,
            _ => 0,
        };
        let entry = AtWork {
            id: alarm.id,
            stage: Stage::Due,
            failures,
        };
        at_work.insert(alarm.room.clone(), entry);
        true
    }

    /// It is the turn of the room's alarm. Returns `false` when it was set anew or
    /// removed while it waited.
    pub(crate) fn ring(&self, room: &RoomName) -> bool {
        let mut at_work = self.lock();
        let entry = at_work.get_mut(room);
        let entry = entry.filter(|entry| entry.stage == Stage::Due);
        entry.map(|entry| entry.stage = Stage::Running).is_some()
    }

    /// Whether this very alarm runs now.
    pub(crate) fn is_running(&self, alarm: &Alarm) -> bool {
        let at_work = self.lock();
        let entry = at_work.get(&alarm.room);
        entry.is_some_and(|entry| entry.id == alarm.id && entry.stage == Stage::Running)
    }

    /// How many are running.
    fn at_work(&self) -> usize {
        let at_work = self.lock();
        let running = at_work
            .values()
            .filter(|entry| entry.stage != Stage::Waiting);
        running.count()
    }

    /// How long to wait before the next try of an alarm that failed, when there
    /// is to be one.
    fn retry_pause(&self, room: &RoomName) -> Option<Duration> {
        let failures = self.lock().get(room).map_or(0, |entry| entry.failures);
        (failures < MAX_RETRIES).then(|| RETRY * 2_u32.pow(failures))
    }

    /// The run has ended, and what comes of it is stored.
    fn end(&self, room: &RoomName, next: Next) {
        {
            let mut at_work = self.lock();
            match at_work.get_mut(room) {
                Some(entry) if next == Next::Again && entry.stage != Stage::Replaced => {
                    entry.stage = Stage::Waiting;
                    entry.failures += 1;
                }
                _ => drop(at_work.remove(room)),
            }
        }
        self.changed();
    }

    /// Entries are replaced whole, so a panic elsewhere can't leave a torn one.
    fn lock(&self) -> MutexGuard<'_, HashMap<RoomName, AtWork>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What comes after a run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Nothing,
    Again,
}

/// Runs due alarms until the server stops. A server that nobody holds any more
/// is not held here either while nothing is due.
pub(crate) async fn run(server: Weak<Inner>) {
    let Some(changed) = server
        .upgrade()
        .map(|server| Arc::clone(&server.host.alarms.changed))
    else {
        return;
    };
    while let Some(pause) = start_due(&server).await {
        // The wait is bounded so that a clock that jumps is noticed.
        let _ = tokio::time::timeout(pause.min(LONGEST_PAUSE), changed.notified()).await;
    }
}

/// Starts what is due, each in a task of its own; returns how long nothing
/// else will be.
async fn start_due(weak: &Weak<Inner>) -> Option<Duration> {
    let server = weak.upgrade()?;
    if server.host.is_stopping() {
        return None;
    }
    let at_work = server.host.alarms.at_work();
    let places = MAX_AT_WORK.saturating_sub(at_work).min(MAX_AT_ONCE);
    // Those at work are due too, and are not to stand before the others.
    let alarms = match server.host.store.next_alarms(at_work + places).await {
        Ok(alarms) => alarms,
        Err(error) => {
            tracing::warn!(%error, "the alarms can't be read");
            return Some(RETRY);
        }
    };
    let mut left = places;
    for alarm in alarms {
        if left == 0 {
            break;
        }
        let now = server.host.clock.now();
        if alarm.at > now {
            return Some(alarm.at.duration_since(now).unwrap_or_default());
        }
        if server.host.alarms.begin(&alarm) {
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
async fn run_one(weak: Weak<Inner>, alarm: Alarm) -> Option<()> {
    let mut failures = StoreFailures::default();
    let present = loop {
        let outcome = weak.upgrade()?.host.store.alarm(alarm.room.clone()).await;
        match outcome {
            Ok(present) => break present,
            Err(error) => failures.pause(&weak, &error).await?,
        }
    };
    let server = weak.upgrade()?;
    let alarms = &server.host.alarms;
    // It may have run, or been moved, since the list of alarms was read.
    if present.as_ref() != Some(&alarm) {
        alarms.end(&alarm.room, Next::Nothing);
        return Some(());
    }
    let pause = match server.party(&alarm.room.party) {
        Some(party) => match party.room(&alarm.room.room).alarm().await {
            Some(Ok(())) => None,
            Some(Err(_)) => alarms.retry_pause(&alarm.room),
            // The turn that it waited for may be the one that set it: what is stored
            // now is looked at again, and may be this very alarm.
            None => {
                alarms.end(&alarm.room, Next::Nothing);
                return Some(());
            }
        },
        // The party is not served now; its alarms wait until it is.
        None => Some(UNSERVED_PAUSE),
    };
    let later = pause.map(|pause| server.host.clock.now() + pause);
    drop(server);
    // One that the hook has set itself is another alarm, and is left as it is.
    loop {
        let store = weak.upgrade()?.host.store.clone();
        let outcome = match later {
            None => store.clear_alarm(&alarm).await,
            Some(later) => store.move_alarm(&alarm, later).await,
        };
        match outcome {
            Ok(()) => break,
            Err(error) => failures.pause(&weak, &error).await?,
        }
    }
    let next = later.map_or(Next::Nothing, |_| Next::Again);
    weak.upgrade()?.host.alarms.end(&alarm.room, next);
    Some(())
}

/// The store fails an alarm that is at work. It is logged once, and tried on.
#[derive(Default)]
struct StoreFailures {
    are_logged: bool,
}

impl StoreFailures {
    async fn pause(&mut self, server: &Weak<Inner>, error: &StorageError) -> Option<()> {
        if server.upgrade()?.host.is_stopping() {
            return None;
        }
        if !std::mem::replace(&mut self.are_logged, true) {
            tracing::error!(%error, "the store fails an alarm; trying on");
        }
        tokio::time::sleep(RETRY).await;
        Some(())
    }
}

/// How many are read and started at once.
const MAX_AT_ONCE: usize = 64;
/// How many run at once. Each is a room in memory.
const MAX_AT_WORK: usize = 1024;
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const UNSERVED_PAUSE: Duration = Duration::from_secs(60 * 60);
const RETRY: Duration = Duration::from_secs(2);
const MAX_RETRIES: u32 = 6;
