//! Cross-origin headers, and tokens in the query.

use crate::cases::cases;
use crate::world::{Shared, with_token};

cases! {
    "CORS" => [
        preflight_before_authentication, headers_on_answers_and_refusals, unmatched_path, off,
        not_on_an_upgrade, defaults_without_auth, custom_headers_replace_defaults,
        on_answers_of_the_gate,
    ],
    "Query token" => [
        in_the_query, name_is_matched_decoded, empty_counts_as_absent, answers_are_private, answers_without_a_party_are_private,
        hooks_see_the_url_without_it,
    ],
}

async fn preflight_before_authentication(world: Shared) {
    let answer = world
        .request("OPTIONS", "/parties/chat/a")
        .header("Origin", "https://app.example")
        .header("Access-Control-Request-Method", "GET")
        .send()
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(
        answer.header("access-control-allow-headers"),
        Some("*, Authorization")
    );
    assert_eq!(
        answer.header("access-control-allow-methods"),
        Some("GET, POST, HEAD, OPTIONS")
    );
    assert_eq!(answer.header("access-control-max-age"), Some("86400"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    // Without the headers of a preflight it is an ordinary request.
    assert_eq!(
        world.request("OPTIONS", "/parties/chat/a").status().await,
        401
    );
}

async fn headers_on_answers_and_refusals(world: Shared) {
    let exposed = Some("WWW-Authenticate, Retry-After");
    for token in [world.alice(), "bad".into()] {
        let answer = world.get("/parties/chat/a").bearer(&token).send().await;
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("*"),
            "{}",
            answer.status
        );
        assert_eq!(answer.header("access-control-expose-headers"), exposed);
    }
}

async fn unmatched_path(world: Shared) {
    let answer = world
        .request("OPTIONS", "/nowhere")
        .header("Origin", "https://app.example")
        .header("Access-Control-Request-Method", "GET")
        .send()
        .await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (404, None)
    );
}

async fn off(world: Shared) {
    let answer = world
        .request("OPTIONS", "/parties/plain/a")
        .header("Origin", "https://app.example")
        .header("Access-Control-Request-Method", "GET")
        .send()
        .await;
    assert_eq!(answer.json()["party"], "plain", "it goes to the room");
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

async fn not_on_an_upgrade(world: Shared) {
    let socket = world.open_as(&world.alice(), "/parties/chat/a").await;
    assert_eq!(socket.response.header("access-control-allow-origin"), None);
}

async fn defaults_without_auth(world: Shared) {
    let answer = world
        .request("OPTIONS", "/parties/cors/a")
        .header("Origin", "https://app.example")
        .header("Access-Control-Request-Method", "GET")
        .send()
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-headers"), Some("*"));
    let answer = world.get("/parties/cors/a").send().await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(
        answer.header("access-control-allow-methods"),
        Some("GET, POST, HEAD, OPTIONS")
    );
}

async fn custom_headers_replace_defaults(world: Shared) {
    for method in ["GET", "OPTIONS"] {
        let answer = world
            .request(method, "/parties/cors-custom/a")
            .header("Origin", "https://app.example")
            .header("Access-Control-Request-Method", "GET")
            .send()
            .await;
        let origin = answer.header("access-control-allow-origin");
        assert_eq!(origin, Some("https://app.example"), "{method}");
        assert_eq!(answer.header("access-control-max-age"), None, "{method}");
    }
}

async fn on_answers_of_the_gate(world: Shared) {
    let answer = world.get("/parties/cors/forbidden").send().await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (403, Some("*"))
    );
}

async fn in_the_query(world: Shared) {
    let path = with_token("/parties/chat/a", &world.alice());
    assert_eq!(world.get(&path).status().await, 200);
    let (_socket, welcome) = world.join(&world.alice(), "/parties/chat/a").await;
    assert_eq!(welcome["sub"], "alice");
}

async fn name_is_matched_decoded(world: Shared) {
    let path = format!("/parties/chat/a?%61ccess%5Ftoken={}&x=1", world.alice());
    let answer = world.get(&path).send().await;
    assert_eq!(answer.status, 200);
    assert!(
        answer.json()["url"]
            .as_str()
            .is_some_and(|url| url.ends_with("/parties/chat/a?x=1"))
    );
}

async fn empty_counts_as_absent(world: Shared) {
    let answer = world.get("/parties/chat/a?access_token=").send().await;
    assert_eq!(
        answer.header("www-authenticate"),
        Some("Bearer realm=\"rooms\"")
    );
    let answer = world
        .get("/parties/chat/a?access_token=")
        .bearer(&world.alice())
        .send()
        .await;
    assert_eq!(answer.status, 200);
}

async fn answers_without_a_party_are_private(world: Shared) {
    // These answers come without a party, so nobody knows which query parameter holds
    // the token.
    for (path, status) in [
        ("/parties/nothing/a".to_owned(), 400),
        (format!("/parties/chat/{}", "a".repeat(1025)), 414),
    ] {
        let answer = world.get(&with_token(&path, &world.alice())).send().await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("cache-control"), Some("private, no-store"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    }
}

async fn answers_are_private(world: Shared) {
    for (path, token, status) in [
        ("/parties/chat/a", world.alice(), 200),
        ("/parties/chat/a", "bad".into(), 401),
        // In the first case nobody owns the room. In another a hook fails, so that the
        // host answers.
        ("/parties/private-chat/unowned", world.alice(), 403),
        ("/parties/streams/a/fails", world.alice(), 500),
    ] {
        let answer = world.get(&with_token(path, &token)).send().await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("cache-control"), Some("private, no-store"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    }
    let answer = world
        .get("/parties/chat/a")
        .bearer(&world.alice())
        .send()
        .await;
    assert_eq!(answer.header("referrer-policy"), None);
}

async fn hooks_see_the_url_without_it(world: Shared) {
    let path = with_token("/parties/chat/a/deeper?x=%20y", &world.alice());
    let answer = world.get(&path).send().await.json();
    let url = answer["url"].as_str().unwrap_or_default();
    assert!(
        url.ends_with("/parties/chat/a/deeper?x=%20y") && url.starts_with("http://"),
        "{url}"
    );
}
