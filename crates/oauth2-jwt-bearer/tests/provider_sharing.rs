//! One fetch serves everyone, in the background, and delays nobody for long.

#![cfg(feature = "verifier")]

mod support;

use std::time::Duration;

use futures_util::future::join_all;
use oauth2_jwt_bearer::{Error, Invalid, Policy, Readiness, Verifier};
use support::{Answer, Document, World, retry_after, seconds};
use tokio::time::{Instant, sleep, timeout};

#[tokio::test(start_paused = true)]
async fn thirty_simultaneous_tokens_share_one_fetch() {
    let world = World::new(&[("a", 1)]);
    world.answer(Document::Keys, Answer::Slow(seconds(1.0)));
    let verifier = world.verifier();
    let tokens: Vec<_> = (0..30).map(|_| world.token("a", 1)).collect();
    let outcomes = join_all(tokens.iter().map(|token| verifier.verify(token))).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(world.requests(Document::OpenId), 1);
    assert_eq!(world.requests(Document::Keys), 1);
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_at_start_and_tokens_then_cost_no_fetch() {
    let world = World::new(&[("a", 1)]);
    let verifier = world.verifier();
    assert!(matches!(verifier.readiness(), Readiness::NotReady(_)));
    verifier.start();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(verifier.readiness(), Readiness::Ready);
    for subject in 0..1000 {
        let claims = serde_json::json!({"sub": subject.to_string()});
        let token = world.token_with(Some("a"), 1, claims);
        verifier.verify(&token).await.unwrap();
    }
    assert_eq!(world.requests(Document::OpenId), 1);
    assert_eq!(world.requests(Document::Keys), 1);
}

#[tokio::test(start_paused = true)]
async fn starting_twice_fetches_once() {
    let world = World::new(&[("a", 1)]);
    let verifier = world.verifier();
    verifier.start();
    verifier.clone().start();
    verifier.verify(&world.token("a", 1)).await.unwrap();
    assert_eq!(world.requests(Document::Keys), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_three_seconds_at_most_while_the_fetch_goes_on() {
    let world = World::new(&[("a", 1)]);
    world.answer(Document::Keys, Answer::Slow(seconds(8.0)));
    let verifier = world.verifier();
    let began = Instant::now();
    retry_after(verifier.verify(&world.token("a", 1)).await);
    assert_eq!(began.elapsed().as_secs(), 3);
    // A second request joins the same fetch, with 3 s of its own.
    retry_after(verifier.verify(&world.token("a", 1)).await);
    assert_eq!(began.elapsed().as_secs(), 6);
    verifier.verify(&world.token("a", 1)).await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 8);
    assert_eq!(world.requests(Document::Keys), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_with_all_its_steps_ends_after_ten_seconds() {
    let world = World::new(&[("a", 1)]);
    world.answer(Document::OpenId, Answer::Slow(seconds(6.0)));
    world.answer(Document::Keys, Answer::Slow(seconds(6.0)));
    let verifier = world.verifier();
    verifier.start();
    sleep(seconds(10.1)).await;
    let Readiness::NotReady(reason) = verifier.readiness() else {
        panic!("keys from a fetch of 12 s")
    };
    assert!(reason.contains("in time"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_port_that_never_answers_is_given_up_after_ten_seconds() {
    let world = World::new(&[("a", 1)]);
    world.answer(Document::Keys, Answer::Hang);
    let verifier = world.verifier();
    verifier.start();
    sleep(seconds(9.0)).await;
    world.answer(Document::Keys, Answer::Right);
    // The fetch is given up at 10 s and tried again half a second later.
    sleep(seconds(2.0)).await;
    verifier.verify(&world.token("a", 1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_never_answers_holds_up_no_key_that_is_held() {
    let world = World::new(&[("a", 1)]);
    let verifier = world.ready_verifier().await;
    world.answer(Document::Keys, Answer::Hang);
    let unknown = world.token("b", 2);
    let waiting = verifier.verify(&unknown);
    tokio::pin!(waiting);
    assert!(timeout(seconds(1.0), &mut waiting).await.is_err());
    assert_eq!(world.requests(Document::Keys), 2);

    let began = Instant::now();
    let other = world.token_with(Some("a"), 1, serde_json::json!({"sub": "bob"}));
    verifier.verify(&other).await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
    retry_after(waiting.await);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_goes_away_takes_no_fetch_with_it() {
    let world = World::new(&[("a", 1)]);
    world.answer(Document::Keys, Answer::Slow(seconds(2.0)));
    let verifier = world.verifier();
    let token = world.token("a", 1);
    assert!(
        timeout(seconds(1.0), verifier.verify(&token))
            .await
            .is_err()
    );
    sleep(seconds(1.5)).await;
    assert_eq!(verifier.readiness(), Readiness::Ready);
    verifier.verify(&token).await.unwrap();
    assert_eq!(world.requests(Document::Keys), 1);
}

#[test]
fn a_fetch_that_ended_with_its_runtime_is_begun_again_in_another() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
    };
    let (first, second) = (runtime(), runtime());
    let (world, verifier) = first.block_on(async {
        let world = World::new(&[("a", 1)]);
        world.answer(Document::Keys, Answer::Hang);
        let verifier = world.verifier();
        retry_after(verifier.verify(&world.token("a", 1)).await);
        (world, verifier)
    });
    drop(first);
    world.answer(Document::Keys, Answer::Right);
    second.block_on(async {
        sleep(seconds(60.0)).await;
        verifier.verify(&world.token("a", 1)).await.unwrap();
    });
}

#[tokio::test(start_paused = true)]
async fn a_port_that_panics_takes_only_its_fetch_with_it() {
    let world = World::new(&[("a", 1)]);
    world.answer(Document::Keys, Answer::Panic);
    let verifier = world.verifier();
    let outcome = verifier.verify(&world.token("a", 1)).await;
    assert_eq!(retry_after(outcome), seconds(0.5));
    world.answer(Document::Keys, Answer::Right);
    sleep(seconds(0.5)).await;
    verifier.verify(&world.token("a", 1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_verified_token_is_not_verified_again() {
    let world = World::new(&[("a", 1)]);
    let verifier = world.verifier();
    let token = world.token("a", 1);
    for _ in 0..3 {
        assert_eq!(verifier.verify(&token).await.unwrap().subject(), "alice");
    }
    assert_eq!(world.signature_checks(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_verified_token_is_forgotten_when_it_expires() {
    let world = World::new(&[("a", 1)]);
    let verifier = world.ready_verifier().await;
    let now = world.now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let claims = serde_json::json!({"exp": now.as_secs() + 60});
    let token = world.token_with(Some("a"), 1, claims);
    verifier.verify(&token).await.unwrap();
    // The leeway of 5 s is included.
    sleep(seconds(64.0)).await;
    verifier.verify(&token).await.unwrap();
    sleep(seconds(1.0)).await;
    assert_eq!(verifier.verify(&token).await.unwrap_err(), Error::Expired);
}

#[tokio::test(start_paused = true)]
async fn a_verified_token_is_not_valid_before_its_time_when_the_clock_is_set_back() {
    let world = World::new(&[("a", 1)]);
    let verifier = world.ready_verifier().await;
    let now = world.now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let claims = serde_json::json!({"nbf": now.as_secs()});
    let token = world.token_with(Some("a"), 1, claims);
    verifier.verify(&token).await.unwrap();
    // First within the leeway of 5 s, then beyond it.
    world.set_clock_back(seconds(4.0));
    verifier.verify(&token).await.unwrap();
    world.set_clock_back(seconds(2.0));
    let outcome = verifier.verify(&token).await;
    assert_eq!(outcome.unwrap_err(), Error::Invalid(Invalid::NotYetValid));
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_never_remembered_as_verified() {
    let world = World::new(&[("a", 1)]);
    let verifier = world.verifier();
    let forged = world.token("a", 9);
    for _ in 0..2 {
        let refused = verifier.verify(&forged).await.unwrap_err();
        assert_eq!(refused, Error::Invalid(Invalid::Signature));
    }
}

#[tokio::test(start_paused = true)]
async fn verifiers_of_other_policies_share_no_verified_tokens() {
    let world = World::new(&[("a", 1)]);
    let token = world.token("a", 1);
    world.verifier().verify(&token).await.unwrap();
    let policy = Policy::new(support::ISSUER, "other").unwrap();
    let other = Verifier::builder(policy).build_with(world.ports()).unwrap();
    let refused = other.verify(&token).await.unwrap_err();
    assert_eq!(refused, Error::Invalid(Invalid::Audience));
}

#[tokio::test(start_paused = true)]
async fn a_verifier_may_remember_no_tokens() {
    let world = World::new(&[("a", 1)]);
    let builder = world.builder().cached_tokens(0);
    let verifier = builder.build_with(world.ports()).unwrap();
    let token = world.token("a", 1);
    verifier.verify(&token).await.unwrap();
    verifier.verify(&token).await.unwrap();
    assert_eq!(world.signature_checks(), 2);
}
