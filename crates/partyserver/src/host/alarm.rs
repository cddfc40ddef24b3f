//! A room's alarm at work, and the one time at which a room is to be woken.
//!
//! An alarm that is due waits for its turn, runs once, and is then cleared or tried
//! again. One that is set anew meanwhile is another alarm: what becomes of the first
//! does not touch it.

use std::time::{Duration, SystemTime};

/// The alarm of one room while it is at work: due, running, or failed and to be tried
/// again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlarmWork(Option<Work>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Work {
    /// The alarm's own id: one that is set anew has another.
    id: u64,
    failures: u32,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// What is to be stored after a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The alarm is cleared.
    Clear,
    /// It is set to this time, as the same alarm, with so many failures.
    Again {
        /// When it is tried again.
        at: SystemTime,
        /// How often it has failed since it was set.
        failures: u32,
    },
    /// Nothing: another alarm is set, or none.
    Leave,
}

impl AlarmWork {
    /// The room's alarm was set or removed: what failed before is forgotten, and what is
    /// at work is not the room's alarm any more.
    pub fn replace(&mut self) {
        match &mut self.0 {
            Some(work) if work.stage != Stage::Waiting => work.stage = Stage::Replaced,
            _ => self.0 = None,
        }
    }

    /// An alarm is due. Returns whether the caller is to run it; nobody else is then.
    /// `failures` is what is known of an alarm that was at work before this memory began.
    #[must_use]
    pub fn due(&mut self, id: u64, failures: u32) -> bool {
        let failures = match &self.0 {
            Some(work) if work.stage != Stage::Waiting => return false,
            Some(work) if work.id == id => work.failures,
            _ => failures,
        };
        self.0 = Some(Work {
            id,
            failures,
            stage: Stage::Due,
        });
        true
    }

    /// Its turn has come. Returns `false` when it was replaced while it waited; then it
    /// does not run.
    #[must_use]
    pub fn begin(&mut self) -> bool {
        match &mut self.0 {
            Some(work) if work.stage == Stage::Due => {
                work.stage = Stage::Running;
                true
            }
            _ => false,
        }
    }

    /// Whether this very alarm runs: it is stored until it has run, but not set.
    pub fn is_running(&self, id: u64) -> bool {
        let work = self.0.as_ref();
        work.is_some_and(|work| work.id == id && work.stage == Stage::Running)
    }

    /// Whether it is due or running.
    pub fn is_at_work(&self) -> bool {
        let work = self.0.as_ref();
        work.is_some_and(|work| work.stage != Stage::Waiting)
    }

    /// Its run has ended, well or not. It stays at work until [`AlarmWork::stored`], so
    /// that a store that fails does not make the hook run again.
    #[must_use]
    pub fn end(&self, is_done: bool, now: SystemTime) -> Next {
        match &self.0 {
            Some(work) if work.stage == Stage::Running => {
                if is_done || work.failures >= MAX_RETRIES {
                    return Next::Clear;
                }
                Next::Again {
                    at: now + RETRY * 2_u32.pow(work.failures),
                    failures: work.failures + 1,
                }
            }
            _ => Next::Leave,
        }
    }

    /// What [`AlarmWork::end`] asked for is stored.
    pub fn stored(&mut self, next: Next) {
        match (&mut self.0, next) {
            (Some(work), Next::Again { failures, .. }) if work.stage == Stage::Running => {
                work.stage = Stage::Waiting;
                work.failures = failures;
            }
            _ => self.0 = None,
        }
    }

    /// It is not to run after all: its party is not served, or it has run already.
    pub fn dismiss(&mut self) {
        self.0 = None;
    }

    /// Whether nothing is known of it that would be missed.
    pub fn is_forgotten(&self) -> bool {
        self.0.is_none()
    }
}

/// The platform's one alarm of a room, for all that the room waits for.
#[derive(Clone, Debug, Default)]
pub struct WakeUp {
    /// When it is set to; `None` before that was read.
    set: Option<Option<SystemTime>>,
    is_stale: bool,
}

impl WakeUp {
    /// It has fired: it is not set any more.
    pub fn fired(&mut self) {
        self.set = Some(None);
        self.is_stale = true;
    }

    /// Something that the room waits for has moved, or the room woke.
    pub fn moved(&mut self) {
        self.is_stale = true;
    }

