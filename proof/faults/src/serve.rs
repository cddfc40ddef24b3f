//! The server that the faults happen to.

mod crowd;
mod hooks;
mod vault;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use agents_oauth2_jwt_bearer::{
    AuthOptions, BearerAuth, BearerAuthBuilder, WithAuth, WithOwnership,
};
use partyserver::{Connection, Context, Handshake, Message, PartyOptions, Result, Server};
use partyserver_native::{Limits, Parties, stop_signal};
use tokio::net::TcpListener;

use self::crowd::Crowd;
use self::hooks::Misbehaving;
use self::vault::Vault;

/// How it is served.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The issuer of the tokens.
    #[arg(long)]
    issuer: Option<String>,
    /// The data folder.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Limits of time that a test can wait for.
    #[arg(long)]
    short_limits: bool,
}

pub(crate) async fn run(options: Options) -> ExitCode {
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    match serve(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("faults: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let mut parties = Parties::new()
        .limits(limits(options.short_limits))
        .party("echo", || Echo)
        .party("crowd", Crowd::default)
        .party_with(
            "hooks",
            PartyOptions::new().turn_limit(TURN_LIMIT),
            Misbehaving::default,
        );
    if let Some(issuer) = options.issuer {
        parties = authenticated(parties, auth(issuer).build()?.into());
    }
    if let Some(data) = options.data {
        parties = parties.data(data);
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let service = parties.build()?;
    let stop = stop_signal();
    println!("listening on http://{address}");
    service.serve_on(listener, stop).await;
    Ok(())
}

/// The options of the parties that need authentication.
pub(crate) fn auth(issuer: String) -> BearerAuthBuilder {
    BearerAuth::builder()
        .issuer(issuer)
        .audience("api")
        .leeway(Duration::ZERO)
}

/// `chat`, an echo room, and `private`, rooms with an owner.
pub(crate) fn authenticated(parties: Parties, auth: AuthOptions) -> Parties {
    let private = auth.clone();
    parties
        .party("chat", move || WithAuth::new(Echo, auth.clone()))
        .party("private", move || {
            WithAuth::new(WithOwnership::new(Vault), private.clone())
        })
}

fn limits(short: bool) -> Limits {
    let limits = Limits::new();
    if !short {
        return limits;
    }
    limits
        .head_time(HEAD_TIME)
        .body_time(BODY_TIME)
        .frame_time(FRAME_TIME)
        .ping(Duration::from_millis(500), Duration::from_secs(30))
}

/// Greets, returns each text to its sender, and sends `b:…` to all.
struct Echo;

impl Server for Echo {
    async fn on_connect(&mut self, _: &Context, c: &Connection, _: &Handshake) -> Result<()> {
        c.send("welcome")?;
        Ok(())
    }

    async fn on_message(&mut self, cx: &Context, from: &Connection, m: Message) -> Result<()> {
        if m.as_text()?.starts_with("b:") {
            cx.room().broadcast(m);
        } else {
            from.send(m)?;
        }
        Ok(())
    }
}

/// The turn limit of the rooms that misbehave.
pub(crate) const TURN_LIMIT: Duration = Duration::from_secs(3);
/// The limits of `--short-limits`.
pub(crate) const HEAD_TIME: Duration = Duration::from_secs(2);
pub(crate) const BODY_TIME: Duration = Duration::from_secs(3);
pub(crate) const FRAME_TIME: Duration = Duration::from_secs(2);
