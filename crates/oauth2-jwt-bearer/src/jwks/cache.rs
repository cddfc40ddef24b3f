//! When keys are fetched, kept and dropped: a state machine without I/O.
//!
//! ```text
//!            poll                 handle_fetched(Ok)
//!  empty ───────────▶ reloading ─────────────────────▶ fresh ──▶ stale
//!    ▲                 │     ▲                                     │
//!    │   handle_fetched(Err) └────────────── poll ─────────────────┘
//!    └── cooling down ◀┘
//! ```
//! Held keys stay in use while others are fetched, and during an outage for
//! [`MAX_STALE`]. The time is an argument of every method.
//!
//! The order of events is known from counting fetches, never from the clock: two
//! readings of the clock may be equal, and it may be set back. Setting the clock back
//! can shorten waits, but never makes them longer.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

/// The cache of one provider's key set, of any type.
#[derive(Debug)]
pub struct KeyCache<K> {
    held: Option<Held<K>>,
    /// The latest fetch, while it is running.
    fetching: Option<Attempt>,
    /// Earlier fetches that are still running.
    overtaken: Vec<Attempt>,
    /// How many extra fetches were begun since the last regular one.
    beside: usize,
    begun: u64,
    failures: u32,
    next_attempt: SystemTime,
    budget: Budget,
    missing: HashMap<String, SystemTime>,
    wanted: bool,
}

#[derive(Debug)]
struct Held<K> {
    keys: K,
    /// The fetch that brought the keys. They show what the provider published when it
    /// began.
    from: Attempt,
    fresh_until: SystemTime,
}

/// A fetch that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    number: u64,
    began: SystemTime,
}

/// The moment at which a token arrived, counted in fetches that began before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival(u64);

/// The cache's answer to a request for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// A fetch will decide it: wait for the fetch, then ask again.
    Wait,
    /// The provider was asked after the token arrived, and does not have the key.
    Unknown,
    /// It can't be decided now.
    Unavailable {
        /// How long to wait before the next try.
        retry_after: Duration,
    },
}

impl<K> KeyCache<K> {
    /// An empty cache, ready to fetch.
    pub fn new() -> Self {
        Self {
            held: None,
            fetching: None,
            overtaken: Vec::new(),
            beside: 0,
            begun: 0,
            failures: 0,
            next_attempt: SystemTime::UNIX_EPOCH,
            budget: Budget {
                left: BURST,
                refilled: SystemTime::UNIX_EPOCH,
            },
            missing: HashMap::new(),
            wanted: true,
        }
    }

    /// The keys to use at `now`: fresh, or stale within [`MAX_STALE`].
    pub fn keys(&self, now: SystemTime) -> Option<&K> {
        let held = self.held.as_ref()?;
        (now < held.serves_until()).then_some(&held.keys)
    }

    /// How long the held keys can be used, if no others are fetched.
    pub fn serves_until(&self) -> Option<SystemTime> {
        self.held.as_ref().map(Held::serves_until)
    }

    /// Notes that a token arrives now.
    pub fn arrival(&self) -> Arrival {
        Arrival(self.begun)
    }

    /// Asks for a key set when none is held.
    pub fn need_keys(&mut self, now: SystemTime) -> Need {
        self.wanted = true;
        self.wait_or_cool_down(now)
    }

    /// Asks for a key that the held set does not have, for a token that arrived
    /// at `arrival`.
    pub fn need_key(&mut self, id: &str, arrival: Arrival, now: SystemTime) -> Need {
        let asked = self.held.as_ref().map(|held| held.from.number);
        if asked.is_some_and(|number| number > arrival.0) {
            self.remember_missing(id, now);
            return Need::Unknown;
        }
        if self.is_fetching(now) {
            return Need::Wait;
        }
        if let Some(until) = self.missing.get(id).map(|since| *since + MISSING_FOR)
            && let Some(retry_after) = time_left(until, MISSING_FOR, now)
        {
            return Need::Unavailable { retry_after };
        }
        if self.wanted {
            return self.wait_or_cool_down(now);
        }
        match self.budget.take(now) {
            Ok(()) => self.need_keys(now),
            Err(retry_after) => Need::Unavailable { retry_after },
        }
    }

