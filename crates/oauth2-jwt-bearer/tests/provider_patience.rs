//! In runtimes where a task belongs to the request that began it and may never end,
//! nobody waits for it for long.

#![cfg(feature = "verifier")]

mod support;

use futures_util::future::join_all;
use oauth2_jwt_bearer::{Error, Invalid, Readiness};
use support::{Answer, Document, World, retry_after, seconds};
use tokio::time::{Instant, sleep};

const UNKNOWN_KEY: Error = Error::Invalid(Invalid::UnknownKey);

#[tokio::test(start_paused = true)]
async fn thirty_simultaneous_tokens_share_one_fetch() {
    for (takes, fetches) in [(0.0, 1), (0.9, 1), (1.5, 2), (2.5, 3)] {
        let world = World::of_requests(&[("a", 1)]);
        world.answer(Document::Keys, Answer::Slow(seconds(takes)));
        let verifier = world.verifier();
        let tokens: Vec<_> = (0..30).map(|_| world.token("a", 1)).collect();
        let outcomes = join_all(tokens.iter().map(|token| verifier.verify(token))).await;
        assert!(outcomes.iter().all(Result::is_ok), "{takes}");
        assert_eq!(world.requests(Document::Keys), fetches, "{takes}");
        // Fetches that were overtaken change nothing.
        sleep(seconds(5.0)).await;
        verifier.verify(&tokens[0]).await.unwrap();
        assert_eq!(world.requests(Document::Keys), fetches, "{takes}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_never_ends_is_replaced_after_a_second() {
    let world = World::of_requests(&[("a", 1)]);
    world.answer(Document::Keys, Answer::Hang);
    let verifier = world.verifier();
    verifier.start();
    sleep(seconds(0.1)).await;
    world.answer(Document::Keys, Answer::Right);
    let began = Instant::now();
    verifier.verify(&world.token("a", 1)).await.unwrap();
    assert!((1.0..1.1).contains(&began.elapsed().as_secs_f64()));
    assert_eq!(world.requests(Document::Keys), 2);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_whose_request_is_gone_is_replaced_after_a_second() {
    let world = World::of_requests(&[("a", 1)]);
    world.answer(Document::Keys, Answer::Slow(seconds(0.5)));
    let verifier = world.verifier();
    verifier.start();
    sleep(seconds(0.1)).await;
    world.freeze_tasks();
    let began = Instant::now();
    verifier.verify(&world.token("a", 1)).await.unwrap();
    assert!((1.5..1.6).contains(&began.elapsed().as_secs_f64()));
    assert_eq!(world.requests(Document::Keys), 2);
}

#[tokio::test(start_paused = true)]
async fn three_fetches_are_under_way_at_most() {
    let world = World::of_requests(&[("a", 1)]);
    world.answer(Document::Keys, Answer::Hang);
    let verifier = world.verifier();
    let token = world.token("a", 1);
    let began = Instant::now();
    for round in 1..=4 {
        let waiting = (0..30).map(|_| verifier.verify(&token));
        for outcome in join_all(waiting).await {
            assert_eq!(retry_after(outcome), seconds(1.0));
        }
        assert_eq!(began.elapsed().as_secs(), round * 3);
        // The first fetch gives up after 10 s. That starts no new fetch, because it was
        // overtaken.
        assert_eq!(world.requests(Document::Keys), 3, "{round}");
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_that_are_all_gone_block_nobody_for_ever() {
    let world = World::of_requests(&[("a", 1)]);
    world.answer(Document::Keys, Answer::Hang);
    let verifier = world.verifier();
    let token = world.token("a", 1);
    retry_after(verifier.verify(&token).await);
    world.freeze_tasks();
    world.answer(Document::Keys, Answer::Right);
    // The last of them began 2 s after the first.
    sleep(seconds(12.0)).await;
    verifier.verify(&token).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn keys_are_refreshed_beside_the_request_that_finds_them_old() {
    let world = World::of_requests(&[("a", 1), ("b", 2)]);
    let verifier = world.ready_verifier().await;
    let (stays, goes) = (world.token("a", 1), world.token("b", 2));
    verifier.verify(&stays).await.unwrap();
    verifier.verify(&goes).await.unwrap();
    world.publish(&[("a", 1)]);
    // Without requests nothing is fetched.
    sleep(seconds(3600.0)).await;
    assert_eq!(world.requests(Document::Keys), 1);
    // This token is remembered, so it waits for nothing.
    world.answer(Document::Keys, Answer::Slow(seconds(2.0)));
    let began = Instant::now();
    verifier.verify(&stays).await.unwrap();
    assert!(began.elapsed().is_zero());
    sleep(seconds(2.1)).await;
    assert_eq!(world.requests(Document::Keys), 2);
    assert_eq!(verifier.verify(&goes).await.unwrap_err(), UNKNOWN_KEY);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_whose_request_is_gone_stops_no_later_one() {
    let world = World::of_requests(&[("a", 1), ("b", 2)]);
    let verifier = world.ready_verifier().await;
    let (stays, goes) = (world.token("a", 1), world.token("b", 2));
    sleep(seconds(601.0)).await;
    world.publish(&[("a", 1)]);
    for refresh in 0..3 {
        verifier.verify(&stays).await.unwrap();
        world.freeze_tasks();
        sleep(seconds(11.0)).await;
        // The fetch is assumed to be still running.
        verifier.verify(&goes).await.unwrap();
        sleep(seconds(1.0)).await;
        assert_eq!(world.requests(Document::Keys), 1, "{refresh}");
    }
    verifier.verify(&stays).await.unwrap();
    sleep(seconds(0.1)).await;
    assert_eq!(world.requests(Document::Keys), 2);
    assert_eq!(verifier.verify(&goes).await.unwrap_err(), UNKNOWN_KEY);
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_ignored() {
    let world = World::of_requests(&[("a", 1), ("b", 2)]);
    world.answer(Document::Keys, Answer::Slow(seconds(1.8)));
    let verifier = world.verifier();
    let token = world.token("a", 1);
    let (outcome, ()) = tokio::join!(verifier.verify(&token), async {
        sleep(seconds(0.5)).await;
        world.publish(&[("a", 1)]);
        world.answer(Document::Keys, Answer::Right);
    });
    outcome.unwrap();
    assert_eq!(world.requests(Document::Keys), 2);
    // The first answer comes now. It is from before `b` was withdrawn.
    sleep(seconds(1.0)).await;
    let withdrawn = verifier.verify(&world.token("b", 2)).await;
    assert_eq!(withdrawn.unwrap_err(), UNKNOWN_KEY);
}

#[tokio::test(start_paused = true)]
async fn a_late_failure_says_nothing_of_today() {
    let world = World::of_requests(&[("a", 1)]);
    world.answer(Document::Keys, Answer::Hang);
    let verifier = world.verifier();
    verifier.start();
    sleep(seconds(0.1)).await;
    world.answer(Document::Keys, Answer::Right);
    verifier.verify(&world.token("a", 1)).await.unwrap();
    // The first fetch gives up at 10 s.
    sleep(seconds(11.0)).await;
    assert_eq!(verifier.readiness(), Readiness::Ready);
    sleep(seconds(600.0)).await;
    verifier.verify(&world.token("a", 1)).await.unwrap();
    sleep(seconds(0.1)).await;
    // Two at first, then the keys alone: the metadata is not in doubt.
    assert_eq!(world.requests(Document::OpenId), 2);
    assert_eq!(world.requests(Document::Keys), 3);
}

#[tokio::test(start_paused = true)]
async fn without_anything_to_run_a_fetch_on_it_has_failed() {
    let world = World::of_requests(&[("a", 1)]);
    world.run_tasks(false);
    let verifier = world.verifier();
    verifier.start();
    let token = world.token("a", 1);
    assert_eq!(retry_after(verifier.verify(&token).await), seconds(0.5));
    world.run_tasks(true);
    sleep(seconds(0.5)).await;
    verifier.verify(&token).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_told_at_once() {
    let world = World::of_requests(&[("a", 1)]);
    world.answer_all(&Answer::Down);
    let verifier = world.verifier();
    let began = Instant::now();
    retry_after(verifier.verify(&world.token("a", 1)).await);
    assert!(began.elapsed() < seconds(0.1));
    world.answer_all(&Answer::Right);
    sleep(seconds(0.5)).await;
    verifier.verify(&world.token("a", 1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_made_up_keys_costs_three_fetches_for_each_that_is_due() {
    let world = World::of_requests(&[("a", 1)]);
    let verifier = world.ready_verifier().await;
    // Each fetch takes longer than the waiting requests have patience.
    world.answer(Document::Keys, Answer::Slow(seconds(2.5)));
    let tokens: Vec<_> = (0..400)
        .map(|i| world.token(&format!("flood-{i}"), 2))
        .collect();
    let flood = tokens.iter().enumerate().map(|(i, token)| {
        let verifier = verifier.clone();
        async move {
            sleep(seconds(0.05) * u32::try_from(i).unwrap()).await;
            verifier.verify(token).await.unwrap_err()
        }
    });
    join_all(flood).await;
    // 20 s: three fetches in a burst and two more, each with two extra fetches.
    let fetches = world.requests(Document::Keys) - 1;
    assert!((5..=15).contains(&fetches), "{fetches}");
}

#[tokio::test(start_paused = true)]
async fn a_rotated_key_is_found_by_the_first_token_that_names_it() {
    let world = World::of_requests(&[("a", 1)]);
    let verifier = world.ready_verifier().await;
    sleep(seconds(30.0)).await;
    world.publish(&[("a", 1), ("b", 2)]);
    verifier.verify(&world.token("b", 2)).await.unwrap();
    assert_eq!(world.requests(Document::Keys), 2);
    // The age of the held keys does not change what the fetch proves.
    sleep(seconds(600.0)).await;
    let unknown = verifier.verify(&world.token("c", 3)).await;
    assert_eq!(unknown.unwrap_err(), UNKNOWN_KEY);
    assert_eq!(world.requests(Document::Keys), 3);
}
