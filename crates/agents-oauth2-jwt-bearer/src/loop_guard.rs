//! Clients that reconnect with the same expired token, again and again.
//!
//! An expired token is answered by a close code on which clients with a `query`
//! function reconnect, to bring a fresh token. A client that has no fresh token would
//! do so for ever. The fifth time within a minute it is refused for good.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use oauth2_jwt_bearer::AccessToken;
use sha2::{Digest, Sha256};

/// Counts expired tokens by the token and the id that came with it. Best effort, per
/// process.
pub(crate) struct LoopGuard(Mutex<Table>);

#[derive(Default)]
struct Table {
    attempts: HashMap<Key, Attempts>,
    /// When a full table was last cleared of entries whose time is over.
    swept: Option<SystemTime>,
    #[cfg(test)]
    sweeps: u32,
}

/// A hash of the token and of the connection id that the client asked for.
type Key = [u8; 32];

struct Attempts {
    count: u32,
    since: SystemTime,
}

impl LoopGuard {
    pub(crate) fn new() -> Self {
        Self(Mutex::default())
    }

    /// Counts a token that is right in everything but its time. Returns whether its
    /// client is caught in a loop.
    pub(crate) fn is_loop(&self, token: &AccessToken, id: Option<&str>, now: SystemTime) -> bool {
        let mut hash = Sha256::new();
        hash.update(Sha256::digest(token.expose()));
        hash.update(id.unwrap_or_default());
        let key: Key = hash.finalize().into();
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !table.has_place_for(&key, now) {
            return false;
        }
        let attempts = table.attempts.entry(key).or_insert(Attempts {
            count: 0,
            since: now,
        });
        if !attempts.are_recent(now) {
            *attempts = Attempts {
                count: 0,
                since: now,
            };
        }
        attempts.count += 1;
        attempts.count >= LIMIT
    }
}

impl Table {
    /// Whether a key is in the table or may join it. A flood of new keys causes one
    /// look at all entries per [`SWEEP_PAUSE`], not one for each key.
    fn has_place_for(&mut self, key: &Key, now: SystemTime) -> bool {
        if self.attempts.len() < MAX_ENTRIES || self.attempts.contains_key(key) {
            return true;
        }
        if is_within(SWEEP_PAUSE, self.swept, now) {
            return false;
        }
        self.swept = Some(now);
        #[cfg(test)]
        {
            self.sweeps += 1;
        }
        self.attempts.retain(|_, attempts| attempts.are_recent(now));
        self.attempts.len() < MAX_ENTRIES
    }
}

impl Attempts {
    fn are_recent(&self, now: SystemTime) -> bool {
        is_within(WINDOW, Some(self.since), now)
    }
}

/// Whether a moment is less than `time` ago. A moment in the future is not: the clock
/// was set back.
fn is_within(time: Duration, moment: Option<SystemTime>, now: SystemTime) -> bool {
    moment.is_some_and(|moment| {
        now.duration_since(moment)
            .is_ok_and(|elapsed| elapsed < time)
    })
}

impl fmt::Debug for LoopGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoopGuard")
    }
}

const WINDOW: Duration = Duration::from_secs(60);
const LIMIT: u32 = 5;
const MAX_ENTRIES: usize = 10_000;
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fifth_time_within_a_minute_is_a_loop() {
        let guard = LoopGuard::new();
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(1000 + seconds);
        let token = AccessToken::new("a").unwrap();
        for second in 0..4 {
            assert!(!guard.is_loop(&token, Some("id"), at(second)));
        }
        assert!(guard.is_loop(&token, Some("id"), at(5)));
        assert!(!guard.is_loop(&token, Some("other"), at(5)));
        assert!(!guard.is_loop(&AccessToken::new("b").unwrap(), Some("id"), at(5)));
        assert!(!guard.is_loop(&token, Some("id"), at(60)));
    }

    #[test]
    fn the_table_is_bounded() {
        let guard = LoopGuard::new();
        let now = SystemTime::UNIX_EPOCH;
        for i in 0..MAX_ENTRIES + 100 {
            guard.is_loop(&AccessToken::new(i.to_string()).unwrap(), None, now);
        }
        assert!(guard.0.lock().unwrap().attempts.len() <= MAX_ENTRIES);
    }

    #[test]
    fn a_flood_of_new_tokens_does_not_look_at_all_entries_each_time() {
        let guard = LoopGuard::new();
        let at = |millis: u64| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        let flood = |range: std::ops::Range<usize>, millis: u64| {
            for i in range {
                let token = AccessToken::new(i.to_string()).unwrap();
                assert!(!guard.is_loop(&token, None, at(millis)));
            }
            let table = guard.0.lock().unwrap();
            (table.sweeps, table.attempts.len())
        };
        assert_eq!(flood(0..MAX_ENTRIES, 0), (0, MAX_ENTRIES));
        // No entry is over yet. One look finds that out, and serves for a second.
        assert_eq!(flood(20_000..25_000, 59_500), (1, MAX_ENTRIES));
        assert_eq!(flood(25_000..30_000, 60_499), (1, MAX_ENTRIES));
        // All entries are over, and the next look makes room.
        assert_eq!(flood(30_000..30_100, 60_500), (2, 100));
        // A key that has a place is counted even while the table is full.
        let token = AccessToken::new("30000").unwrap();
        assert_eq!(flood(40_000..50_000, 60_600), (2, MAX_ENTRIES));
        let loops: Vec<_> = (0..4)
            .map(|_| guard.is_loop(&token, None, at(60_600)))
            .collect();
        assert_eq!(loops, [false, false, false, true]);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_the_table_full() {
        let guard = LoopGuard::new();
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        for i in 0..=MAX_ENTRIES {
            guard.is_loop(&AccessToken::new(i.to_string()).unwrap(), None, at(1000));
        }
        guard.is_loop(&AccessToken::new("later").unwrap(), None, at(10));
        assert_eq!(guard.0.lock().unwrap().attempts.len(), 1);
    }
}
