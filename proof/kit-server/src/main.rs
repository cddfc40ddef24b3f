//! The conformance suite's parties on the test kit.
//!
//! It shows that the kit decides as real hosts do. It adds two things to the kit: a
//! wire, as thin as possible, and real time. Each event moves the kit's clock to the
//! present, and so does a timer, a hundred times a second. It is not a host for any
//! other use.

mod http;
mod socket;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use agents_oauth2_jwt_bearer::BearerAuthBuilder;
use clap::Parser;
use partyserver::testing::TestParties;
use tokio::net::TcpListener;

/// The parties of the conformance suite on the test kit.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// Accepted as other servers accept it, and not used: the kit is in memory.
    #[arg(long)]
    data: PathBuf,
}

/// One thread, so that the kit is used from only one place.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kit-server: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let variable = |name: &str| std::env::var(name).ok();
    let kit = TestParties::new().time_passes();
    let parties = conformance_server::parties(kit, variable, BearerAuthBuilder::build)?;
    let parties = Arc::new(parties);
    let listener = TcpListener::bind(arguments.listen)
        .await
        .map_err(|error| format!("can't listen on {}: {error}", arguments.listen))?;
    println!("listening on http://{}", listener.local_addr()?);
    tokio::spawn(tick(Arc::clone(&parties)));
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(http::serve(stream, Arc::clone(&parties)));
    }
}

/// Keeps the kit's clock at the present.
async fn tick(parties: Arc<TestParties>) {
    loop {
        catch_up(&parties).await;
        tokio::time::sleep(TICK).await;
    }
}

/// Moves the kit's clock to the present, before the kit gets an event.
async fn catch_up(parties: &TestParties) {
    parties.advance_to(SystemTime::now()).await;
}

const TICK: Duration = Duration::from_millis(10);
