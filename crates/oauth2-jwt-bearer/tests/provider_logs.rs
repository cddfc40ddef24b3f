//! What the log says when a provider has problems, and what it never says.

#![cfg(feature = "verifier")]

mod support;

use std::io::Write;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use support::{Answer, Document, World, seconds};
use tokio::time::sleep;
use tracing_subscriber::fmt::MakeWriter;

/// Everything that is logged on this thread from now on.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn begin() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(log.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_logged_once_per_back_off_step_however_many_ask() {
    let (log, _guard) = Log::begin();
    let world = World::new(&[("a", 1)]);
    let other = r#"{"issuer": "https://other.example", "jwks_uri": "https://id.example/keys"}"#;
    world.answer(Document::OpenId, Answer::Body(other.into()));
    let verifier = world.verifier();
    // Attempts at 0, 0.5, 1.5 and 3.5 s.
    for _ in 0..80 {
        let _ = verifier.verify(&world.token("a", 1)).await;
        sleep(seconds(0.05)).await;
    }
    let text = log.text();
    let lines = text.lines().filter(|line| line.contains("WARN"));
    assert_eq!(lines.count(), 4, "{text}");
    assert!(text.contains("https://other.example"), "{text}");
    assert!(
        text.contains("set the issuer to exactly that value"),
        "{text}"
    );

    world.answer(Document::OpenId, Answer::Right);
    sleep(seconds(5.0)).await;
    verifier.verify(&world.token("a", 1)).await.unwrap();
    assert!(log.text().contains("is back"));
}

#[tokio::test(start_paused = true)]
async fn no_part_of_a_token_or_a_key_is_logged_or_shown() {
    let (log, _guard) = Log::begin();
    let world = World::new(&[("a", 1)]);
    let verifier = world.ready_verifier().await;
    let secret = serde_json::json!({"sub": "a-secret-subject"});
    let mut shown = format!("{verifier:?} {:?}", world.ports());
    let mut tokens = Vec::new();
    for (key, seed) in [("a", 1), ("a", 9), ("a-secret-key-id", 2)] {
        let token = world.token_with(Some(key), seed, secret.clone());
        shown += &match verifier.verify(&token).await {
            Ok(verified) => format!("{verified:?}"),
            Err(error) => format!("{error:?} {error}"),
        };
        tokens.push(token);
    }
    let _ = verifier.user_info(&tokens[0], "somebody").await;
    world.answer_all(&Answer::Down);
    sleep(seconds(700.0)).await;
    shown += &log.text();
    assert!(shown.contains("no connection"), "the log was not captured");
    assert!(!shown.contains("a-secret"), "{shown}");
    for token in &tokens {
        for part in token.expose().split('.') {
            assert!(!shown.contains(part), "{shown}");
        }
    }
    for seed in [1_u8, 9, 2] {
        assert!(
            !shown.contains(&URL_SAFE_NO_PAD.encode([seed; 32])),
            "{shown}"
        );
    }
}
