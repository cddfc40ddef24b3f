//! What the layer and the extractor log of a refusal, and what they never log.

#![cfg(feature = "axum")]

mod support;

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use oauth2_jwt_bearer::BearerAuth;
use oauth2_jwt_bearer::axum::Authenticated;
use serde::Deserialize;
use serde_json::json;
use support::World;
use tower::ServiceExt;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// What was logged since the last call.
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut self.0.lock().unwrap())).unwrap()
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

#[derive(Deserialize)]
struct Member {
    #[expect(dead_code, reason = "nobody gets that far")]
    team: u32,
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_logged_by_its_code_and_never_by_token_or_claims() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let world = World::new(&[("a", 1)]);
    let app = Router::new()
        .route("/", get(async |_: Authenticated<Member>| ()))
        .route_layer(BearerAuth::new(world.verifier()));
    let ask = async |uri: &str, authorization: &str| {
        let request = Request::get(uri).header("authorization", authorization);
        let request = request.body(Body::empty()).unwrap();
        app.clone()
            .oneshot(request)
            .await
            .unwrap()
            .status()
            .as_u16()
    };

    let forged = world.token("a", 2);
    let misfit = world.token_with(Some("a"), 1, json!({"team": "s3cret team"}));
    for (token, code) in [(&forged, "code=\"signature\""), (&misfit, "code=\"claim\"")] {
        let secret = token.expose();
        for (uri, authorization) in [
            ("/", format!("Bearer {secret}")),
            (&*format!("/?access_token={secret}"), "Basic Zm9v".into()),
        ] {
            assert_eq!(ask(uri, &authorization).await, 401);
            let text = log.take();
            let refused = text.lines().filter(|line| line.contains("refused"));
            assert_eq!(
                refused.filter(|line| line.contains(code)).count(),
                1,
                "{text}"
            );
            assert!(secret.split('.').all(|part| !text.contains(part)), "{text}");
            assert!(!text.contains("s3cret") && !text.contains("Zm9v"), "{text}");
        }
    }
}
