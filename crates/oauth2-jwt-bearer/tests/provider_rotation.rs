//! Keys come and go: the first token that names a new key finds it, a withdrawn key
//! stops working, and made-up key ids cost almost nothing.

#![cfg(feature = "verifier")]

mod support;

use std::time::Duration;

use oauth2_jwt_bearer::{Error, Invalid};
use serde_json::json;
use support::{Answer, Document, UNUSABLE, World, retry_after, seconds};
use tokio::time::{Instant, sleep};

const UNKNOWN_KEY: Error = Error::Invalid(Invalid::UnknownKey);

#[tokio::test(start_paused = true)]
async fn a_rotated_key_is_found_by_the_first_token_that_names_it() {
    let world = World::new(&[("a", 1)]);
    let verifier = world.ready_verifier().await;
    sleep(seconds(30.0)).await;
    world.publish(&[("a", 1), ("b", 2)]);
    verifier.verify(&world.token("b", 2)).await.unwrap();
    verifier.verify(&world.token("a", 1)).await.unwrap();
    assert_eq!(world.requests(Document::Keys), 2);
    assert_eq!(world.requests(Document::OpenId), 1);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_is_refused_after_one_fetch_that_began_later() {
    let world = World::new(&[("a", 1)]);
    let verifier = world.ready_verifier().await;
    let refused = verifier.verify(&world.token("b", 2)).await.unwrap_err();
    assert_eq!(refused, UNKNOWN_KEY);
    assert_eq!(world.requests(Document::Keys), 2);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_began_before_the_token_arrived_refuses_nobody() {
    let world = World::new(&[("a", 1)]);
    let verifier = world.ready_verifier().await;
    world.answer(Document::Keys, Answer::Slow(seconds(2.0)));
    let (early, late) = (world.token("b", 2), world.token("b", 2));
    let (early, late) = tokio::join!(verifier.verify(&early), async {
        sleep(seconds(1.0)).await;
        world.publish(&[("a", 1), ("b", 2)]);
        verifier.verify(&late).await
    });
    // The provider was asked after the first token arrived, and did not have the key.
    // That proves nothing for the second token.
    assert_eq!(early.unwrap_err(), UNKNOWN_KEY);
    assert!(retry_after(late) <= seconds(5.0));
}

#[tokio::test(start_paused = true)]
async fn a_failed_fetch_refuses_nobody() {
    let world = World::new(&[("a", 1)]);
    let verifier = world.ready_verifier().await;
    world.answer_all(&Answer::Status(500));
    let outcome = verifier.verify(&world.token("b", 2)).await;
    assert_eq!(retry_after(outcome), seconds(0.5));
    // Held keys stay in use, and the unknown key is found later.
    verifier.verify(&world.token("a", 1)).await.unwrap();
    world.answer_all(&Answer::Right);
    world.publish(&[("a", 1), ("b", 2)]);
    sleep(seconds(0.5)).await;
    verifier.verify(&world.token("b", 2)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_not_found_is_not_looked_up_again_for_five_seconds() {
    let world = World::new(&[("a", 1)]);
    let verifier = world.ready_verifier().await;
    let refused = verifier.verify(&world.token("b", 2)).await.unwrap_err();
    assert_eq!(refused, UNKNOWN_KEY);
    sleep(seconds(1.0)).await;
    for _ in 0..100 {
        let outcome = verifier.verify(&world.token("b", 2)).await;
        assert_eq!(retry_after(outcome), seconds(4.0));
    }
    assert_eq!(world.requests(Document::Keys), 2);
    world.publish(&[("a", 1), ("b", 2)]);
    sleep(seconds(4.0)).await;
    verifier.verify(&world.token("b", 2)).await.unwrap();
    assert_eq!(world.requests(Document::Keys), 3);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_made_up_keys_costs_three_fetches_and_one_per_ten_seconds() {
    let world = World::new(&[("a", 1)]);
    let verifier = world.ready_verifier().await;
    let began = Instant::now();
    let mut refused = 0;
    for i in 0..2100 {
        match verifier
            .verify(&world.token(&format!("flood-{i}"), 2))
            .await
        {
            Err(UNKNOWN_KEY) => refused += 1,
            outcome => assert!(retry_after(outcome) <= seconds(10.0)),
        }
        // The flood delays nobody.
        let subject = json!({"sub": format!("user-{i}")});
        let good = world.token_with(Some("a"), 1, subject);
        verifier.verify(&good).await.unwrap();
        sleep(Duration::from_millis(10)).await;
        if i == 900 {
            assert!(began.elapsed() < seconds(10.0));
            assert_eq!(world.requests(Document::Keys), 1 + 3);
        }
    }
    // 21 s after the first: two more fetches. Each fetch answered only the token that
    // began it.
    assert_eq!(world.requests(Document::Keys), 1 + 3 + 2);
    assert_eq!(refused, 5);
}

#[tokio::test(start_paused = true)]
async fn a_key_id_of_any_length_is_looked_up() {
    let world = World::new(&[("a", 1)]);
    let verifier = world.ready_verifier().await;
    for id in ["", &"long".repeat(2000)] {
        let refused = verifier.verify(&world.token(id, 2)).await.unwrap_err();
        assert_eq!(refused, UNKNOWN_KEY);
    }
}

#[tokio::test(start_paused = true)]
async fn a_withdrawn_key_stops_working_at_the_next_refresh() {
    for (cache_control, refresh) in [
        (None, 600.0),
        (Some("max-age=0"), 60.0),
        (Some("no-store, max-age=900"), 60.0),
        (Some("no-cache"), 60.0),
        (Some("public, max-age=900, must-revalidate"), 900.0),
        (Some("Max-Age=\"120\""), 120.0),
        (Some("max-age=86400"), 3600.0),
        (Some("max-age=soon"), 600.0),
        (Some(""), 600.0),
    ] {
        let world = World::new(&[("a", 1), ("b", 2)]);
        if let Some(value) = cache_control {
            world.cache_control(value);
        }
        let verifier = world.ready_verifier().await;
        let (stays, goes) = (world.token("a", 1), world.token("b", 2));
        verifier.verify(&goes).await.unwrap();
        verifier.verify(&stays).await.unwrap();
        let checks = world.signature_checks();
        world.publish(&[("a", 1)]);
        sleep(seconds(refresh - 1.0)).await;
        verifier.verify(&goes).await.unwrap();
        assert_eq!(world.requests(Document::Keys), 1, "{cache_control:?}");
        sleep(seconds(1.1)).await;
        // The remembered verification ended with its key; the other one stayed.
        assert_eq!(verifier.verify(&goes).await.unwrap_err(), UNKNOWN_KEY);
        verifier.verify(&stays).await.unwrap();
        assert_eq!(world.signature_checks(), checks, "{cache_control:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_exchanged_under_its_id_takes_verifications_with_it() {
    let world = World::new(&[("a", 1)]);
    let verifier = world.ready_verifier().await;
    let token = world.token("a", 1);
    verifier.verify(&token).await.unwrap();
    world.publish(&[("a", 2)]);
    sleep(seconds(601.0)).await;
    let refused = verifier.verify(&token).await.unwrap_err();
    assert_eq!(refused, Error::Invalid(Invalid::Signature));
    verifier.verify(&world.token("a", 2)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn keys_that_share_an_id_are_all_tried() {
    let world = World::new(&[("a", 1), ("a", 2), ("a", 3), ("a", 4), ("a", 5)]);
    let verifier = world.ready_verifier().await;
    verifier.verify(&world.token("a", 4)).await.unwrap();
    let fifth = verifier.verify(&world.token("a", 5)).await.unwrap_err();
    assert_eq!(fifth, Error::Invalid(Invalid::Signature));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_usable_is_as_good_as_absent() {
    let world = World::new(&[("a", 1), ("broken", UNUSABLE)]);
    let verifier = world.ready_verifier().await;
    // With exactly one usable key, a token need not name it.
    let unnamed = world.token_with(None, 1, json!({}));
    verifier.verify(&unnamed).await.unwrap();
    let broken = world.token("broken", UNUSABLE);
    assert_eq!(verifier.verify(&broken).await.unwrap_err(), UNKNOWN_KEY);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_names_no_key_is_refused_when_several_fit() {
    let world = World::new(&[("a", 1), ("b", 2)]);
    let verifier = world.ready_verifier().await;
    let unnamed = world.token_with(None, 1, json!({}));
    assert_eq!(verifier.verify(&unnamed).await.unwrap_err(), UNKNOWN_KEY);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_delays_no_fetch() {
    let world = World::new(&[("a", 1)]);
    let verifier = world.ready_verifier().await;
    let missing = verifier.verify(&world.token("b", 2)).await;
    assert_eq!(missing.unwrap_err(), UNKNOWN_KEY);
    world.set_clock_back(seconds(7200.0));
    // After two hours nothing is left of the memory of the missing key, of the budget,
    // and of the time of the next fetch.
    world.publish(&[("a", 1), ("b", 2)]);
    verifier.verify(&world.token("b", 2)).await.unwrap();
    for i in 0..3 {
        sleep(seconds(10.0)).await;
        let outcome = verifier.verify(&world.token(&format!("c{i}"), 3)).await;
        assert_eq!(outcome.unwrap_err(), UNKNOWN_KEY);
    }
}
