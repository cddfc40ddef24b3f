//! `cargo xtask bench`: what rooms cost on the native host, beside what else there is.

use std::process::{Command, ExitCode};

use crate::process;
use crate::workspace::Workspace;
use crate::{Result, setup};

/// What to measure, and how long.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Measures one part alone, such as `get` or `echo`, and prints its table in place
    /// of writing `bench/RESULTS.md`.
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
    match setup::node() {
        Ok(()) => setup::npm_packages(workspace)?,
        Err(reason) => println!("nothing of npm is measured: {reason}"),
    }
    process::run(&mut workspace.cargo(&["build", "--locked", "--release", "--package", "bench"]))?;
    let mut bench = Command::new(workspace.target.join("release/bench"));
    bench
        .arg("native")
        .current_dir(&workspace.root)
        .arg("--storage")
        .arg(&workspace.target);
    for name in &options.only {
        bench.args(["--only", name]);
    }
    if options.quick {
        bench.arg("--quick");
    }
    process::run(&mut bench)?;
    Ok(ExitCode::SUCCESS)
}
