//! One timer for the alarms of all rooms.

use std::collections::HashMap;
use std::sync::Weak;
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;

use crate::service::Inner;
use crate::store::RoomName;

/// Told when an alarm was set or removed.
#[derive(Default)]
pub(crate) struct Alarms(Notify);

impl Alarms {
    pub(crate) fn changed(&self) {
        self.0.notify_one();
    }
}

/// Runs due alarms for as long as the server lives.
pub(crate) async fn run(server: Weak<Inner>) {
    // How often an alarm has failed, by room.
    let mut failures: HashMap<RoomName, u32> = HashMap::new();
    while let Some(pause) = run_due(&server, &mut failures).await {
        let Some(server) = server.upgrade() else {
            return;
        };
        let changed = server.host.alarms.0.notified();
        // The wait is bounded so that a clock that jumps is noticed.
        let _ = tokio::time::timeout(pause.min(LONGEST_PAUSE), changed).await;
    }
}

/// Runs what is due; returns how long nothing will be.
async fn run_due(server: &Weak<Inner>, failures: &mut HashMap<RoomName, u32>) -> Option<Duration> {
    let server = server.upgrade()?;
    let alarms = match server.host.store.next_alarms(BATCH).await {
        Ok(alarms) => alarms,
        Err(error) => {
            tracing::warn!(%error, "the alarms can't be read");
            return Some(RETRY);
        }
    };
    let mut pause = LONGEST_PAUSE;
    for (room, at) in alarms {
        if let Ok(pause) = at.duration_since(server.host.clock.now())
            && !pause.is_zero()
        {
            return Some(pause);
        }
        if let Err(error) = run_one(&server, failures, room, at).await {
            tracing::warn!(%error, "an alarm can't be stored");
            return Some(RETRY);
        }
        // There may be more, or a retry of this one.
        pause = Duration::ZERO;
    }
    Some(if is_all {
        LONGEST_PAUSE
    } else {
        Duration::ZERO
    })
}

async fn run_one(
    server: &Inner,
    failures: &mut HashMap<RoomName, u32>,
    name: RoomName,
    at: SystemTime,
) -> Result<(), partyserver::StorageError> {
    let store = &server.host.store;
    let Some(party) = server.party(&name.party) else {
        // The party is not served now; its alarms wait until it is.
        return store
            .set_alarm(name, Some(server.host.clock.now() + UNSERVED_PAUSE))
            .await;
    };
    let outcome = party.room(&name.room).alarm().await;
    let count = failures.get(&name).copied().unwrap_or_default();
    if outcome.is_err() && count < MAX_RETRIES {
        failures.insert(name.clone(), count + 1);
        // Unless the hook has set another one.
        if store.alarm(name.clone()).await? == Some(at) {
            let retry = server.host.clock.now() + RETRY * 2_u32.pow(count);
            store.set_alarm(name, Some(retry)).await?;
        }
        return Ok(());
    }
    failures.remove(&name);
    store.clear_alarm(name, at).await
}

const BATCH: usize = 64;
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_secs(2);
const UNSERVED_PAUSE: Duration = Duration::from_secs(60 * 60);
const MAX_RETRIES: u32 = 6;
