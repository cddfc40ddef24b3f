//! What is logged of admissions and refusals: who and why, escaped and cut,
//! and never a token.

use std::io;
use std::sync::{Arc, Mutex};

use agents_oauth2_jwt_bearer::{AuthHooks, AuthOptions, WithAuth};
use local_issuer::LocalIssuer;
use partyserver::testing::TestRoom;
use partyserver::{Handshake, Server};
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

struct Quiet;
impl Server for Quiet {}
impl AuthHooks for Quiet {}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
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

#[tokio::test]
async fn admissions_and_refusals_are_logged_without_tokens() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let issuer = LocalIssuer::builder().start().await.unwrap();
    let options = AuthOptions::builder()
        .issuer(issuer.url())
        .audience("api")
        .build()
        .unwrap();
    let evil_room = "a\nforged line\u{1b}[0m".to_owned() + &"x".repeat(500);
    let mut room = TestRoom::new("chat", &evil_room, move || {
        WithAuth::new(Quiet, options.clone())
    });
    let open = |token: &str| {
        let request = http::Request::get("http://test/?_pk=socket-1");
        let authorization = format!("Bearer {token}");
        request
            .header("authorization", authorization)
            .body(())
            .unwrap() as Handshake
    };
    let act = json!({"sub": "assistant\nforged"});
    let token = issuer.token().subject("alice").claim("act", act).sign();
    room.connect_with(open(&token)).await.unwrap();
    let lines = log.take();
    let line = lines
        .lines()
        .find(|line| line.contains("auth: connected"))
        .expect("an admission");
    for part in [
        "party=\"chat\"",
        "connection=\"socket-1\"",
        "sub=\"alice\"",
        "assistant",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(
        !lines.lines().any(|line| line.starts_with("forged")),
        "{lines}"
    );
    assert!(!lines.contains('\u{1b}') && !lines.contains(&"x".repeat(200)));
    assert!(!lines.contains(&token));

    for (token, code) in [
        (issuer.token().audience("other").sign(), "code=\"audience\""),
        (issuer.token().typ("logout+jwt").sign(), "code=\"type\""),
        (
            String::from("s3cret-that-is-no-token"),
            "code=\"malformed\"",
        ),
    ] {
        room.connect_with(open(&token)).await.unwrap();
        let lines = log.take();
        let line = lines
            .lines()
            .find(|line| line.contains("auth: refused"))
            .expect("a refusal");
        assert!(line.contains(code), "{line}");
        assert!(!lines.contains(&token), "the token is logged");
    }
}
