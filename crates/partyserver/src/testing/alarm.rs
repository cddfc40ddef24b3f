//! A room's one alarm, as the kit stores it.

use std::time::{Duration, SystemTime};

use crate::host::alarm::{AlarmWork, Next};

/// The alarm that is set, and its state.
#[derive(Default)]
pub(super) struct Alarm {
    set: Option<Set>,
    work: AlarmWork,
    ids: u64,
    /// The time of the clock at which an alarm last ran. The clock may stand still, and
    /// a hook may set the alarm again for the present; then it would run without end.
    /// So at one time of the clock an alarm runs once.
    ran_at: Option<SystemTime>,
}

#[derive(Clone, Copy)]
struct Set {
    id: u64,
    at: SystemTime,
}

impl Alarm {
    /// Sets or removes it.
    pub(super) fn set(&mut self, at: Option<SystemTime>) {
        self.ids += 1;
        let id = self.ids;
        self.set = at.map(|at| Set { id, at });
        self.work.replace();
    }

    /// The time of the alarm that is set.
    pub(super) fn set_for(&self) -> Option<SystemTime> {
        let set = self.set.filter(|set| !self.work.is_running(set.id));
        set.map(|set| set.at)
    }

    /// Whether the alarm is due. If so, the caller must run it.
    pub(super) fn due(&mut self, now: SystemTime) -> bool {
        match self.set {
            Some(set) if set.at <= now && self.ran_at != Some(now) => self.work.due(set.id, 0),
            _ => false,
        }
    }

    /// When it is due next, after now.
    pub(super) fn next(&self, now: SystemTime) -> Option<SystemTime> {
        let at = self.set.filter(|_| !self.work.is_at_work())?.at;
        if at > now {
            return Some(at);
        }
        // It ran at this time already, so it waits for the clock to move on.
        (self.ran_at == Some(now)).then_some(now + A_MOMENT)
    }

    /// The alarm's turn has come. Returns whether it must still run.
    pub(super) fn begin(&mut self, now: SystemTime) -> bool {
        if self.work.begin() {
            self.ran_at = Some(now);
            return true;
        }
        self.work.dismiss();
        false
    }

    /// The alarm has run, with or without success.
    pub(super) fn end(&mut self, is_done: bool, now: SystemTime) {
        let next = self.work.end(is_done, now);
        match (next, &mut self.set) {
            (Next::Clear, set) => *set = None,
            (Next::Again { at, .. }, Some(set)) => set.at = at,
            _ => {}
        }
        self.work.stored(next);
    }
}

const A_MOMENT: Duration = Duration::from_millis(1);
