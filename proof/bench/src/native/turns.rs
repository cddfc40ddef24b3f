//! Servers under the same load, in turns, so that a slow moment of the machine affects
//! all of them.

use std::time::Duration;

use crate::Result;
use crate::load::{Budget, Worker, spend};
use crate::measurement::{Measurement, Started};

/// How long and how often to measure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) rounds: usize,
    /// The time of one load on one server.
    pub(super) turn: Duration,
    /// Whether the small sizes are used instead of the full ones.
    pub(super) is_quick: bool,
}

/// Workers whose connections to one server are open.
pub(super) struct Loaded<W> {
    pub(super) process: u32,
    pub(super) workers: Vec<W>,
}

impl Pace {
    pub(super) fn new(is_quick: bool) -> Self {
        let (rounds, turn) = if is_quick { (3, 150) } else { (21, 200) };
        Self {
            rounds,
            turn: Duration::from_millis(turn),
            is_quick,
        }
    }

    /// The full number, or the small one that only shows that it runs.
    pub(super) fn size(self, full: usize, quick: usize) -> usize {
        if self.is_quick { quick } else { full }
    }
}

/// Loads the servers in turns, round after round. Returns one outcome for each server,
/// with one measurement per round.
pub(super) async fn take_turns<W: Worker>(
    pace: Pace,
    servers: &mut [Loaded<W>],
) -> Result<Vec<Vec<Measurement>>> {
    for server in &mut *servers {
        spend(&mut server.workers, &Budget::new(pace.turn, None)).await?;
    }
    let mut measured: Vec<_> = servers.iter().map(|_| Vec::new()).collect();
    for _ in 0..pace.rounds {
        for (server, measured) in servers.iter_mut().zip(&mut measured) {
            let started = Started::now(server.process)?;
            let budget = Budget::new(pace.turn, None);
            let operations = spend(&mut server.workers, &budget).await?;
            measured.push(started.finish(operations)?);
        }
    }
    Ok(measured)
}
