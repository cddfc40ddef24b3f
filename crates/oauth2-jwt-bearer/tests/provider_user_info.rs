//! User info is accepted only if it is about the token's subject.

#![cfg(feature = "verifier")]

mod support;

use oauth2_jwt_bearer::{UserInfo, UserInfoError, Verifier};
use serde_json::json;
use support::{Answer, Document, ISSUER, World, seconds};
use tokio::time::{Instant, sleep};

async fn ask(world: &World, verifier: &Verifier) -> Result<UserInfo, UserInfoError> {
    verifier.user_info(&world.token("a", 1), "alice").await
}

#[tokio::test(start_paused = true)]
async fn every_member_is_kept() {
    let world = World::new(&[("a", 1)]);
    let verifier = world.ready_verifier().await;
    let info = json!({"sub": "alice", "name": "Alice", "favourite": {"colour": ["blue"]}});
    world.user_info(&info);
    let told = ask(&world, &verifier).await.unwrap();
    assert_eq!(serde_json::Value::Object(told), info);
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_somebody_else_is_not_used() {
    let world = World::new(&[("a", 1)]);
    let verifier = world.ready_verifier().await;
    for body in [
        r#"{"sub": "mallory"}"#,
        r#"{"sub": "ALICE"}"#,
        r#"{"sub": ["alice"]}"#,
        r#"{"sub": null}"#,
        r#"{"name": "alice"}"#,
        r#""alice""#,
        "eyJhbGciOiJub25lIn0.e30.",
        "",
    ] {
        world.answer(Document::UserInfo, Answer::Body(body.into()));
        let outcome = ask(&world, &verifier).await;
        assert_eq!(outcome, Err(UserInfoError::Unusable), "{body}");
    }
    // An empty subject matches nothing.
    world.user_info(&json!({"sub": ""}));
    let nobody = verifier.user_info(&world.token("a", 1), "").await;
    assert_eq!(nobody, Err(UserInfoError::Unusable));
}

#[tokio::test(start_paused = true)]
async fn refusals_and_outages_are_told_apart() {
    let world = World::new(&[("a", 1)]);
    let verifier = world.ready_verifier().await;
    for (answer, code) in [
        (Answer::Status(401), "userinfo_refused"),
        (Answer::Status(403), "userinfo_refused"),
        (Answer::Status(302), "userinfo_unavailable"),
        (Answer::Status(429), "userinfo_unavailable"),
        (Answer::Status(500), "userinfo_unavailable"),
        (Answer::Down, "userinfo_unavailable"),
    ] {
        world.answer(Document::UserInfo, answer.clone());
        let error = ask(&world, &verifier).await.unwrap_err();
        assert_eq!(error.code(), code, "{answer:?}");
    }
    assert_eq!(world.requests(Document::UserInfo), 6);
}

#[tokio::test(start_paused = true)]
async fn more_than_64_kib_are_not_read() {
    let world = World::new(&[("a", 1)]);
    let verifier = world.ready_verifier().await;
    let info = r#"{"sub": "alice"}"#;
    let body = |length: usize| Answer::Body(info.to_owned() + &" ".repeat(length - info.len()));
    world.answer(Document::UserInfo, body(64 * 1024));
    ask(&world, &verifier).await.unwrap();
    world.answer(Document::UserInfo, body(64 * 1024 + 1));
    let too_large = ask(&world, &verifier).await;
    assert_eq!(too_large, Err(UserInfoError::Unusable));
}

#[tokio::test(start_paused = true)]
async fn it_is_waited_for_three_seconds() {
    let world = World::new(&[("a", 1)]);
    let verifier = world.ready_verifier().await;
    for answer in [Answer::Slow(seconds(9.0)), Answer::Hang] {
        world.answer(Document::UserInfo, answer);
        let began = Instant::now();
        let error = ask(&world, &verifier).await.unwrap_err();
        assert_eq!(error.code(), "userinfo_unavailable");
        assert_eq!(began.elapsed().as_secs(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_sent_over_https_or_to_loopback_alone() {
    for endpoint in [json!(null), json!("http://id.example/userinfo"), json!(7)] {
        let world = World::new(&[("a", 1)]);
        let metadata = json!({
            "issuer": ISSUER,
            "jwks_uri": format!("{ISSUER}/keys"),
            "userinfo_endpoint": endpoint,
        });
        world.answer(Document::OpenId, Answer::Body(metadata.to_string()));
        let verifier = world.ready_verifier().await;
        let outcome = ask(&world, &verifier).await;
        assert_eq!(outcome, Err(UserInfoError::NoEndpoint), "{endpoint}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_endpoint_is_known_through_an_outage_of_the_keys() {
    let world = World::new(&[("a", 1)]);
    let verifier = world.ready_verifier().await;
    world.answer_all(&Answer::Down);
    sleep(seconds(700.0)).await;
    ask(&world, &verifier).await.unwrap();
}