    /// Begins a fetch if one is due and none is running. The caller fetches and then
    /// calls [`KeyCache::handle_fetched`], whether the fetch succeeded or not.
    ///
    /// After [`MAX_FETCH`] a fetch no longer counts as running, even if it has not
    /// ended. Its answer is still used if no newer keys are held.
    pub fn poll(&mut self, now: SystemTime) -> Option<Attempt> {
        if self.is_fetching(now) || self.cools_down_for(now).is_some() || !self.is_due(now) {
            return None;
        }
        self.beside = 0;
        Some(self.begin(now))
    }

    /// Begins an extra fetch beside those that are running, for a caller that has
    /// waited for `patience` in a runtime where a fetch may never end. The latest fetch
    /// must be at least that old. [`MAX_UNDER_WAY`] limits both the fetches that are
    /// running and those begun for the same need, so that a slow provider is not asked
    /// again and again.
    pub fn poll_beside(&mut self, patience: Duration, now: SystemTime) -> Option<Attempt> {
        let latest = self.fetching.filter(|latest| latest.is_under_way(now))?;
        self.overtaken.retain(|attempt| attempt.is_under_way(now));
        let is_old = latest.age(now).is_some_and(|age| age >= patience);
        let most = MAX_UNDER_WAY - 1;
        if !is_old || self.beside >= most || self.overtaken.len() >= most {
            return None;
        }
        self.beside += 1;
        Some(self.begin(now))
    }

    /// When [`KeyCache::poll`] will next have something to do. `None` while a fetch is
    /// running.
    pub fn next_poll(&self, now: SystemTime) -> Option<SystemTime> {
        if self.is_fetching(now) {
            return None;
        }
        let due = match &self.held {
            Some(held) if !self.wanted && now >= held.from.began => held.fresh_until,
            _ => now,
        };
        Some(due.max(now + self.cools_down_for(now).unwrap_or_default()))
    }

    /// Takes the result of a fetch: the keys and how long they are fresh, or nothing.
    /// Keys are fresh for 1 to 60 minutes, and for 10 minutes if the provider does not
    /// say. Returns whether the keys were taken: an answer older than the held keys is
    /// never taken.
    pub fn handle_fetched(
        &mut self,
        attempt: Attempt,
        outcome: Option<(K, Option<Duration>)>,
        now: SystemTime,
    ) -> bool {
        let is_latest = self.fetching == Some(attempt);
        if is_latest {
            self.fetching = None;
        }
        self.overtaken.retain(|other| *other != attempt);
        let Some((keys, max_age)) = outcome else {
            if is_latest {
                self.next_attempt = now + back_off(self.failures);
                self.failures += 1;
            }
            return false;
        };
        let asked = self.held.as_ref().map(|held| held.from.number);
        if asked.is_some_and(|number| number > attempt.number) {
            return false;
        }
        self.failures = 0;
        self.next_attempt = SystemTime::UNIX_EPOCH;
        self.wanted = false;
        let fresh_for = max_age.unwrap_or(FRESH_FOR).clamp(MIN_FRESH, MAX_FRESH);
        self.held = Some(Held {
            keys,
            from: attempt,
            fresh_until: now + fresh_for,
        });
        true
    }

    /// How many fetches have failed since the last success. A fetch that was overtaken
    /// by an extra fetch does not count, because the extra fetch will show whether the
    /// provider works.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    fn begin(&mut self, now: SystemTime) -> Attempt {
        self.begun += 1;
        let attempt = Attempt {
            number: self.begun,
            began: now,
        };
        self.overtaken.extend(self.fetching.replace(attempt));
        self.overtaken.retain(|attempt| attempt.is_under_way(now));
        attempt
    }

    fn is_fetching(&self, now: SystemTime) -> bool {
        self.fetching
            .is_some_and(|attempt| attempt.is_under_way(now))
    }

    /// A held set with a time in the future is due too: the clock was set back.
    fn is_due(&self, now: SystemTime) -> bool {
        self.wanted
            || self
                .held
                .as_ref()
                .is_none_or(|held| now >= held.fresh_until || now < held.from.began)
    }

    fn wait_or_cool_down(&self, now: SystemTime) -> Need {
        match self.cools_down_for(now) {
            Some(retry_after) if !self.is_fetching(now) => Need::Unavailable { retry_after },
            _ => Need::Wait,
        }
    }

    fn cools_down_for(&self, now: SystemTime) -> Option<Duration> {
        time_left(self.next_attempt, MAX_BACK_OFF, now)
    }

    fn remember_missing(&mut self, id: &str, now: SystemTime) {
        if self.missing.len() >= MAX_MISSING {
            self.missing
                .retain(|_, since| time_left(*since + MISSING_FOR, MISSING_FOR, now).is_some());
        }
        // A full table keeps every id that is still useful. The budget limits what
        // other ids can cost.
        if self.missing.len() < MAX_MISSING && id.len() <= MAX_ID_BYTES {
            self.missing.insert(id.to_owned(), now);
        }
    }
}

