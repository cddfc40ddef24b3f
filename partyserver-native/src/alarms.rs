//! One timer for the alarms of all rooms.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use partyserver::StorageError;
use tokio::sync::Notify;

use crate::service::Inner;
use crate::store::{Alarm, RoomName};

/// Told when an alarm was set or removed, or has run.
#[derive(Default)]
pub(crate) struct Alarms {
    changed: Notify,
    /// The alarms at work: running now, or failed and to be tried again.
    at_work: Mutex<HashMap<RoomName, AtWork>>,
}

#[derive(Clone, Copy, Default)]
struct AtWork {
    /// The id of the alarm that runs.
    running: Option<i64>,
    failures: u32,
}

impl Alarms {
    pub(crate) fn changed(&self) {
        self.changed.notify_one();
    }

    /// Whether the caller may run the room's alarm; nobody else may then.
    fn begin(&self, alarm: &Alarm) -> bool {
        let mut at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = at_work.entry(alarm.room.clone()).or_default();
        if entry.running.is_some() {
            return false;
        }
        entry.running = Some(alarm.id);
        true
    }

    /// Whether this very alarm runs now.
    pub(crate) fn is_running(&self, alarm: &Alarm) -> bool {
        let at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        at_work
            .get(&alarm.room)
            .is_some_and(|entry| entry.running == Some(alarm.id))
    }

    /// How long to wait before the next try of an alarm that failed, when there
    /// is to be one.
    fn retry_pause(&self, room: &RoomName) -> Option<Duration> {
        let at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = at_work.get(room).map_or(0, |entry| entry.failures);
        (failures < MAX_RETRIES).then(|| RETRY * 2_u32.pow(failures))
    }

    /// There was nothing to run.
    fn put_back(&self, room: &RoomName) {
        let mut at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = at_work.get_mut(room) {
            entry.running = None;
            if entry.failures == 0 {
                at_work.remove(room);
            }
        }
    }

    /// The run has ended, and what comes of it is stored.
    fn end(&self, room: &RoomName, is_to_be_retried: bool) {
        let mut at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        if is_to_be_retried && let Some(entry) = at_work.get_mut(room) {
            *entry = AtWork {
                running: None,
                failures: entry.failures + 1,
            };
        } else {
            at_work.remove(room);
        }
    }
}

/// Runs due alarms until the server stops.
pub(crate) async fn run(server: Weak<Inner>) {
    while let Some(pause) = start_due(&server).await {
        let Some(server) = server.upgrade() else {
            return;
        };
        let changed = server.host.alarms.changed.notified();
        // The wait is bounded so that a clock that jumps is noticed.
        let _ = tokio::time::timeout(pause.min(LONGEST_PAUSE), changed).await;
    }
}

/// Starts what is due, each in a task of its own; returns how long nothing
/// else will be.
async fn start_due(server: &Weak<Inner>) -> Option<Duration> {
    let server = server.upgrade()?;
    if server.host.is_stopping() {
        return None;
    }
    let alarms = match server.host.store.next_alarms(MAX_AT_ONCE).await {
        Ok(alarms) => alarms,
        Err(error) => {
            tracing::warn!(%error, "the alarms can't be read");
            return Some(RETRY);
        }
    };
    for alarm in alarms {
        let now = server.host.clock.now();
        if alarm.at > now {
            return Some(alarm.at.duration_since(now).unwrap_or_default());
        }
        if server.host.alarms.begin(&alarm) {
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                if let Err(error) = run_one(&server, alarm).await {
                    tracing::warn!(%error, "an alarm can't be stored");
                }
                server.host.alarms.changed();
            });
        }
    }
    // What runs says so when it ends.
    Some(LONGEST_PAUSE)
}

async fn run_one(server: &Inner, alarm: Alarm) -> Result<(), StorageError> {
    let alarms = &server.host.alarms;
    let store = &server.host.store;
    // It may have run, or been moved, since the list of alarms was read.
    match store.alarm(alarm.room.clone()).await {
        Ok(present) if present.as_ref() == Some(&alarm) => {}
        outcome => {
            alarms.put_back(&alarm.room);
            return outcome.map(|_| ());
        }
    }
    let pause = match server.party(&alarm.room.party) {
        Some(party) => match party.room(&alarm.room.room).alarm().await {
            Ok(()) => None,
            Err(_) => alarms.retry_pause(&alarm.room),
        },
        // The party is not served now; its alarms wait until it is.
        None => Some(UNSERVED_PAUSE),
    };
    // Stored before the room's next alarm may begin. One that the hook has set
    // itself is another alarm, and is left as it is.
    let stored = match pause {
        None => store.clear_alarm(&alarm).await,
        Some(pause) => {
            let later = server.host.clock.now() + pause;
            store.move_alarm(&alarm, later).await
        }
    };
    alarms.end(&alarm.room, pause.is_some());
    stored
}

const MAX_AT_ONCE: usize = 64;
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const UNSERVED_PAUSE: Duration = Duration::from_secs(60 * 60);
const RETRY: Duration = Duration::from_secs(2);
const MAX_RETRIES: u32 = 6;
