//! A provider that is down, slow or wrong is never reported as a bad token.

#![cfg(feature = "verifier")]

mod support;

use oauth2_jwt_bearer::{Challenge, Error, Readiness, Verifier};
use support::{Answer, Document, World, retry_after, seconds};
use tokio::time::sleep;

#[track_caller]
fn reason(verifier: &Verifier) -> String {
    match verifier.readiness() {
        Readiness::NotReady(reason) => reason.into_owned(),
        Readiness::Ready => panic!("ready"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_down_at_start_is_found_when_it_comes_up() {
    let world = World::new(&[("a", 1)]);
    world.answer_all(&Answer::Down);
    let verifier = world.verifier();
    verifier.start();
    let outcome = verifier.verify(&world.token("a", 1)).await;
    assert_eq!(retry_after(outcome), seconds(0.5));
    assert!(reason(&verifier).contains("discovery: no connection"));
    // At 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s, then every 30 s.
    for (until, fetches) in [(3.6, 4), (31.6, 7), (61.6, 8), (91.6, 9)] {
        let elapsed = world.now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let elapsed = elapsed.as_secs_f64() - 1_800_000_000.0;
        sleep(seconds(until - elapsed)).await;
        assert_eq!(world.requests(Document::OpenId), fetches, "{until}");
    }
    let outcome = verifier.verify(&world.token("a", 1)).await;
    assert!(retry_after(outcome) > seconds(29.0));
    world.answer_all(&Answer::Right);
    sleep(seconds(30.0)).await;
    verifier.verify(&world.token("a", 1)).await.unwrap();
    assert_eq!(verifier.readiness(), Readiness::Ready);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_503_with_retry_after_and_no_challenge() {
    let world = World::new(&[("a", 1)]);
    world.answer_all(&Answer::Down);
    let error = world.verifier().verify(&world.token("a", 1)).await;
    let challenge = Challenge::new(&error.unwrap_err(), "rooms", &[] as &[&str]);
    assert_eq!(challenge.status(), 503);
    assert_eq!(challenge.www_authenticate(), None);
    assert_eq!(challenge.retry_after().unwrap(), "1");
}

#[tokio::test(start_paused = true)]
async fn held_keys_serve_for_a_day_and_no_longer() {
    let world = World::new(&[("a", 1)]);
    let verifier = world.ready_verifier().await;
    let day = 24.0 * 60.0 * 60.0;
    let expires_later = serde_json::json!({"exp": 2_000_000_000});
    let remembered = world.token_with(Some("a"), 1, expires_later.clone());
    verifier.verify(&remembered).await.unwrap();
    world.answer_all(&Answer::Down);
    sleep(seconds(day - 1.0)).await;
    // New tokens are verified too.
    let mut other = expires_later;
    other["sub"] = "bob".into();
    let other = world.token_with(Some("a"), 1, other);
    assert_eq!(verifier.verify(&other).await.unwrap().subject(), "bob");
    verifier.verify(&remembered).await.unwrap();
    sleep(seconds(1.0)).await;
    retry_after(verifier.verify(&other).await);
    retry_after(verifier.verify(&remembered).await);
    assert!(reason(&verifier).contains("no connection"));
    world.answer_all(&Answer::Right);
    sleep(seconds(30.0)).await;
    verifier.verify(&other).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn keys_from_before_an_outage_are_refreshed_after_it() {
    let world = World::new(&[("a", 1), ("b", 2)]);
    let verifier = world.ready_verifier().await;
    world.answer_all(&Answer::Status(503));
    sleep(seconds(3600.0)).await;
    verifier.verify(&world.token("b", 2)).await.unwrap();
    world.publish(&[("a", 1)]);
    world.answer_all(&Answer::Right);
    sleep(seconds(30.0)).await;
    let refused = verifier.verify(&world.token("b", 2)).await.unwrap_err();
    assert_eq!(refused.code(), "unknown_key");
}

#[tokio::test(start_paused = true)]
async fn another_issuers_document_is_named_with_the_value_to_set() {
    let world = World::new(&[("a", 1)]);
    let other = r#"{"issuer": "https://id.example/", "jwks_uri": "https://id.example/keys"}"#;
    world.answer(Document::OpenId, Answer::Body(other.into()));
    let verifier = world.verifier();
    retry_after(verifier.verify(&world.token("a", 1)).await);
    let reason = reason(&verifier);
    assert!(
        reason.contains(r#"set the issuer to exactly that value"#),
        "{reason}"
    );
    assert!(reason.contains(r#""https://id.example/""#), "{reason}");
    assert_eq!(world.requests(Document::Keys), 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_key_set_is_a_failed_fetch() {
    for (answer, problem) in [
        (Answer::Down, "keys: no connection"),
        (Answer::Status(500), "keys: the answer has status 500"),
        (Answer::Status(302), "keys: the answer has status 302"),
        (Answer::Status(204), "keys: the answer has status 204"),
        (
            Answer::Body(" ".repeat(512 * 1024 + 1)),
            "keys: the answer is too large",
        ),
        (
            Answer::Body(String::new()),
            "keys: the answer is not a JWK Set",
        ),
        (
            Answer::Body("<html>".into()),
            "keys: the answer is not a JWK Set",
        ),
        (
            Answer::Body(r#"{"keys": {}}"#.into()),
            "keys: the answer is not a JWK Set",
        ),
    ] {
        // Both at first and while keys are held: held keys stay.
        let world = World::new(&[("a", 1)]);
        world.answer(Document::Keys, answer.clone());
        let verifier = world.verifier();
        retry_after(verifier.verify(&world.token("a", 1)).await);
        assert!(reason(&verifier).contains(problem), "{problem}");

        let world = World::new(&[("a", 1)]);
        let verifier = world.ready_verifier().await;
        world.answer(Document::Keys, answer.clone());
        sleep(seconds(700.0)).await;
        assert!(world.requests(Document::Keys) > 2, "{problem}");
        verifier.verify(&world.token("a", 1)).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_set_without_usable_keys_withdraws_them_all() {
    let world = World::new(&[("a", 1)]);
    let verifier = world.ready_verifier().await;
    let useless = r#"{"keys": [{"kty": "future"}, 7, {"kty": "oct", "k": "AAAA", "kid": "a"}]}"#;
    world.answer(Document::Keys, Answer::Body(useless.into()));
    sleep(seconds(601.0)).await;
    let refused = verifier.verify(&world.token("a", 1)).await.unwrap_err();
    assert_eq!(refused.code(), "unknown_key");
}

#[tokio::test(start_paused = true)]
async fn metadata_of_rfc_8414_is_used_where_there_is_no_other() {
    let world = World::new(&[("a", 1)]);
    world.answer(Document::OpenId, Answer::Status(404));
    world.ready_verifier().await;
    assert_eq!(world.requests(Document::OAuth), 1);
}

#[tokio::test(start_paused = true)]
async fn a_configured_key_set_needs_no_metadata() {
    let world = World::new(&[("a", 1)]);
    let builder = world.builder().jwks_uri("https://id.example/keys");
    let verifier = builder.build_with(world.ports()).unwrap();
    verifier.verify(&world.token("a", 1)).await.unwrap();
    assert_eq!(world.requests(Document::OpenId), 0);
    assert_eq!(world.requests(Document::OAuth), 0);
}

#[tokio::test(start_paused = true)]
async fn metadata_is_asked_for_again_after_a_failure() {
    let world = World::new(&[("a", 1)]);
    let verifier = world.ready_verifier().await;
    world.answer(Document::Keys, Answer::Status(410));
    sleep(seconds(601.0)).await;
    assert_eq!(world.requests(Document::OpenId), 2);
    world.answer(Document::Keys, Answer::Right);
    sleep(seconds(2.0)).await;
    verifier.verify(&world.token("a", 1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_costs_no_key_is_refused_without_the_provider() {
    let world = World::new(&[("a", 1)]);
    let verifier = world.verifier();
    let other = world.token_with(Some("a"), 1, serde_json::json!({"aud": "other"}));
    let refused = verifier.verify(&other).await.unwrap_err();
    assert_eq!(
        refused,
        Error::Invalid(oauth2_jwt_bearer::Invalid::Audience)
    );
    assert_eq!(world.requests(Document::OpenId), 0);
}

#[test]
fn keys_are_fetched_over_https_or_from_loopback_alone() {
    use oauth2_jwt_bearer::Policy;
    for (uri, is_accepted) in [
        ("https://keys.example/k", true),
        ("http://127.0.0.1:1/k", true),
        ("http://keys.example/k", false),
        ("https://user:pass@keys.example/k", false),
        ("file:///keys", false),
        ("", false),
    ] {
        let policy = Policy::new(support::ISSUER, "api").unwrap();
        let ports = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(async { World::new(&[]).ports() });
        let built = Verifier::builder(policy).jwks_uri(uri).build_with(ports);
        assert_eq!(built.is_ok(), is_accepted, "{uri}");
    }
}
