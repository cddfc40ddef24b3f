//! `bench native`: what rooms on the native host cost, compared with the simplest
//! program that does the same, and with what a user would choose instead.

mod cold;
mod contenders;
mod echo;
mod fan_out;
mod get;
mod growth;
mod idle;
mod npm;
mod refusals;
mod report;
mod server;
mod set_up;
mod tokens;
mod turns;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use local_issuer::LocalIssuer;
use tokio::time::{Instant, timeout_at};

use crate::{Result, machine};

use self::contenders::Contenders;
use self::report::Section;
use self::turns::Pace;

/// What to measure, and how long.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Measures this alone, and prints its table in place of writing the file. May be
    /// given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<Part>,
    /// Short and small: to see that everything runs. Its table is printed, not written.
    #[arg(long)]
    quick: bool,
    /// The folder of the Node packages.
    #[arg(long, default_value = "proof/interop")]
    interop: PathBuf,
    /// Where the tables are written.
    #[arg(long, default_value = "proof/bench/RESULTS.md")]
    output: PathBuf,
    /// Where the data folders are made: on the disk that a sync has to reach.
    #[arg(long, default_value = "target")]
    storage: PathBuf,
    /// Another build of this program, whose servers are measured in place of its own.
    #[arg(long)]
    program: Option<PathBuf>,
}

/// A part of the measurement, and a section of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Tokens,
    Get,
    Refusals,
    SetUp,
    Echo,
    FanOut,
    Idle,
    Cold,
    Growth,
    Npm,
}

pub(crate) async fn run(options: &Options) -> Result<()> {
    let issuer = LocalIssuer::builder()
        .audience(AUDIENCE)
        .token_lifetime(Duration::from_secs(24 * 60 * 60))
        .start()
        .await?;
    let contenders = Contenders {
        token: issuer.token().scope("openid profile rooms").sign(),
        issuer,
        program: match &options.program {
            Some(program) => program.clone(),
            None => std::env::current_exe()?,
        },
        storage: options.storage.clone(),
        interop: options.interop.clone(),
    };
    let pace = Pace::new(options.quick);
    let mut sections = Vec::new();
    let end = Instant::now() + LIMIT;
    for part in Part::value_variants() {
        if !options.only.is_empty() && !options.only.contains(part) {
            continue;
        }
        let section = timeout_at(end, part.measure(&contenders, pace)).await;
        let section = section.map_err(|_| format!("{part:?} had not ended after {LIMIT:?}"))?;
        let section = section.map_err(|error| format!("{part:?}: {error}"))?;
        println!("{section}");
        sections.push(section);
    }
    if options.quick || !options.only.is_empty() {
        return Ok(());
    }
    let text = report::render(&machine::description().await?, pace, &sections);
    Ok(fs::write(&options.output, text)?)
}

impl Part {
    async fn measure(self, contenders: &Contenders, pace: Pace) -> Result<Section> {
        match self {
            Self::Tokens => tokens::measure(contenders, pace).await,
            Self::Get => get::measure(contenders, pace).await,
            Self::Refusals => refusals::measure(contenders, pace).await,
            Self::SetUp => set_up::measure(contenders, pace).await,
            Self::Echo => echo::measure(contenders, pace).await,
            Self::FanOut => fan_out::measure(contenders, pace).await,
            Self::Idle => idle::measure(contenders, pace).await,
            Self::Cold => cold::measure(contenders, pace).await,
            Self::Growth => growth::measure(contenders, pace).await,
            Self::Npm => npm::measure(contenders, pace).await,
        }
    }
}

/// How long everything may take. On two cores it needs two thirds of this time.
const LIMIT: Duration = Duration::from_secs(15 * 60);
/// The audience that the servers are told to accept.
const AUDIENCE: &str = "https://rooms.example";
