//! Takes unused rooms out of memory.

use std::sync::Weak;
use std::time::Duration;

use super::AllRooms;

/// Looks at all rooms once a second, for as long as the server lives.
pub(crate) async fn run(rooms: Weak<AllRooms>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(rooms) = rooms.upgrade() else {
            return;
        };
        rooms.sweep();
    }
}

const INTERVAL: Duration = Duration::from_secs(1);