impl Attempt {
    /// `None` when the clock was set back since then.
    fn age(self, now: SystemTime) -> Option<Duration> {
        now.duration_since(self.began).ok()
    }

    fn is_under_way(self, now: SystemTime) -> bool {
        self.age(now).is_some_and(|age| age < MAX_FETCH)
    }
}

impl<K> Held<K> {
    fn serves_until(&self) -> SystemTime {
        self.from.began + MAX_STALE
    }
}

impl<K> Default for KeyCache<K> {
    fn default() -> Self {
        Self::new()
    }
}

/// Fetches for unknown keys: [`BURST`] at once, then one per [`REFILL`].
#[derive(Debug)]
struct Budget {
    left: u32,
    refilled: SystemTime,
}

impl Budget {
    fn take(&mut self, now: SystemTime) -> Result<(), Duration> {
        self.refilled = self.refilled.min(now);
        let elapsed = now.duration_since(self.refilled).unwrap_or_default();
        let earned = u32::try_from(elapsed.as_secs() / REFILL.as_secs()).unwrap_or(u32::MAX);
        if self.left.saturating_add(earned) >= BURST {
            self.left = BURST;
            self.refilled = now;
        } else {
            self.left += earned;
            self.refilled += REFILL * earned;
        }
        if self.left == 0 {
            return Err(REFILL
                - now
                    .duration_since(self.refilled)
                    .unwrap_or_default()
                    .min(REFILL));
        }
        self.left -= 1;
        Ok(())
    }
}

/// The time from `now` to `until`, or `None` when it has passed. If the wait seems
/// longer than `at_most`, the clock was set back, and the wait counts as over.
fn time_left(until: SystemTime, at_most: Duration, now: SystemTime) -> Option<Duration> {
    let left = until.duration_since(now).ok()?;
    (!left.is_zero() && left <= at_most).then_some(left)
}

/// Half a second, doubling to half a minute.
fn back_off(failures: u32) -> Duration {
    (Duration::from_millis(500) * 2_u32.saturating_pow(failures.min(10))).min(MAX_BACK_OFF)
}

