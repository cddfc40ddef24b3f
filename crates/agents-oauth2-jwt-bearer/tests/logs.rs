//! The log of admissions, refusals and connections that are sent away. It says who and
//! why, escaped and cut, and never a token.

mod support;

use std::io;
use std::sync::{Arc, Mutex};

use std::time::Duration;

use agents_oauth2_jwt_bearer::{
    AuthContext, AuthOptions, BearerAuth, Claim, Overwrite, RoomOwnership, WithAuth, WithOwnership,
};
use local_issuer::LocalIssuer;
use partyserver::testing::TestRoom;
use partyserver::*;
use partyserver_native::Parties;
use serde_json::json as value;
use support::TestServer;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

/// Refuses a caller whose path is `/refused`.
struct Quiet;
impl Server for Quiet {
    async fn on_authenticated_connect(&mut self, _: &Context, h: &Handshake) -> Result<Admission> {
        if h.uri().path() == "/refused" {
            let answer = answer::text(http::StatusCode::FORBIDDEN, "no");
            return Ok(Admission::Refuse(Refusal::http(answer)));
        }
        Ok(Admission::Admit)
    }
}

/// Says who has come. Gives the room to bob at any request.
struct Talking;
impl Server for Talking {
    async fn on_connect(&mut self, cx: &Context, c: &Connection, _: &Handshake) -> Result<()> {
        c.send(cx.claims()?.subject())?;
        Ok(())
    }
    async fn on_request(&mut self, cx: &Context, _: Request) -> Result<Response> {
        cx.room().set_owner("bob", Overwrite::Yes).await?;
        Ok(Response::default())
    }
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Keeps what this thread logs until the guard is dropped.
    fn begin() -> (Self, DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(log.clone())
            .with_ansi(false)
            .with_max_level(tracing::Level::TRACE)
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// The line with this message that was logged since the last call. It must have
    /// level info and contain these parts.
    fn line(&self, message: &str, parts: &[&str]) -> String {
        let lines = self.take();
        let message = format!("agents_oauth2_jwt_bearer::log: {message}");
        let line = lines.lines().find(|line| line.contains(&message));
        let line = line.unwrap_or_else(|| panic!("{message} in {lines}"));
        for part in parts.iter().chain([&" INFO "]) {
            assert!(line.contains(part), "{part}: {line}");
        }
        line.to_owned()
    }

    /// What was logged since the last call.
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut self.0.lock().unwrap())).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Log {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

async fn issuer() -> (LocalIssuer, AuthOptions) {
    let issuer = LocalIssuer::builder().start().await.unwrap();
    let options = BearerAuth::builder().issuer(issuer.url()).audience("api");
    let options = AuthOptions::new(options.leeway(Duration::ZERO).build().unwrap());
    (issuer, options)
}

fn handshake(path: &str, token: &str) -> Handshake {
    http::Request::get(format!("http://test{path}?_pk=socket-1"))
        .header("authorization", format!("Bearer {token}"))
        .body(())
        .unwrap()
}

/// Alice's token, used by an assistant.
fn assisted(issuer: &LocalIssuer) -> local_issuer::TokenBuilder {
    issuer.token().claim("act", value!({"sub": "assistant"}))
}

const ALICE: [&str; 3] = ["party=\"chat\"", "sub=\"alice\"", "act=\"assistant\""];

#[tokio::test]
async fn admissions_and_refusals_are_logged_without_tokens() {
    let (log, _guard) = Log::begin();
    let (issuer, options) = issuer().await;
    let evil_room = "a\nforged line\u{1b}[0m".to_owned() + &"x".repeat(500);
    let mut room = TestRoom::new("chat", &evil_room, move || {
        WithAuth::new(Quiet, options.clone())
    });
    let act = value!({"sub": "assistant\nforged"});
    let token = issuer.token().claim("act", act).sign();
    room.connect_with(handshake("/", &token)).await.unwrap();
    let lines = log.take();
    assert!(
        !lines.lines().any(|line| line.starts_with("forged")),
        "{lines}"
    );
    assert!(!lines.contains('\u{1b}') && !lines.contains(&"x".repeat(200)));
    assert!(!lines.contains(&token));

    let token = assisted(&issuer).sign();
    room.connect_with(handshake("/", &token)).await.unwrap();
    let line = log.line("connected", &ALICE);
    assert!(line.contains("connection=\"socket-1\""), "{line}");

    for (token, code) in [
        (issuer.token().audience("other").sign(), "code=\"audience\""),
        (issuer.token().typ("logout+jwt").sign(), "code=\"type\""),
        (
            String::from("s3cret-that-is-no-token"),
            "code=\"malformed\"",
        ),
    ] {
        room.connect_with(handshake("/", &token)).await.unwrap();
        let line = log.line("refused", &[code]);
        assert!(!line.contains(&token), "the token is logged");
    }
}

#[tokio::test]
async fn a_refusal_of_someone_known_says_who() {
    let (log, _guard) = Log::begin();
    let (issuer, options) = issuer().await;
    let scoped = BearerAuth::builder().issuer(issuer.url()).audience("api");
    let scoped = scoped.build().unwrap().required_scopes(["admin"]);
    let scoped = AuthOptions::new(scoped);
    let mut admins = TestRoom::new("chat", "a", move || WithAuth::new(Quiet, scoped.clone()));
    let mut room = TestRoom::new("chat", "a", move || {
        WithAuth::new(WithOwnership::new(Quiet), options.clone())
    });
    let token = assisted(&issuer).sign();
    let request = || handshake("/", &token).map(|()| Body::empty());
    let expect = |code: &str| {
        let code = format!("code=\"{code}\"");
        let parts: Vec<_> = ALICE.iter().copied().chain([&*code]).collect();
        log.line("refused", &parts);
    };
    admins.connect_with(handshake("/", &token)).await.unwrap();
    expect("insufficient_scope");
    admins.request(request()).await.unwrap();
    expect("insufficient_scope");
    // Nobody owns the room.
    room.connect_with(handshake("/", &token)).await.unwrap();
    expect("not_owner");
    room.request(request()).await.unwrap();
    expect("not_owner");
    room.connect_with(handshake("/refused", &token))
        .await
        .unwrap();
    expect("hook");
    // The gate uses the system's clock. By the room's clock, the token has expired.
    let century = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    room.advance(century).await.unwrap();
    room.connect_with(handshake("/", &token)).await.unwrap();
    expect("expired");
    room.request(request()).await.unwrap();
    expect("expired");
}

#[tokio::test]
async fn who_is_sent_away_is_logged() {
    let (log, _guard) = Log::begin();
    let server = TestServer::start(|options| {
        Parties::new().party("chat", move || {
            let owned = WithOwnership::new(Talking).claim(Claim::FirstUser);
            WithAuth::new(owned, options.clone())
        })
    })
    .await;
    let away = |code: &str| {
        let code = format!("code=\"{code}\"");
        let mut parts = vec!["connection=\"socket-1\"", &*code];
        parts.extend(ALICE);
        log.line("sent away", &parts);
    };
    let open = async |path: &str, token: &str| {
        let path = format!("{path}?_pk=socket-1&access_token={token}");
        let mut socket = server.open(&path, None).await;
        assert_eq!(support::text(&mut socket).await, "alice");
        socket
    };

    let short = assisted(&server.issuer).expires_in(Duration::from_secs(2));
    let mut socket = open("/parties/chat/a", &short.sign()).await;
    assert_eq!(support::closed(&mut socket).await.0, 3000);
    drop(socket);
    let is_over = || server.service.sockets() == 0;
    support::until("the room is told of the end", is_over).await;
    away("expired");

    let token = assisted(&server.issuer).sign();
    let mut socket = open("/parties/chat/b", &token).await;
    server.get("/parties/chat/b/give-away", Some(&token)).await;
    assert_eq!(support::closed(&mut socket).await.0, 1008);
    away("not_owner");
}
