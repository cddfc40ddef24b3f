//! A connection's life, compared with a simple model.

mod model;

use partyserver::Close;
use partyserver::host::life::{Change, Life, Rest, from_millis};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// The clock moves on.
    Pass(u64),
    /// The clock jumps back.
    JumpBack(u64),
    Close(u16, bool),
    CloseAt(u64, u16),
    Renew(u64, u16),
    Look,
    Tell,
    Gone,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..40_u64).prop_map(Step::Pass),
        1 => (0..20_u64).prop_map(Step::JumpBack),
        1 => (code(), any::<bool>()).prop_map(|(code, drops)| Step::Close(code, drops)),
        2 => (deadline(), code()).prop_map(|(at, code)| Step::CloseAt(at, code)),
        4 => (deadline(), code()).prop_map(|(at, code)| Step::Renew(at, code)),
        3 => Just(Step::Look),
        2 => Just(Step::Tell),
        1 => Just(Step::Gone),
    ]
}

/// There are few values, so that two deadlines are sometimes the same.
fn deadline() -> impl Strategy<Value = u64> {
    (0..20_u64).prop_map(|step| step * 20)
}

fn code() -> impl Strategy<Value = u16> {
    4000..4010_u16
}

/// Everything that was ever asked for. The model goes through all of it to find the
/// outcome.
#[derive(Default)]
struct Model {
    asked: Vec<(u64, u16)>,
    identity: Option<(u64, u16)>,
    ended: Option<(u16, Rest)>,
    told: bool,
}

impl Model {
    /// The deadline of the room's code: the earliest, or the first of several equal
    /// ones.
    fn own(&self) -> Option<(u64, u16)> {
        self.asked.iter().copied().min_by_key(|(at, _)| *at)
    }

    /// The deadline that has ended it by now: the earliest, or the identity's if both
    /// are equal.
    fn due(&self, now: u64) -> Option<u16> {
        let deadlines = self.identity.into_iter().chain(self.own());
        let earliest = deadlines.min_by_key(|(at, _)| *at);
        earliest.filter(|(at, _)| *at <= now).map(|(_, code)| code)
    }

    fn end(&mut self, code: u16, rest: Rest) -> Change {
        match &mut self.ended {
            None => {
                self.ended = Some((code, rest));
                Change::Ended
            }
            Some((_, sent)) if *sent == Rest::Sent && rest == Rest::Dropped => {
                *sent = Rest::Dropped;
                Change::Cut
            }
            Some(_) => Change::None,
        }
    }
}

#[test]
fn a_life_is_what_its_model_says() {
    let steps = prop::collection::vec(step(), 1..60);
    model::check(2000, &steps, |steps| {
        let (mut life, mut model) = (Life::default(), Model::default());
        let mut now = 100;
        for step in steps {
            match step {
                Step::Pass(time) => now += time,
                Step::JumpBack(time) => now -= time.min(now),
                Step::Close(code, drops) => {
                    let rest = if drops { Rest::Dropped } else { Rest::Sent };
                    let change = life.close(close(code), rest);
                    prop_assert_eq!(change, model.end(code, rest));
                }
                Step::CloseAt(at, code) => {
                    let is_earliest = model.asked.iter().all(|(earlier, _)| at < *earlier);
                    model.asked.push((at, code));
                    prop_assert_eq!(life.close_at(from_millis(at), close(code)), is_earliest);
                }
                Step::Renew(at, code) => {
                    let is_open = model.ended.is_none() && model.due(now).is_none();
                    if model.due(now).is_none() {
                        model.identity = Some((at, code));
                    }
                    let is_renewed = life.renew(from_millis(at), close(code), from_millis(now));
                    prop_assert_eq!(is_renewed, is_open, "a renewal revives nothing");
                }
                Step::Look => {
                    let change = match model.due(now) {
                        Some(code) => model.end(code, Rest::Dropped),
                        None => Change::None,
                    };
                    prop_assert_eq!(life.look(from_millis(now)), change);
                }
                Step::Tell => {
                    let tells = model.ended.is_some() && !model.told;
                    model.told |= tells;
                    prop_assert_eq!(life.tell(), tells, "once, and only after the end");
                }
                Step::Gone => {
                    prop_assert_eq!(life.gone(), model.end(1001, Rest::Dropped));
                }
            }
            let is_open = model.ended.is_none() && model.due(now).is_none();
            prop_assert_eq!(life.is_open(from_millis(now)), is_open);
            let ending = life
                .ending()
                .map(|ending| (ending.close.code(), ending.rest));
            prop_assert_eq!(ending, model.ended, "the first close counts");
            prop_assert_eq!(life.is_told(), model.told);
            let ends = model.identity.into_iter().chain(model.own());
            let ends = ends.map(|(at, _)| from_millis(at)).min();
            prop_assert_eq!(life.ends_at(), ends);
        }
        Ok(())
    });
}

fn close(code: u16) -> Close {
    Close::new(code, "")
}
