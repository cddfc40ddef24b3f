//! Rooms that are not used leave memory.

use std::sync::Weak;
use std::time::Duration;

use crate::service::Inner;

/// Looks at all rooms once a second, for as long as the server lives.
pub(crate) async fn run(server: Weak<Inner>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(server) = server.upgrade() else {
            return;
        };
        for party in &server.parties {
            party.sweep();
        }
    }
}

const INTERVAL: Duration = Duration::from_secs(1);
