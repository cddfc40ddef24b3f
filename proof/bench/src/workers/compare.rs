//! The loads, in turns.

use std::path::Path;
use std::time::Duration;

use local_issuer::LocalIssuer;

use crate::Result;
use crate::client::Target;
use crate::load::{Load, Size};
use crate::measurement::Measurement;

use super::Options;
use super::workerd::{AUDIENCE, Workerd};

/// A worker that is measured.
pub(super) struct Contender<'a> {
    name: &'static str,
    configuration: &'a Path,
    party: &'a str,
}

impl<'a> Contender<'a> {
    pub(super) fn new(name: &'static str, configuration: &'a Path, party: &'a str) -> Self {
        Self {
            name,
            configuration,
            party,
        }
    }

    async fn start(&self, options: &Options, issuer: &LocalIssuer) -> Result<Workerd> {
        let Options {
            workerd, storage, ..
        } = options;
        Workerd::start(workerd, self.configuration, storage, &issuer.url()).await
    }
}

/// A load, and the measurements of both workers, in the order of the rounds.
pub(super) struct Outcome {
    pub(super) load: Load,
    pub(super) connections: usize,
    pub(super) measured: [Vec<Measurement>; 2],
}

/// Every measurement uses a process that was just started, so that nothing is left from
/// another load. The turns go A B A B, so that a slow minute of the machine affects
/// both.
pub(super) async fn run(
    options: &Options,
    contenders: &[Contender<'_>; 2],
) -> Result<Vec<Outcome>> {
    let issuer = LocalIssuer::builder()
        .audience(AUDIENCE)
        .token_lifetime(Duration::from_secs(24 * 60 * 60))
        .start()
        .await?;
    let mut outcomes = Vec::new();
    let wanted = |load| options.only.is_empty() || options.only.contains(&load);
    for (load, connections, settle) in LOADS.into_iter().filter(|(load, ..)| wanted(*load)) {
        let size = Size {
            connections,
            rooms: 1,
            seconds: options.seconds,
            // Each room holds some descriptors, until its object is evicted.
            operations: (load == Load::Cold).then_some(COLD_ROOMS),
            settle,
        };
        let mut measured = [Vec::new(), Vec::new()];
        for _ in 0..options.rounds {
            for (contender, measured) in contenders.iter().zip(&mut measured) {
                let server = contender.start(options, &issuer).await?;
                let target = Target::new(&server.party(contender.party), &issuer.token().sign());
                if WARMED.contains(&load) {
                    let warm_up = Size {
                        seconds: WARM_UP,
                        ..size
                    };
                    load.measure(&target, server.process()?, warm_up).await?;
                }
                let done = load.measure(&target, server.process()?, size).await;
                let done = done.map_err(|error| format!("{load:?}, {}: {error}", contender.name));
                let done = done?;
                println!("{load:?}, {}: {done}", contender.name);
                measured.push(done);
                server.kill().await?;
            }
        }
        outcomes.push(Outcome {
            load,
            connections,
            measured,
        });
    }
    Ok(outcomes)
}

/// The load, its connections, and the seconds until sockets count as idle: objects
/// hibernate after ten without an event.
const LOADS: [(Load, usize, u64); 5] = [
    (Load::Get, 16, 0),
    (Load::Echo, 16, 0),
    (Load::FanOut, 100, 0),
    (Load::Cold, 16, 0),
    (Load::Idle, 2_000, 12),
];
const COLD_ROOMS: u64 = 3_000;
/// What isolates do all day. V8 compiles hot code while it runs, and in the first
/// seconds that costs more than the work itself.
const WARMED: [Load; 3] = [Load::Get, Load::Echo, Load::FanOut];
pub(super) const WARM_UP: u64 = 4;
