//! A room's alarm, and the platform's alarm, compared with small models of a host.

mod model;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use partyserver::host::alarm::{AlarmWork, Next, WakeUp};
use partyserver::host::life::from_millis;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Set(u64),
    Remove,
    /// The host looks for what is due.
    Look,
    /// The turn of the alarm that is due has come.
    Begin,
    /// The alarm that runs ends.
    End(bool),
    /// The outcome is stored.
    Store,
}

/// A run takes many steps in their order, so most parts of a chain are whole runs.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let run = prop::bool::weighted(0.05).prop_map(|is_done| {
        vec![
            Step::Pass(130_000),
            Step::Look,
            Step::Begin,
            Step::End(is_done),
            Step::Store,
        ]
    });
    let single = prop_oneof![
        (1..140_000_u64).prop_map(Step::Pass),
        (0..10_000_u64).prop_map(Step::Set),
        Just(Step::Remove),
        Just(Step::Look),
        Just(Step::Begin),
        any::<bool>().prop_map(Step::End),
        Just(Step::Store),
    ];
    let part = prop_oneof![2 => run, 1 => single.prop_map(|step| vec![step])];
    let parts = prop::collection::vec(part, 1..60);
    parts.prop_map(|parts| parts.concat())
}

/// The run that is going on.
#[derive(Clone, Copy, Debug)]
struct Run {
    id: u64,
    stage: Stage,
    is_replaced: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Due,
    Running,
    Ended(Next),
}

/// A host: the alarm that it has stored, and the run that is going on.
#[derive(Default)]
struct Host {
    now: u64,
    ids: u64,
    stored: Option<(u64, SystemTime)>,
    run: Option<Run>,
    failures: BTreeMap<u64, u32>,
}

impl Host {
    fn replace(&mut self, at: Option<u64>) {
        self.ids += 1;
        self.stored = at.map(|at| (self.ids, from_millis(self.now + at)));
        if let Some(run) = &mut self.run {
            run.is_replaced = true;
        }
    }
}

#[test]
fn an_alarm_runs_as_its_host_expects() {
    model::check(1000, &steps(), |steps| {
        let (mut work, mut host) = (AlarmWork::default(), Host::default());
        for step in steps {
            let now = from_millis(host.now);
            match step {
                Step::Pass(time) => host.now += time,
                Step::Set(at) => {
                    host.replace(Some(at));
                    work.replace();
                }
                Step::Remove => {
                    host.replace(None);
                    work.replace();
                }
                Step::Look => {
                    let Some((id, at)) = host.stored.filter(|(_, at)| *at <= now) else {
                        continue;
                    };
                    let is_mine = work.due(id, 0);
                    prop_assert_eq!(is_mine, host.run.is_none(), "never two at once, {:?}", at);
                    host.run.get_or_insert(Run {
                        id,
                        stage: Stage::Due,
                        is_replaced: false,
                    });
                }
                Step::Begin => match &mut host.run {
                    Some(run) if run.stage == Stage::Due => {
                        prop_assert_eq!(work.begin(), !run.is_replaced);
                        if run.is_replaced {
                            work.dismiss();
                            host.run = None;
                        } else {
                            run.stage = Stage::Running;
                        }
                    }
                    _ => prop_assert!(!work.begin()),
                },
                Step::End(is_done) => match &mut host.run {
                    Some(run) if run.stage == Stage::Running => {
                        let next = work.end(is_done, now);
                        let failed = host.failures.entry(run.id).or_default();
                        let expected = if run.is_replaced {
                            Next::Leave
                        } else if is_done || *failed == 6 {
                            Next::Clear
                        } else {
                            *failed += 1;
                            let pause = Duration::from_secs(1 << *failed);
                            Next::Again {
                                at: now + pause,
                                failures: *failed,
                            }
                        };
                        prop_assert_eq!(next, expected);
                        run.stage = Stage::Ended(next);
                    }
                    _ => continue,
                },
                Step::Store => {
                    let Some((run, next)) = host.run.and_then(|run| match run.stage {
                        Stage::Ended(next) => Some((run, next)),
                        _ => None,
                    }) else {
                        continue;
                    };
                    // A store changes only the alarm whose outcome it stores.
                    let (id, before) = (run.id, host.stored);
                    let own = host.stored.filter(|(stored, _)| *stored == id);
                    match next {
                        Next::Clear if own.is_some() => host.stored = None,
                        Next::Again { at, .. } if own.is_some() => host.stored = Some((id, at)),
                        _ => {}
                    }
                    work.stored(next);
                    host.run = None;
                    if run.is_replaced {
                        prop_assert_eq!(host.stored, before, "a successor is not touched");
                        prop_assert!(work.is_forgotten());
                    }
                }
            }
            prop_assert_eq!(work.is_at_work(), host.run.is_some());
            let running = host
                .run
                .filter(|run| run.stage != Stage::Due && !run.is_replaced);
            for id in 0..=host.ids {
                let is_running = running.is_some_and(|run| run.id == id);
                prop_assert_eq!(work.is_running(id), is_running);
            }
        }
        prop_assert!(host.failures.values().all(|failures| *failures <= 6));
        Ok(())
    });
}

#[derive(Clone, Debug)]
enum Wake {
    /// The time that the room waits for has moved. The flag says whether the platform's
    /// alarm can be set.
    Moved(Option<u64>, bool),
    /// The platform's alarm fires.
    Fires,
    /// The object wakes and knows nothing. The flag says whether it can read the
    /// platform's alarm.
    Forgets(bool),
}

#[test]
fn a_wake_up_is_never_later_than_the_earliest_that_is_wanted() {
    let step = prop_oneof![
        6 => (prop::option::of(0..1000_u64), prop::bool::weighted(0.9))
            .prop_map(|(at, works)| Wake::Moved(at, works)),
        2 => Just(Wake::Fires),
        1 => any::<bool>().prop_map(Wake::Forgets),
    ];
    let steps = prop::collection::vec(step, 1..60);
    model::check(1000, &steps, |steps| {
        let mut wake = WakeUp::default();
        let mut platform: Option<SystemTime> = None;
        let mut earliest = None;
        for step in steps {
            let mut works = true;
            match step {
                Wake::Moved(at, can_be_set) => {
                    earliest = at.map(from_millis);
                    works = can_be_set;
                    wake.moved();
                }
                Wake::Fires => {
                    platform = None;
                    wake.fired();
                }
                Wake::Forgets(can_be_read) => {
                    wake = WakeUp::default();
                    wake.moved();
                    if can_be_read {
                        wake.read(platform);
                    }
                }
            }
            prop_assert!(wake.take_stale());
            if let Some(at) = wake.wanted(earliest) {
                if works {
                    platform = Some(at);
                } else {
                    wake.failed();
                    prop_assert!(!wake.is_known());
                    prop_assert!(wake.take_stale(), "it is tried again");
                    continue;
                }
            }
            if let Some(earliest) = earliest {
                prop_assert!(platform.is_some_and(|set| set <= earliest));
            }
            prop_assert!(!wake.take_stale(), "there is nothing to be done");
        }
        Ok(())
    });
}
