//! `bench workers`: two workers, the same workerd, the same loads, in turns.

mod compare;
mod size;
mod table;
mod workerd;

use std::fs;
use std::path::PathBuf;

use crate::load::Load;
use crate::{Result, machine};

use self::compare::Contender;
use self::size::WasmSize;

/// What to compare, and how long.
///
/// Both configurations have a socket `http`, a writable disk service `storage`, and
/// the bindings `OIDC_ISSUER_URL` and `OIDC_AUDIENCE` from the environment.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The workerd binary that runs both.
    #[arg(long)]
    workerd: PathBuf,
    /// The configuration of the npm package's worker.
    #[arg(long, value_name = "CAPNP")]
    npm: PathBuf,
    /// The configuration of the Rust worker.
    #[arg(long, value_name = "CAPNP")]
    rust: PathBuf,
    /// The party of the npm package's worker.
    #[arg(long, default_value = "secured")]
    npm_party: String,
    /// The party of the Rust worker.
    #[arg(long, default_value = "secured")]
    rust_party: String,
    /// The Rust worker's module, for its size.
    #[arg(long)]
    wasm: Option<PathBuf>,
    /// Measures only these loads, and writes no table.
    #[arg(long, value_name = "LOAD")]
    only: Vec<Load>,
    /// How often each is measured; the table has the medians.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of each load.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Where the storage folders are made. By default in memory: a sync of the disk costs
    /// more than a cold room, and varies more.
    #[arg(long, default_value = "/dev/shm")]
    storage: PathBuf,
    /// Where the table is written.
    #[arg(long, default_value = "proof/bench/WORKERS.md")]
    output: PathBuf,
}

pub(crate) async fn run(options: &Options) -> Result<()> {
    let contenders = [
        Contender::new("npm", &options.npm, &options.npm_party),
        Contender::new("Rust", &options.rust, &options.rust_party),
    ];
    let wasm = match &options.wasm {
        Some(path) => Some(WasmSize::of(path).await?),
        None => None,
    };
    let outcomes = compare::run(options, &contenders).await?;
    let conditions = table::Conditions {
        machine: machine::description().await?,
        workerd: workerd::version(&options.workerd).await?,
        rounds: options.rounds,
        seconds: options.seconds,
    };
    let text = table::render(&conditions, &outcomes, wasm.as_ref());
    print!("\n{text}");
    if !options.only.is_empty() {
        return Ok(());
    }
    Ok(fs::write(&options.output, text)?)
}
