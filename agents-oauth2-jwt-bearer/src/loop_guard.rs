//! Clients that come back with the same expired token, again and again.
//!
//! An expired token is answered by a close that clients with a `query` function
//! reconnect on, to bring a fresh one. A client that can't would do so for
//! ever; the fifth time within a minute it is told for good.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use oauth2_jwt_bearer::AccessToken;
use sha2::{Digest, Sha256};

/// Counts expired tokens by what came with them. Best effort, per process.
pub(crate) struct LoopGuard(Mutex<HashMap<Key, Attempts>>);

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

    /// Counts a token that is right in everything but its time; returns whether
    /// its client is caught in a loop.
    pub(crate) fn is_loop(&self, token: &AccessToken, id: Option<&str>, now: SystemTime) -> bool {
        let mut hash = Sha256::new();
        hash.update(Sha256::digest(token.expose()));
        hash.update(id.unwrap_or_default());
        let key: Key = hash.finalize().into();
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |attempts: &Attempts| {
            now.duration_since(attempts.since)
                .is_ok_and(|elapsed| elapsed < WINDOW)
        };
        if table.len() >= MAX_ENTRIES && !table.contains_key(&key) {
            table.retain(|_, attempts| is_recent(attempts));
            if table.len() >= MAX_ENTRIES {
                return false;
            }
        }
        let attempts = table.entry(key).or_insert(Attempts {
            count: 0,
            since: now,
        });
        if !is_recent(attempts) {
            *attempts = Attempts {
                count: 0,
                since: now,
            };
        }
        attempts.count += 1;
        attempts.count >= LIMIT
    }
}

impl fmt::Debug for LoopGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoopGuard")
    }
}

const WINDOW: Duration = Duration::from_secs(60);
const LIMIT: u32 = 5;
const MAX_ENTRIES: usize = 10_000;

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
        assert!(guard.0.lock().unwrap().len() <= MAX_ENTRIES);
    }
}
