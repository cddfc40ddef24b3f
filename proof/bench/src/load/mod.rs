//! The loads.
//!
//! Each load opens its connections, warms the server up over them, and then measures.
//! Every worker has one operation running at a time, so the server decides the pace.

mod budget;
mod cold;
pub(crate) mod echo;
pub(crate) mod fan_out;
mod get;
mod idle;

use std::time::Duration;

use clap::ValueEnum;
use futures_util::future::try_join_all;

use crate::Result;
use crate::client::Target;
use crate::measurement::{Measurement, Started};

pub(crate) use self::budget::Budget;

/// What is done to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Load {
    /// Authenticated requests to rooms that are awake, over connections kept alive.
    Get,
    /// A message to the room and its echo.
    Echo,
    /// Messages that one member sends and every member receives.
    FanOut,
    /// Authenticated requests, each to a room that nobody has been in before.
    Cold,
    /// Sockets that stay open with nothing to do.
    Idle,
}

/// How much of it.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Size {
    /// Connections or sockets.
    #[arg(long, default_value_t = 16)]
    pub(crate) connections: usize,
    /// Rooms that they are spread over; fan-out uses one, cold a new one each time.
    #[arg(long, default_value_t = 1)]
    pub(crate) rooms: usize,
    /// Seconds to measure; the warm-up before takes a quarter of it more.
    #[arg(long, default_value_t = 5)]
    pub(crate) seconds: u64,
    /// Ends after this many operations, if the seconds have not passed before.
    #[arg(long)]
    pub(crate) operations: Option<u64>,
    /// For idle: seconds between the last handshake and the look at the memory.
    #[arg(long, default_value_t = 2)]
    pub(crate) settle: u64,
}

impl Size {
    /// This many connections, spread over this many rooms.
    pub(crate) fn of(connections: usize, rooms: usize) -> Self {
        Self {
            connections,
            rooms,
            seconds: 5,
            operations: None,
            settle: 2,
        }
    }
}

/// One load on one server.
#[derive(clap::Args)]
pub(crate) struct Options {
    load: Load,
    /// The URL of a party: what room names are appended to.
    #[arg(long, value_name = "URL")]
    party: String,
    /// An access token that the party accepts.
    #[arg(long, env = "BENCH_TOKEN", hide_env_values = true)]
    token: String,
    /// The id of the server process.
    #[arg(long)]
    process: u32,
    #[command(flatten)]
    size: Size,
}

pub(crate) async fn run(options: &Options) -> Result<()> {
    let target = Target::new(&options.party, &options.token);
    let measured = options
        .load
        .measure(&target, options.process, options.size)
        .await?;
    print!("{measured}");
    if options.load == Load::Idle {
        print!(", {:.1} kB each", measured.memory() / 1e3);
    }
    println!();
    Ok(())
}

impl Load {
    /// # Errors
    /// When the server refuses, ends, or does not answer. A load is never half
    /// measured.
    pub(crate) async fn measure(
        self,
        target: &Target,
        process: u32,
        size: Size,
    ) -> Result<Measurement> {
        match self {
            Self::Get => sustained(get::workers(target, size).await?, process, size).await,
            Self::Echo => sustained(echo::workers(target, size).await?, process, size).await,
            Self::FanOut => sustained(fan_out::workers(target, size).await?, process, size).await,
            Self::Cold => sustained(cold::workers(target, size).await?, process, size).await,
            Self::Idle => idle::measure(target, process, size).await,
        }
    }
}

/// A worker that repeats an operation.
pub(crate) trait Worker {
    /// Does the operation once, and returns how many operations it counts as.
    async fn step(&mut self) -> Result<u64>;
}

/// Lets all workers run at the same time: first for the warm-up, then for the
/// measurement.
async fn sustained<W: Worker>(
    mut workers: Vec<W>,
    process: u32,
    size: Size,
) -> Result<Measurement> {
    let time = Duration::from_secs(size.seconds);
    spend(&mut workers, &Budget::new(time / 4, size.operations)).await?;
    let started = Started::now(process)?;
    let operations = spend(&mut workers, &Budget::new(time, size.operations)).await?;
    started.finish(operations)
}

/// Lets the workers run at the same time, and returns how many operations were done.
pub(crate) async fn spend<W: Worker>(workers: &mut [W], budget: &Budget) -> Result<u64> {
    let done = try_join_all(workers.iter_mut().map(async |worker| {
        let mut done = 0;
        while budget.is_left() {
            let operations = worker.step().await?;
            budget.took(operations);
            done += operations;
        }
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(done)
    }))
    .await?;
    Ok(done.into_iter().sum())
}