/// How long keys serve when the provider can't be reached.
pub const MAX_STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a fetch is assumed to be running. A fetch takes 10 s at most.
pub const MAX_FETCH: Duration = Duration::from_secs(12);
/// How many fetches may run at once, in a runtime where one may never end.
pub const MAX_UNDER_WAY: usize = 3;
const FRESH_FOR: Duration = Duration::from_secs(10 * 60);
const MIN_FRESH: Duration = Duration::from_secs(60);
const MAX_FRESH: Duration = Duration::from_secs(60 * 60);
const MAX_BACK_OFF: Duration = Duration::from_secs(30);
/// How long a key id that a fetch did not find is not asked for again.
const MISSING_FOR: Duration = Duration::from_secs(5);
const MAX_MISSING: usize = 1024;
const MAX_ID_BYTES: usize = 256;
const BURST: u32 = 3;
const REFILL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs_f64(1e9 + seconds)
    }

    fn unavailable(need: Need) -> f64 {
        match need {
            Need::Unavailable { retry_after } => retry_after.as_secs_f64(),
            other => panic!("{other:?}"),
        }
    }

    /// A cache that fetched `keys` at 0 s.
    fn filled(keys: &'static str) -> KeyCache<&'static str> {
        let mut cache = KeyCache::new();
        fetch(&mut cache, 0.0, Some(keys));
        cache
    }

    #[track_caller]
    fn fetch(cache: &mut KeyCache<&'static str>, now: f64, keys: Option<&'static str>) {
        let attempt = cache.poll(at(now)).expect("a fetch is due");
        cache.handle_fetched(attempt, keys.map(|keys| (keys, None)), at(now));
    }

    /// A token that arrives now and names a key that is not held.
    fn need_key(cache: &mut KeyCache<&'static str>, id: &str, now: f64) -> Need {
        cache.need_key(id, cache.arrival(), at(now))
    }

    #[test]
    fn one_fetch_at_a_time() {
        let mut cache: KeyCache<&str> = KeyCache::new();
        assert_eq!(cache.need_keys(at(0.0)), Need::Wait);
        let attempt = cache.poll(at(0.0)).unwrap();
        assert_eq!(cache.poll(at(1.0)), None);
        assert_eq!(cache.next_poll(at(1.0)), None);
        assert_eq!(cache.need_keys(at(1.0)), Need::Wait);
        assert!(cache.handle_fetched(attempt, Some(("a", None)), at(2.0)));
        assert_eq!(cache.keys(at(2.0)), Some(&"a"));
        assert_eq!(cache.poll(at(3.0)), None);
    }

    #[test]
    fn freshness_is_clamped() {
        for (max_age, fresh_for) in [
            (None, 600),
            (Some(0), 60),
            (Some(300), 300),
            (Some(86_400), 3600),
            (Some(u64::MAX), 3600),
        ] {
            let mut cache = KeyCache::new();
            let attempt = cache.poll(at(0.0)).unwrap();
            let max_age = max_age.map(Duration::from_secs);
            cache.handle_fetched(attempt, Some(("a", max_age)), at(0.0));
            let due = at(f64::from(fresh_for));
            assert_eq!(cache.next_poll(at(1.0)), Some(due));
            assert_eq!(cache.poll(due - Duration::from_millis(1)), None);
            assert!(cache.poll(due).is_some());
        }
    }

    #[test]
    fn an_outage_backs_off_and_stale_keys_serve_for_a_day() {
        let mut cache = filled("a");
        let mut now = 600.0;
        for delay in [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
            fetch(&mut cache, now, None);
            assert_eq!(cache.poll(at(now + delay - 0.01)), None);
            now += delay;
            assert_eq!(cache.next_poll(at(now - 0.01)), Some(at(now)));
        }
        assert_eq!(cache.serves_until(), Some(at(86_400.0)));
        assert_eq!(cache.keys(at(86_399.0)), Some(&"a"));
        assert_eq!(cache.keys(at(86_400.0)), None);
        fetch(&mut cache, 86_500.0, Some("b"));
        assert_eq!(cache.keys(at(86_500.0)), Some(&"b"));
        assert_eq!(cache.failures(), 0);
    }

    #[test]
    fn without_keys_an_outage_is_unavailable_and_never_unknown() {
        let mut cache: KeyCache<&str> = KeyCache::new();
        fetch(&mut cache, 0.0, None);
        assert_eq!(unavailable(cache.need_keys(at(0.25))), 0.25);
        assert_eq!(cache.need_keys(at(0.5)), Need::Wait);
    }

    #[test]
    fn an_unknown_key_is_final_only_after_a_later_fetch() {
        let mut cache = filled("a");
        // The token arrived after the last fetch began: ask the provider.
        let first = cache.arrival();
        assert_eq!(cache.need_key("b", first, at(5.0)), Need::Wait);
        let attempt = cache.poll(at(6.0)).unwrap();
        // Another token arrives while that fetch is running.
        let second = cache.arrival();
        assert_eq!(cache.need_key("b", second, at(7.0)), Need::Wait);
        cache.handle_fetched(attempt, Some(("a", None)), at(8.0));
        assert_eq!(cache.need_key("b", first, at(8.0)), Need::Unknown);
        // For the later token that fetch proves nothing, and the key was asked for a
        // moment ago.
        assert_eq!(unavailable(cache.need_key("b", second, at(8.0))), 5.0);
        assert_eq!(need_key(&mut cache, "b", 13.0), Need::Wait);
    }

    #[test]
    fn a_clock_that_stands_still_takes_no_proof_away() {
        let mut cache = filled("a");
        let arrival = cache.arrival();
        assert_eq!(cache.need_key("b", arrival, at(0.0)), Need::Wait);
        fetch(&mut cache, 0.0, Some("a"));
        assert_eq!(cache.need_key("b", arrival, at(0.0)), Need::Unknown);
    }

    #[test]
    fn a_failed_fetch_is_no_proof() {
        let mut cache = filled("a");
        let arrival = cache.arrival();
        assert_eq!(cache.need_key("b", arrival, at(5.0)), Need::Wait);
        fetch(&mut cache, 6.0, None);
        assert_eq!(unavailable(cache.need_key("b", arrival, at(6.0))), 0.5);
        assert_eq!(cache.keys(at(6.0)), Some(&"a"));
    }

    #[test]
    fn a_flood_of_unknown_keys_costs_three_fetches_then_one_per_ten_seconds() {
        let mut cache = filled("a");
        let mut fetches = 0;
        for i in 0..10_000 {
            let now = 100.0 + f64::from(i) * 0.01;
            let id = format!("unknown-{i}");
            let arrival = cache.arrival();
            cache.need_key(&id, arrival, at(now));
            if let Some(attempt) = cache.poll(at(now)) {
                fetches += 1;
                cache.handle_fetched(attempt, Some(("a", None)), at(now));
                assert_eq!(cache.need_key(&id, arrival, at(now)), Need::Unknown);
            }
        }
        // 100 s: three at once, then one per ten seconds.
        assert_eq!(fetches, 12);
    }

    #[test]
    fn the_memory_of_missing_keys_is_bounded() {
        let mut cache = filled("a");
        let arrival = cache.arrival();
        assert_eq!(cache.need_key("b", arrival, at(5.0)), Need::Wait);
        fetch(&mut cache, 5.0, Some("a"));
        // All these arrived before that fetch began.
        for i in 0..MAX_MISSING + 10 {
            let id = format!("unknown-{i}");
            assert_eq!(cache.need_key(&id, arrival, at(6.0)), Need::Unknown);
        }
        let long = "x".repeat(MAX_ID_BYTES + 1);
        assert_eq!(cache.need_key(&long, arrival, at(6.0)), Need::Unknown);
        assert_eq!(cache.missing.len(), MAX_MISSING);
        // Entries that are no longer useful make room.
        assert_eq!(cache.need_key("new", arrival, at(12.0)), Need::Unknown);
        assert_eq!(cache.missing.len(), 1);
    }

    #[test]
    fn a_rotated_key_is_found_by_the_first_token_that_names_it() {
        let mut cache = filled("a");
        assert_eq!(need_key(&mut cache, "b", 5.0), Need::Wait);
        fetch(&mut cache, 5.0, Some("a b"));
        assert_eq!(cache.keys(at(5.0)), Some(&"a b"));
    }

    #[test]
    fn a_late_answer_never_overwrites_a_newer_one() {
        let mut cache = KeyCache::new();
        let early = cache.poll(at(0.0)).unwrap();
        // The fetch is given up, and then it answers after all.
        cache.handle_fetched(early, None, at(10.0));
        fetch(&mut cache, 11.0, Some("new"));
        assert!(!cache.handle_fetched(early, Some(("old", None)), at(12.0)));
        assert_eq!(cache.keys(at(12.0)), Some(&"new"));
        // Its failure does not count either.
        cache.handle_fetched(early, None, at(12.0));
        assert_eq!(cache.failures(), 0);
        // As long as nothing newer is held, the late answer is better than nothing.
        let mut cache = KeyCache::new();
        let early = cache.poll(at(0.0)).unwrap();
        cache.handle_fetched(early, None, at(10.0));
        let later = cache.poll(at(11.0)).unwrap();
        assert!(cache.handle_fetched(early, Some(("old", None)), at(12.0)));
        assert_eq!(cache.poll(at(12.0)), None);
        assert!(cache.handle_fetched(later, Some(("new", None)), at(13.0)));
        assert_eq!(cache.keys(at(13.0)), Some(&"new"));
    }

    const PATIENCE: Duration = Duration::from_secs(1);

    #[test]
    fn a_fetch_is_begun_beside_one_that_does_not_end() {
        let mut cache: KeyCache<&str> = KeyCache::new();
        // Without a running fetch there is no extra fetch: `poll` begins the first one.
        assert_eq!(cache.poll_beside(PATIENCE, at(0.0)), None);
        let first = cache.poll(at(0.0)).unwrap();
        assert_eq!(cache.poll_beside(PATIENCE, at(0.99)), None);
        let second = cache.poll_beside(PATIENCE, at(1.0)).unwrap();
        assert_eq!(cache.poll_beside(PATIENCE, at(1.99)), None);
        let third = cache.poll_beside(PATIENCE, at(2.0)).unwrap();
        // Three fetches are running, and no more may be begun.
        assert_eq!(cache.poll_beside(PATIENCE, at(3.0)), None);
        assert!(cache.handle_fetched(second, Some(("second", None)), at(4.0)));
        assert_eq!(cache.poll_beside(PATIENCE, at(4.0)), None);
        assert!(!cache.handle_fetched(first, Some(("first", None)), at(5.0)));
        assert_eq!(cache.keys(at(5.0)), Some(&"second"));
        assert!(cache.handle_fetched(third, Some(("third", None)), at(6.0)));
        assert_eq!(cache.keys(at(6.0)), Some(&"third"));
        assert_eq!(cache.poll_beside(PATIENCE, at(7.0)), None);
        // The next regular fetch may have extra fetches again.
        assert!(cache.poll(at(700.0)).is_some());
        assert!(cache.poll_beside(PATIENCE, at(701.0)).is_some());
    }

    #[test]
    fn three_are_under_way_at_most_whatever_began_them() {
        let mut cache: KeyCache<&str> = KeyCache::new();
        cache.poll(at(0.0)).unwrap();
        cache.poll_beside(PATIENCE, at(1.0)).unwrap();
        let third = cache.poll_beside(PATIENCE, at(2.0)).unwrap();
        cache.handle_fetched(third, None, at(2.5));
        // The first two are still hanging.
        cache.poll(at(3.0)).unwrap();
        assert_eq!(cache.poll_beside(PATIENCE, at(4.0)), None);
        assert_eq!(cache.poll_beside(PATIENCE, at(11.9)), None);
        assert!(cache.poll_beside(PATIENCE, at(12.0)).is_some());
    }

    #[test]
    fn the_failure_of_a_fetch_that_was_overtaken_does_not_count() {
        let mut cache: KeyCache<&str> = KeyCache::new();
        let first = cache.poll(at(0.0)).unwrap();
        let second = cache.poll_beside(PATIENCE, at(1.0)).unwrap();
        cache.handle_fetched(first, None, at(1.5));
        assert_eq!(cache.failures(), 0);
        assert_eq!(cache.need_keys(at(1.5)), Need::Wait);
        // The failure of the latest fetch counts, because it is the newest answer.
        cache.handle_fetched(second, None, at(2.0));
        assert_eq!(unavailable(cache.need_keys(at(2.0))), 0.5);
    }

    #[test]
    fn a_fetch_that_never_ends_blocks_the_next_for_twelve_seconds() {
        let mut cache = filled("a");
        let frozen = cache.poll(at(600.0)).unwrap();
        assert_eq!(cache.poll(at(611.9)), None);
        assert_eq!(need_key(&mut cache, "b", 611.9), Need::Wait);
        assert_eq!(cache.next_poll(at(612.0)), Some(at(612.0)));
        let later = cache.poll(at(612.0)).unwrap();
        assert!(cache.handle_fetched(later, Some(("b", None)), at(612.0)));
        // The frozen fetch goes on.
        assert!(!cache.handle_fetched(frozen, Some(("old", None)), at(613.0)));
        assert_eq!(cache.keys(at(613.0)), Some(&"b"));
        // Setting the clock back does not make the wait longer.
        cache.poll(at(1300.0)).unwrap();
        assert!(cache.poll(at(500.0)).is_some());
    }

    #[test]
    fn a_clock_that_was_set_back_makes_keys_due() {
        let mut cache = filled("a");
        assert_eq!(cache.next_poll(at(-5000.0)), Some(at(-5000.0)));
        assert!(cache.poll(at(-5000.0)).is_some());
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_wait_longer() {
        // The back-off.
        let mut cache = filled("a");
        fetch(&mut cache, 600.0, None);
        assert_eq!(cache.next_poll(at(-5000.0)), Some(at(-5000.0)));
        fetch(&mut cache, -5000.0, Some("a"));
        // The memory of a missing key, and the budget.
        for id in ["b", "c", "d"] {
            let arrival = cache.arrival();
            assert_eq!(cache.need_key(id, arrival, at(0.0)), Need::Wait);
            fetch(&mut cache, 0.0, Some("a"));
            assert_eq!(cache.need_key(id, arrival, at(0.0)), Need::Unknown);
        }
        assert_eq!(unavailable(need_key(&mut cache, "e", 0.0)), 10.0);
        fetch(&mut cache, -5000.0, Some("a"));
        assert_eq!(unavailable(need_key(&mut cache, "e", -5000.0)), 10.0);
        assert_eq!(need_key(&mut cache, "b", -4990.0), Need::Wait);
    }
}
