//! `cargo xtask bench`: what rooms cost, beside what else there is.

use std::process::{Command, ExitCode};

use crate::workspace::Workspace;
use crate::{Result, process, setup, workers};

/// What to measure, and how long.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    host: Option<Host>,
    #[command(flatten)]
    native: Native,
}

/// The other host.
#[derive(clap::Subcommand)]
enum Host {
    /// Measures the Rust worker beside the npm package on the same workerd, and writes
    /// `proof/bench/WORKERS.md`.
    Workers {
        /// Measures one load alone, such as `get` or `echo`, and writes no file.
        #[arg(long, value_name = "LOAD")]
        only: Vec<String>,
        /// How often each is measured; the table has the medians.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
}

/// Of the native host.
#[derive(clap::Args)]
struct Native {
    /// Measures one part alone, such as `get` or `echo`, and prints its table in place
    /// of writing `proof/bench/RESULTS.md`.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Short and small: to see that everything runs.
    #[arg(long)]
    quick: bool,
}

/// Builds the loads and the servers, then measures.
///
/// # Errors
/// When a build fails or a server can't be measured.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    match &options.host {
        None => native(workspace, &options.native)?,
        Some(Host::Workers { only, rounds }) => workers(workspace, only, *rounds)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn native(workspace: &Workspace, options: &Native) -> Result<()> {
    match setup::node() {
        Ok(()) => setup::npm_packages(workspace)?,
        Err(reason) => println!("nothing of npm is measured: {reason}"),
    }
    let mut bench = bench(workspace, "native")?;
    bench.arg("--storage").arg(&workspace.target);
    for name in &options.only {
        bench.args(["--only", name]);
    }
    if options.quick {
        bench.arg("--quick");
    }
    process::run(&mut bench)
}

fn workers(workspace: &Workspace, only: &[String], rounds: usize) -> Result<()> {
    setup::node()?;
    setup::npm_packages(workspace)?;
    println!("{}", workers::build(workspace, WORKER)?);
    let rust = workers::folder(workspace, WORKER);
    let npm = workspace.target.join("workers/npm-package");
    process::run(
        Command::new("node")
            .arg("npm-package/build.mjs")
            .arg("--out")
            .arg(&npm)
            .current_dir(workspace.interop()),
    )?;
    let mut bench = bench(workspace, "workers")?;
    bench.arg("--workerd").arg(workers::workerd(workspace)?);
    bench.arg("--npm").arg(npm.join("worker.capnp"));
    bench.arg("--rust").arg(rust.join("config.capnp"));
    bench.arg("--wasm").arg(rust.join("index_bg.wasm"));
    bench.args(["--rounds", &rounds.to_string()]);
    for load in only {
        bench.args(["--only", load]);
    }
    process::run(&mut bench)
}

/// The program of `proof/bench/`, built.
fn bench(workspace: &Workspace, subcommand: &str) -> Result<Command> {
    process::run(&mut workspace.cargo(&[
        "build",
        "--locked",
        "--profile",
        "dist",
        "--package",
        "bench",
    ]))?;
    let mut bench = Command::new(workspace.target.join("dist/bench"));
    bench.arg(subcommand).current_dir(&workspace.root);
    Ok(bench)
}

/// The Worker of `proof/bench/worker`.
const WORKER: &str = "bench";