    /// Whether it may have to be set anew; asked once.
    #[must_use]
    pub fn take_stale(&mut self) -> bool {
        std::mem::take(&mut self.is_stale)
    }

    /// Whether it is known when it is set to.
    pub fn is_known(&self) -> bool {
        self.set.is_some()
    }

    /// What the platform says. What was set meanwhile counts more.
    pub fn read(&mut self, at: Option<SystemTime>) {
        self.set.get_or_insert(at);
    }

    /// When it is to be set to, where that is earlier than what is set. One that fires too
    /// early does no harm: it finds nothing due, and the next is set.
    #[must_use]
    pub fn wanted(&mut self, earliest: Option<SystemTime>) -> Option<SystemTime> {
        let at = earliest?;
        if self.set.flatten().is_some_and(|set| set <= at) {
            return None;
        }
        self.set = Some(Some(at));
        Some(at)
    }

    /// It could not be set: what it is set to is not known.
    pub fn failed(&mut self) {
        self.set = None;
        self.is_stale = true;
    }
}

/// The earliest of what a room waits for.
pub fn earliest(times: impl IntoIterator<Item = Option<SystemTime>>) -> Option<SystemTime> {
    times.into_iter().flatten().min()
}

/// How long until the first try after a failure; twice as long each time.
pub const RETRY: Duration = Duration::from_secs(2);
/// How often an alarm that fails is tried again.
pub const MAX_RETRIES: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::life::from_millis;

    fn at(seconds: u64) -> SystemTime {
        from_millis(seconds * 1000)
    }

    #[test]
    fn an_alarm_that_fails_is_tried_six_times_ever_later() {
        let mut alarm = AlarmWork::default();
        let mut pauses = Vec::new();
        loop {
            assert!(alarm.due(1, 0));
            assert!(!alarm.due(1, 0), "somebody else has it");
            assert!(alarm.begin() && alarm.is_running(1));
            let next = alarm.end(false, at(100));
            alarm.stored(next);
            match next {
                Next::Again { at: again, .. } => {
                    pauses.push(again.duration_since(at(100)).unwrap().as_secs());
                }
                Next::Clear => break,
                Next::Leave => panic!("nobody replaced it"),
            }
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64]);
        assert!(alarm.is_forgotten());
    }

    #[test]
    fn one_that_is_set_anew_is_another() {
        let mut alarm = AlarmWork::default();
        assert!(alarm.due(1, 0));
        alarm.replace();
        assert!(!alarm.begin(), "it waited, and was replaced");
        assert_eq!(alarm.end(true, at(0)), Next::Leave);
        alarm.stored(Next::Leave);

        assert!(alarm.due(2, 0) && alarm.begin());
        alarm.replace();
        assert!(!alarm.is_running(2) && alarm.is_at_work());
        assert!(!alarm.due(3, 0), "the first has not ended");
        assert_eq!(alarm.end(false, at(0)), Next::Leave);
        alarm.stored(Next::Leave);
        assert!(alarm.due(3, 0));
    }

    #[test]
    fn failures_are_of_one_alarm() {
        let mut alarm = AlarmWork::default();
        assert!(alarm.due(1, 3) && alarm.begin());
        let next = alarm.end(false, at(0));
        assert_eq!(
            next,
            Next::Again {
                at: at(16),
                failures: 4
            }
        );
        alarm.stored(next);
        alarm.replace();
        assert!(alarm.due(2, 0) && alarm.begin());
        assert!(matches!(
            alarm.end(false, at(0)),
            Next::Again { failures: 1, .. }
        ));
    }

    #[test]
    fn the_platforms_alarm_is_set_to_the_earliest_alone() {
        let mut wake = WakeUp::default();
        assert!(!wake.is_known());
        wake.read(Some(at(50)));
        assert_eq!(
            wake.wanted(earliest([Some(at(60)), None, Some(at(70))])),
            None
        );
        assert_eq!(wake.wanted(earliest([None, Some(at(40))])), Some(at(40)));
        assert_eq!(wake.wanted(Some(at(40))), None);
        wake.fired();
        assert!(wake.take_stale() && !wake.take_stale());
        assert_eq!(wake.wanted(Some(at(60))), Some(at(60)));
        wake.failed();
        assert!(!wake.is_known() && wake.take_stale());
        assert_eq!(wake.wanted(None), None);
    }
}
