//! One black-box suite over HTTP and WebSocket, for every host.
//!
//! It starts its own issuer and the server under test, which serves the fixed parties
//! of `examples/conformance-server`. It runs one case per rule.
//!
//! Some things can't be seen from outside and are tested elsewhere: how many rooms were
//! started (tests of the host), logs (tests of the mixins), and what is written to
//! storage (tests of the store).

mod cases;
mod client;
mod host;
mod server;
mod world;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::Parser;
use futures_util::{FutureExt, StreamExt, stream};

use crate::cases::Case;
use crate::host::Host;
use crate::server::Served;
use crate::world::World;

/// Runs the conformance suite against a server command.
#[derive(Parser)]
struct Arguments {
    /// The server's command; `--listen` and `--data` are added to it.
    #[arg(long, default_value = "target/release/conformance-server")]
    server: String,
    /// What serves: cases that can't hold there are left out, each with its reason.
    #[arg(long, default_value = "native")]
    host: Host,
    /// Runs only the cases whose name or rule contains this.
    #[arg(long, default_value = "")]
    filter: String,
    /// Names the cases and runs none.
    #[arg(long)]
    list: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut cases = cases::all();
    cases.retain(|case| {
        case.name.contains(&arguments.filter) || case.rule.contains(&arguments.filter)
    });
    if arguments.list {
        for case in &cases {
            println!("{}: {}", case.rule, case.name);
        }
        return ExitCode::SUCCESS;
    }
    let command: Vec<String> = arguments
        .server
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let left_out = leave_out(&mut cases, arguments.host);
    let world = Arc::new(World::new(&Served::new(command, arguments.host)).await);
    silence_panics();
    let results: Vec<bool> = stream::iter(cases)
        .map(|case| run(case, Arc::clone(&world)))
        .buffer_unordered(CONCURRENT)
        .collect()
        .await;
    let passed = results.iter().filter(|passed| **passed).count();
    let failed = results.len() - passed;
    println!("{passed} passed, {failed} failed, {left_out} skipped");
    if failed == 0 && passed > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Leaves out the cases that can't hold on a host, prints the reasons, and counts the
/// cases.
fn leave_out(cases: &mut Vec<Case>, host: Host) -> usize {
    let before = cases.len();
    cases.retain(|case| {
        let reason = host.exception(case.name);
        if let Some(reason) = reason {
            println!("skip {}: {}: {reason}", case.rule, case.name);
        }
        reason.is_none()
    });
    before - cases.len()
}

async fn run(case: Case, world: Arc<World>) -> bool {
    let began = Instant::now();
    let body = AssertUnwindSafe((case.run)(world)).catch_unwind();
    let outcome = tokio::time::timeout(CASE_LIMIT, body).await;
    let problem = match outcome {
        Ok(Ok(())) => None,
        Ok(Err(panic)) => Some(
            panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                .unwrap_or_default(),
        ),
        Err(_) => Some(format!("no end within {CASE_LIMIT:?}")),
    };
    let mark = if problem.is_none() { "ok  " } else { "FAIL" };
    println!(
        "{mark} {}: {} ({:.1} s)",
        case.rule,
        case.name,
        began.elapsed().as_secs_f64()
    );
    if let Some(problem) = &problem {
        let place = LAST_PANIC
            .lock()
            .map(|place| place.clone())
            .unwrap_or_default();
        println!("     {} {place}", problem.replace('\n', "\n     "));
    }
    problem.is_none()
}

/// Where the last panic was. Cases run at the same time, so it is only a hint.
static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

fn silence_panics() {
    std::panic::set_hook(Box::new(|panic| {
        if let (Some(place), Ok(mut last)) = (panic.location(), LAST_PANIC.lock()) {
            *last = format!("({}:{})", place.file(), place.line());
        }
    }));
}

const CONCURRENT: usize = 8;
const CASE_LIMIT: Duration = Duration::from_secs(60);
