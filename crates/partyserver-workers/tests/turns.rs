//! The fair lock of rooms and of their storage, which needs no platform.

#[path = "../src/object/turns.rs"]
mod turns;

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};

use turns::{Load, Turn, Turns};

/// A caller that has asked for a turn.
struct Asking {
    turn: Rc<Turn>,
    begun: Pin<Box<dyn Future<Output = ()>>>,
    is_held: bool,
}

fn ask(turns: &Rc<Turns>) -> Asking {
    asking(turns.turn())
}

fn asking(turn: Rc<Turn>) -> Asking {
    let begun = Rc::clone(&turn);
    let mut asking = Asking {
        turn,
        begun: Box::pin(async move { begun.begin().await }),
        is_held: false,
    };
    asking.look();
    asking
}

impl Asking {
    /// Whether it has its turn.
    fn look(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.is_held = self.is_held || self.begun.as_mut().poll(&mut cx).is_ready();
        self.is_held
    }
}

#[test]
fn turns_come_in_the_order_of_asking() {
    let turns = Rc::new(Turns::default());
    let mut all: Vec<_> = (0..4).map(|_| ask(&turns)).collect();
    for index in 0..4 {
        let held: Vec<bool> = all.iter_mut().map(Asking::look).collect();
        let expected: Vec<bool> = (0..4).map(|other| other <= index).collect();
        assert_eq!(held, expected);
        all[index].turn.end();
    }
    assert!(!turns.is_busy());
}

#[test]
fn a_turn_that_is_dropped_is_given_on() {
    let turns = Rc::new(Turns::default());
    let (first, second, mut third) = (ask(&turns), ask(&turns), ask(&turns));
    // First a turn that waits is dropped, then the one that is held.
    drop(second);
    assert!(!third.look());
    drop(first);
    assert!(third.look());
    drop(third);
    assert!(!turns.is_busy());
}

#[test]
fn a_turn_that_is_given_up_while_it_waits_is_never_held() {
    let turns = Rc::new(Turns::default());
    let (first, mut second, mut third) = (ask(&turns), ask(&turns), ask(&turns));
    // A panic drops nothing: the turn is ended from outside, and still exists.
    second.turn.end();
    first.turn.end();
    assert!(!second.look());
    assert!(third.look());
}

#[test]
fn a_turn_that_is_over_takes_nobody_elses_away() {
    let turns = Rc::new(Turns::default());
    let (first, second) = (ask(&turns), ask(&turns));
    first.turn.end();
    first.turn.end();
    drop(first);
    assert!(turns.is_busy());
    let mut third = ask(&turns);
    assert!(!third.look());
    second.turn.end();
    assert!(third.look());
}

#[test]
fn what_waits_is_counted_until_it_waits_no_longer() {
    let turns = Rc::new(Turns::default());
    let own = Load::default();
    let heavy = |bytes| {
        let loads = vec![Rc::clone(turns.load()), Rc::clone(&own)];
        asking(turns.turn_with(bytes, loads))
    };
    let first = heavy(1);
    // What is handled at once never waits, so it adds nothing.
    assert_eq!(own.get(), 0);
    let (second, third, fourth) = (heavy(10), heavy(100), ask(&turns));
    assert_eq!((own.get(), turns.load().get()), (110, 110));
    first.turn.end();
    assert_eq!(own.get(), 100);
    drop(third);
    assert_eq!(own.get(), 0);
    second.turn.end();
    drop(fourth);
    assert_eq!((own.get(), turns.load().get()), (0, 0));
}
