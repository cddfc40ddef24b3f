//! Loads for servers of rooms, and what they cost the server: CPU time per operation,
//! operations per second, memory per connection.
//!
//! `bench load` puts one load on a running server, whatever it is made of. `bench
//! native` compares the native host with the simplest program that does the same, and
//! `bench workers` compares two workers on the same workerd binary. Linux only: the
//! figures of the server process are read from `/proc`.

mod client;
mod load;
mod machine;
mod measurement;
mod native;
mod serve;
mod usage;
mod workers;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

/// That of the programs of `examples/`, so that what is measured is what is served.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Loads for servers of rooms.
#[derive(Parser)]
enum Command {
    /// Puts one load on a running server and prints what it cost.
    Load(load::Options),
    /// Measures rooms on the native host, and writes the tables.
    Native(native::Options),
    /// Runs a server that is measured, until it is killed.
    #[command(subcommand)]
    Serve(serve::Server),
    /// Compares a Rust worker with the npm package, and writes the table.
    Workers(workers::Options),
}

/// Why a measurement could not be finished.
type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Load(options) => load::run(&options).await,
        Command::Native(options) => native::run(&options).await,
        Command::Serve(server) => serve::run(server).await,
        Command::Workers(options) => workers::run(&options).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
