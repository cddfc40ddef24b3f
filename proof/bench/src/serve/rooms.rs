//! Rooms on the native host, with and without identities.

use std::path::PathBuf;
use std::time::Duration;

use agents_oauth2_jwt_bearer::{AuthContext, AuthOptions, Claim, WithAuth, WithOwnership};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, StatusCode};
use http_body_util::Empty;
use oauth2_jwt_bearer::Claims;
use partyserver::{
    Connection, Context, Hibernation, Message, PartyOptions, Request, Response, Server,
};
use partyserver_native::{Limits, Parties, PartyService, stop_signal};
use tokio::net::TcpListener;
use tower_service::Service;

use super::CALLER;
use crate::Result;

/// The rooms. Issuer and audience come from the environment.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The data folder; without one nothing outlives the process.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Rooms of the party `owned` to make before the first request is taken.
    #[arg(long, default_value_t = 0, requires = "token")]
    rooms: u64,
    /// Who owns them.
    #[arg(long, env = "BENCH_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

pub(super) async fn run(
    options: Options,
    listener: TcpListener,
    listening: impl FnOnce(),
) -> Result<()> {
    // The same setup as in the programs of `examples/`. The product logs, so its log is
    // measured too.
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let auth = AuthOptions::from_env()?;
    let with_auth = |room: fn() -> Room| {
        let auth = auth.clone();
        move || WithAuth::new(room(), auth.clone())
    };
    let owned = {
        let auth = auth.clone();
        move || {
            WithAuth::new(
                WithOwnership::new(Room).claim(Claim::FirstUser),
                auth.clone(),
            )
        }
    };
    let sleeping = Hibernation::After(Duration::from_secs(1));
    let mut parties = Parties::new()
        // All loads come from one address.
        .limits(Limits::new().max_sockets(40_000).max_refused(1024, 1024))
        .party("open", || Room)
        .party("secured", with_auth(|| Room))
        .party_with(
            "sleeping",
            PartyOptions::new().hibernation(sleeping),
            with_auth(|| Room),
        )
        // Rooms without connections leave memory at once.
        .party_with(
            "owned",
            PartyOptions::new().idle_time(Duration::ZERO),
            owned,
        );
    if let Some(folder) = options.data {
        parties = parties.data(folder);
    }
    let service = parties.build()?;
    if let Some(token) = options.token {
        fill(&service, options.rooms, &token).await?;
    }
    let stop = stop_signal();
    listening();
    service.serve_on(listener, stop).await;
    Ok(())
}

/// What every party does: a message that begins with `b:` goes to the whole room, any
/// other is echoed.
struct Room;

impl Server for Room {
    async fn on_message(
        &mut self,
        cx: &Context,
        from: &Connection,
        message: Message,
    ) -> partyserver::Result<()> {
        match message.as_text() {
            Ok(text) if text.starts_with("b:") => cx.room().broadcast(&text[2..]),
            _ => from.send(message)?,
        }
        Ok(())
    }

    /// The answer has the same bytes with and without an identity, and is made in the
    /// same way.
    async fn on_request(&mut self, cx: &Context, _: Request) -> partyserver::Result<Response> {
        let claims = cx.claims();
        let subject = claims.as_ref().map_or(CALLER, Claims::subject);
        let mut answer = Response::new(format!(r#"{{"sub":"{subject}"}}"#).into());
        let json = HeaderValue::from_static("application/json");
        answer.headers_mut().insert(CONTENT_TYPE, json);
        Ok(answer)
    }
}

/// Gives this many rooms an owner, through the service, as any request would.
async fn fill(service: &PartyService, rooms: u64, token: &str) -> Result<()> {
    stream::iter(0..rooms)
        .map(|room| {
            let mut service = service.clone();
            async move {
                let request = http::Request::get(format!("/parties/owned/disk-{room}"))
                    .header(HOST, "localhost")
                    .header(AUTHORIZATION, format!("Bearer {token}"))
                    .body(Empty::<Bytes>::new())?;
                let answer = service.call(request).await?;
                match answer.status() {
                    StatusCode::OK => Ok(()),
                    status => Err(format!("a room was not made: {status}").into()),
                }
            }
        })
        .buffer_unordered(FILLING)
        .try_collect()
        .await
}

/// How many rooms are made at once: as many as one transaction of the store takes.
pub(crate) const FILLING: usize = 1024;
