//! Chat rooms on one machine.
//!
//! Without configuration it starts its own issuer, so that you can try it out. With
//! `OIDC_ISSUER_URL` and `OIDC_AUDIENCE` it uses yours.

use std::io::IsTerminal;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use agents_oauth2_jwt_bearer::{AuthOptions, BearerAuth};
use clap::Parser;
use local_issuer::LocalIssuer;
use mimalloc::MiMalloc;
use partyserver_native::{AllowedHosts, Parties, stop_signal};
use private_chat::Page;
use tokio::net::TcpListener;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Fit for a server: a request costs a twentieth fewer instructions than with glibc's
/// allocator, and an idle connection a tenth less memory (`proof/bench/NOTES.md`).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Shared and private chat rooms behind OAuth 2.0 access tokens.
///
/// OIDC_ISSUER_URL and OIDC_AUDIENCE name your issuer and API; without both a
/// local issuer with demo users is started. OIDC_CLIENT_ID is the public client
/// that the page signs in with, OIDC_SCOPE what it asks for, and OIDC_ORIGINS where
/// the issuer's endpoints are beside its own origin.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen.
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:8787")]
    listen: String,
    /// The data folder; it is made where its parent exists.
    #[arg(long, env = "DATA", default_value = "data")]
    data: PathBuf,
    /// The host names that are answered, without ports. Default: those of loopback when
    /// listening there, else any.
    #[arg(long, env = "HOSTS", value_delimiter = ',', value_name = "NAMES")]
    hosts: Vec<String>,
    /// The addresses of proxies whose word on a request's client, scheme and host is
    /// believed.
    #[arg(
        long,
        env = "TRUSTED_PROXIES",
        value_delimiter = ',',
        value_name = "ADDRESSES"
    )]
    trusted_proxies: Vec<IpAddr>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    tracing_subscriber::registry()
        .with(lines.with_filter(logged()))
        .init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("private-chat: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(mut arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let variable = |name: &str| std::env::var(name).ok();
    let listener = TcpListener::bind(&arguments.listen)
        .await
        .map_err(|error| format!("can't listen on {}: {error}", arguments.listen))?;
    let address = listener.local_addr()?;

    let issuer = local_issuer(address.port()).await?;
    let options: AuthOptions = match &issuer {
        Some(issuer) => BearerAuth::builder()
            .issuer(issuer.url())
            .audience(LOCAL_AUDIENCE)
            .build()?
            .into(),
        // If only one of the two variables is set, that is an error, and the options
        // name the other.
        None => AuthOptions::from_env()?,
    };
    let page = match &issuer {
        Some(issuer) => Page::new(issuer.url(), LOCAL_AUDIENCE).client_id("private-chat"),
        None => Page::from_variables(variable)?,
    };

    let mut parties = Parties::new()
        .data(&arguments.data)
        .trusted_proxies(arguments.trusted_proxies);
    // An empty variable counts as absent.
    arguments.hosts.retain(|host| !host.is_empty());
    if !arguments.hosts.is_empty() {
        parties = parties.allowed_hosts(AllowedHosts::These(arguments.hosts));
    }
    let service = private_chat::parties(parties, options, page).build()?;
    let stop = stop_signal();
    println!("private-chat is at http://{address}/");
    match &issuer {
        Some(issuer) => println!("local issuer: {} (demo users, no passwords)", issuer.url()),
        None => println!(
            "issuer: {}",
            variable("OIDC_ISSUER_URL").unwrap_or_default()
        ),
    }
    service.serve_on(listener, stop).await;
    Ok(())
}

/// What is logged: `RUST_LOG` gives targets and their levels. Without it, everything
/// from INFO on.
fn logged() -> Targets {
    let wanted = std::env::var("RUST_LOG").ok();
    let wanted = wanted.filter(|wanted| !wanted.is_empty());
    let targets = wanted.and_then(|wanted| wanted.parse().ok());
    targets.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO))
}

/// A local issuer, unless one is configured. It uses the next port if that is free, so
/// that users stay signed in after a restart.
async fn local_issuer(port: u16) -> std::io::Result<Option<LocalIssuer>> {
    let builder = LocalIssuer::builder().audience(LOCAL_AUDIENCE);
    let next = SocketAddr::from((Ipv4Addr::LOCALHOST, port.wrapping_add(1)));
    match builder.clone().bind(next).start_unless_configured().await {
        Ok(issuer) => Ok(issuer),
        Err(_) => builder.start_unless_configured().await,
    }
}

const LOCAL_AUDIENCE: &str = "private-chat";
