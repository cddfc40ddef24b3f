//! Faults around a server of verified rooms, one file for each, with what must hold
//! then. In every fault the server goes on serving others, nothing that was
//! acknowledged is lost, and nobody who is refused sees a byte of a room.
//!
//! The server is this program again, in a process of its own, so that it can be killed,
//! starved and measured. Linux only: its usage is read from `/proc`.

mod client;
mod fault;
mod process;
mod serve;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::Parser;
use futures_util::FutureExt;

use crate::fault::{Done, Fault};

/// Runs the faults, one after the other.
#[derive(Parser)]
struct Arguments {
    /// Runs only the faults whose name contains this.
    #[arg(long, default_value = "")]
    filter: String,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// The server that the faults happen to.
    Serve(serve::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Command::Serve(options)) = arguments.command {
        return serve::run(options).await;
    }
    client::allow_many_sockets();
    silence_panics();
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for fault in fault::all() {
        if !fault.name.contains(&arguments.filter) {
            continue;
        }
        let began = Instant::now();
        let outcome = run(&fault).await;
        let seconds = began.elapsed().as_secs_f64();
        let (mark, count, text) = match outcome {
            Ok(Done::Holds(measured)) => ("ok  ", &mut passed, measured),
            Ok(Done::NotHere(reason)) => ("skip", &mut skipped, reason),
            Err(problem) => ("FAIL", &mut failed, problem),
        };
        *count += 1;
        println!("{mark} {} ({seconds:.1} s): {text}", fault.name);
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed == 0 && passed > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What a fault has shown, or why it has not.
async fn run(fault: &Fault) -> Result<Done, String> {
    let body = AssertUnwindSafe((fault.run)()).catch_unwind();
    match tokio::time::timeout(LIMIT, body).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(panic)) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            let place = LAST_PANIC.lock().map(|place| place.clone());
            Err(format!(
                "{} {}",
                text.unwrap_or_default(),
                place.unwrap_or_default()
            ))
        }
        Err(_) => Err(format!("no end within {LIMIT:?}")),
    }
}

/// Where the last panic was.
static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

fn silence_panics() {
    std::panic::set_hook(Box::new(|panic| {
        if let (Some(place), Ok(mut last)) = (panic.location(), LAST_PANIC.lock()) {
            *last = format!("({}:{})", place.file(), place.line());
        }
    }));
}

/// The time limit of one fault.
const LIMIT: Duration = Duration::from_secs(120);
