//! Queues: their order, their one worker, and the limit of what may wait.

mod model;

use std::collections::VecDeque;

use partyserver::host::backlog::{Backlog, Capacity, Waiting};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Push,
    Take,
    /// The worker that was asked for can't start.
    Unattended,
}

#[test]
fn one_worker_takes_all_in_order() {
    let step =
        prop_oneof![3 => Just(Step::Push), 3 => Just(Step::Take), 1 => Just(Step::Unattended)];
    let steps = prop::collection::vec(step, 1..80);
    model::check(1000, &steps, |steps| {
        let mut backlog = Backlog::default();
        let mut waiting = VecDeque::new();
        let (mut workers, mut pushed) = (0, 0);
        for step in steps {
            match step {
                Step::Push => {
                    pushed += 1;
                    waiting.push_back(pushed);
                    workers += u32::from(backlog.push(pushed));
                    prop_assert_eq!(workers, 1, "somebody is at it, and only one");
                }
                // Only a worker takes items, and it ends when there are none.
                Step::Take if workers > 0 => {
                    let taken = backlog.take();
                    prop_assert_eq!(taken, waiting.pop_front());
                    workers -= u32::from(taken.is_none());
                }
                Step::Unattended if workers > 0 => {
                    backlog.unattended();
                    workers = 0;
                }
                Step::Take | Step::Unattended => {}
            }
        }
        Ok(())
    });
}

#[test]
fn no_more_waits_than_may() {
    let capacity = (0..6_usize, 0..50_usize);
    let steps = prop::collection::vec(prop::option::weighted(0.7, 0..40_usize), 1..80);
    model::check(1000, &(capacity, steps), |((messages, bytes), steps)| {
        let capacity = Capacity { messages, bytes };
        let mut waiting = Waiting::default();
        let mut queue = VecDeque::new();
        for step in steps {
            if let Some(size) = step {
                let sum = queue.iter().sum::<usize>() + size;
                let is_alone = queue.is_empty();
                let fits = queue.len() < messages && (is_alone || sum <= bytes);
                let next = waiting.with(size, capacity);
                prop_assert_eq!(next.is_some(), fits);
                if let Some(next) = next {
                    waiting = next;
                    queue.push_back(size);
                }
            } else if let Some(size) = queue.pop_front() {
                waiting.remove(size);
            }
            prop_assert_eq!(waiting.bytes(), queue.iter().sum::<usize>());
            prop_assert_eq!(waiting.is_empty(), queue.is_empty());
        }
        Ok(())
    });
}
