//! A room's alarm at work, and the time at which the platform is to wake the room.
//!
//! An alarm that is due waits for its turn, runs once, and is then cleared or tried
//! again. If the room sets its alarm again meanwhile, that is another alarm: the
//! outcome of the first does not change it.

use std::time::{Duration, SystemTime};

/// The alarm of one room while it is at work: it is due, it runs, or it failed and will
/// be tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlarmWork(Option<Work>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Work {
    /// The alarm's own id. An alarm that is set again gets another id.
    id: u64,
    failures: u32,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It failed, and will be tried again at its time.
    Waiting,
    /// Its hook waits for its turn.
    Due,
    /// Its hook runs, or the outcome is not stored yet.
    Running,
    /// It was due or running when the room set or removed its alarm.
    Replaced,
}

/// What is to be stored after a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The alarm is cleared.
    Clear,
    /// The alarm is set to this time. It stays the same alarm, with this many failures.
    Again {
        /// When it is tried again.
        at: SystemTime,
        /// How often it has failed since it was set.
        failures: u32,
    },
    /// Nothing changes: another alarm is set, or none.
    Leave,
}

impl AlarmWork {
    /// The room's alarm was set or removed. Former failures are forgotten, and an alarm
    /// that is at work is no longer the room's alarm.
    pub fn replace(&mut self) {
        match &mut self.0 {
            Some(work) if work.stage != Stage::Waiting => work.stage = Stage::Replaced,
            _ => self.0 = None,
        }
    }

    /// An alarm is due. Returns whether the caller must run it; only one caller is told
    /// so. `failures` is the stored count, for an alarm that was at work before this
    /// value was made.
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

    /// The alarm's turn has come. Returns `false` when the alarm was replaced while it
    /// waited; then it does not run.
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

    /// Whether the alarm with this id is running. It is stored until it has run, but no
    /// longer counts as set.
    pub fn is_running(&self, id: u64) -> bool {
        let work = self.0.as_ref();
        work.is_some_and(|work| work.id == id && work.stage == Stage::Running)
    }

    /// Whether it is due or running.
    pub fn is_at_work(&self) -> bool {
        let work = self.0.as_ref();
        work.is_some_and(|work| work.stage != Stage::Waiting)
    }

    /// The run has ended, with or without success. The alarm stays at work until
    /// [`AlarmWork::stored`], so that a store that fails does not make the hook run
    /// again.
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

    /// The change that [`AlarmWork::end`] asked for is stored.
    pub fn stored(&mut self, next: Next) {
        match (&mut self.0, next) {
            (Some(work), Next::Again { failures, .. }) if work.stage == Stage::Running => {
                work.stage = Stage::Waiting;
                work.failures = failures;
            }
            _ => self.0 = None,
        }
    }

    /// The alarm does not run after all: its party is not served, or it has run
    /// already.
    pub fn dismiss(&mut self) {
        self.0 = None;
    }

    /// Whether this value can be dropped: it holds nothing that matters later.
    pub fn is_forgotten(&self) -> bool {
        self.0.is_none()
    }
}

/// The one alarm that the platform has for a room. It serves everything that the room
/// waits for.
#[derive(Clone, Debug, Default)]
pub struct WakeUp {
    /// The time that it is set to. `None` until that time was read from the platform.
    set: Option<Option<SystemTime>>,
    is_stale: bool,
}

impl WakeUp {
    /// The platform's alarm has fired: it is no longer set.
    pub fn fired(&mut self) {
        self.set = Some(None);
        self.is_stale = true;
    }

    /// Something that the room waits for has moved, or the room woke.
    pub fn moved(&mut self) {
        self.is_stale = true;
    }

    /// Whether the platform's alarm may have to be set again. The next call returns
    /// `false`, unless something moved in between.
    #[must_use]
    pub fn take_stale(&mut self) -> bool {
        std::mem::take(&mut self.is_stale)
    }

    /// Whether this value knows the time that the platform's alarm is set to.
    pub fn is_known(&self) -> bool {
        self.set.is_some()
    }

    /// The time that the platform reports. A time that was set since the question takes
    /// precedence.
    pub fn read(&mut self, at: Option<SystemTime>) {
        self.set.get_or_insert(at);
    }

    /// The time that the alarm must be set to, if that is earlier than the time it has
    /// now. An alarm that fires too early does no harm: it finds nothing due, and the
    /// next one is set.
    #[must_use]
    pub fn wanted(&mut self, earliest: Option<SystemTime>) -> Option<SystemTime> {
        let at = earliest?;
        if self.set.flatten().is_some_and(|set| set <= at) {
            return None;
        }
        self.set = Some(Some(at));
        Some(at)
    }

    /// The alarm could not be set, so its time is unknown.
    pub fn failed(&mut self) {
        self.set = None;
        self.is_stale = true;
    }
}

/// The earliest of the times that a room waits for.
pub fn earliest(times: impl IntoIterator<Item = Option<SystemTime>>) -> Option<SystemTime> {
    times.into_iter().flatten().min()
}

/// How long until the first new try after a failure. Each further wait is twice as
/// long.
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
