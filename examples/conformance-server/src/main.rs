//! The conformance suite's parties on the native host.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use agents_oauth2_jwt_bearer::BearerAuthBuilder;
use clap::Parser;
use partyserver_native::{Parties, stop_signal};
use tokio::net::TcpListener;

/// The fixed parties that the conformance suite runs against.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// The data folder; it is made where its parent exists.
    #[arg(long)]
    data: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("conformance-server: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let variable = |name: &str| std::env::var(name).ok();
    let parties = conformance_server::parties(Parties::new(), variable, BearerAuthBuilder::build)?;
    let parties = parties.data(&arguments.data);
    let listener = TcpListener::bind(arguments.listen)
        .await
        .map_err(|error| format!("can't listen on {}: {error}", arguments.listen))?;
    let address = listener.local_addr()?;
    let service = parties.build()?;
    let stop = stop_signal();
    println!("listening on http://{address}");
    service.serve_on(listener, stop).await;
    Ok(())
}
