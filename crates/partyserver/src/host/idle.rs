//! How long a room without events keeps its server in memory.

use std::time::Duration;

use crate::options::{Hibernation, PartyOptions};

/// How long a room without events keeps its server in memory. `None` when the server
/// stays because the room has open connections.
pub fn leaves_after(options: &PartyOptions, open: usize) -> Option<Duration> {
    match options.hibernation {
        Hibernation::After(time) => Some(time),
        Hibernation::Off => (open == 0).then_some(options.idle_time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_keep_a_room_that_does_not_hibernate() {
        let (sleep, idle) = (Duration::from_secs(10), Duration::from_secs(60));
        let staying = PartyOptions::new().idle_time(idle);
        assert_eq!(leaves_after(&staying, 0), Some(idle));
        assert_eq!(leaves_after(&staying, 1), None);
        let sleeping = staying.hibernation(Hibernation::After(sleep));
        assert_eq!(leaves_after(&sleeping, 0), Some(sleep));
        assert_eq!(leaves_after(&sleeping, 1), Some(sleep));
    }
}
