//! The commands of this repository: `cargo xtask test`, `lint`, `bench`, `fuzz` and others.
//!
//! Each command sets up what it needs, shows the output of the tools that it runs, and
//! ends with one line of totals. The exit code is 0 only if everything passed.

mod autobahn;
mod bench;
mod fuzz;
mod lint;
mod process;
mod setup;
mod test;
mod workers;
mod workspace;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;

use crate::workspace::Workspace;

/// Test, lint and set-up commands of this repository.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Command {
    /// Runs every test: unit, integration, documentation, conformance, npm clients.
    Test(test::Options),
    /// Checks format, lints, documentation, dependencies, layering and packages.
    Lint(lint::Options),
    /// Measures rooms on the native host, and writes `proof/bench/RESULTS.md`; `workers`
    /// measures those on Workers.
    Bench(bench::Options),
    /// Runs the fuzz targets, by a nightly toolchain.
    Fuzz(fuzz::Options),
    /// Installs what the others need. Outside the checkout that is the toolchain's
    /// wasm32 target and, for root on Debian, Chromium and slowhttptest.
    Setup,
    /// Runs Autobahn's WebSocket cases against a server.
    Autobahn(autobahn::Options),
    /// Builds the Workers of the examples and runs them on workerd.
    #[command(subcommand)]
    Workers(workers::Command),
}

/// The error of a command that failed before there was anything to count.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let command = Command::parse();
    let done = Workspace::find().and_then(|workspace| match command {
        Command::Test(options) => test::run(&workspace, &options),
        Command::Lint(options) => lint::run(&workspace, &options),
        Command::Fuzz(options) => fuzz::run_targets(&workspace, &options),
        Command::Autobahn(options) => autobahn::run(&workspace, &options),
        Command::Workers(command) => workers::run(&workspace, &command),
        Command::Bench(options) => bench::run(&workspace, &options),
        Command::Setup => setup::all(&workspace).map(|()| ExitCode::SUCCESS),
    });
    done.unwrap_or_else(|error| {
        eprintln!("xtask: {error}");
        ExitCode::FAILURE
    })
}
