//! A route and a room give the same answer to the same token.

mod support;

use std::time::Duration;

use http::HeaderMap;
use local_issuer::{Fault, LocalIssuer};
use support::{World, bearer};

const ROUTE: &str = "/me";
const ROOM: &str = "/parties/chat/a";

/// The headers of a refusal that are compared, in addition to its status and body.
const HEADERS: [&str; 6] = [
    "www-authenticate",
    "retry-after",
    "cache-control",
    "referrer-policy",
    "content-type",
    "content-length",
];

fn told(headers: &HeaderMap) -> Vec<(&str, Option<&str>)> {
    let value = |name| headers.get(name).map(|value| value.to_str().unwrap());
    HEADERS.map(|name| (name, value(name))).to_vec()
}

/// Asks both, compares the two answers, and checks one of them.
async fn check(
    world: &World,
    what: &str,
    query: &str,
    headers: &[(&str, &str)],
    status: u16,
    challenge: Option<&str>,
) {
    for method in ["GET", "HEAD", "POST", "OPTIONS"] {
        let route = world
            .send(method, &format!("{ROUTE}{query}"), headers)
            .await;
        let room = world.send(method, &format!("{ROOM}{query}"), headers).await;
        assert_eq!(route.status(), status, "{method} {what}");
        assert_eq!(route.status(), room.status(), "{method} {what}");
        assert_eq!(
            told(route.headers()),
            told(room.headers()),
            "{method} {what}"
        );
        assert_eq!(route.body(), room.body(), "{method} {what}");
        assert_eq!(route.body().is_empty(), method == "HEAD", "{method} {what}");
        let sent = route.headers().get("www-authenticate");
        let sent = sent.map(|value| value.to_str().unwrap());
        let is_right = match (sent, challenge) {
            (Some(sent), Some(challenge)) => {
                sent.starts_with("Bearer realm=\"rooms\"") && sent.ends_with(challenge)
            }
            (sent, challenge) => sent == challenge,
        };
        assert!(is_right, "{method} {what}: {sent:?}");
        let is_protected = route.headers().contains_key("referrer-policy");
        assert_eq!(
            is_protected,
            query.contains("access_token"),
            "{method} {what}"
        );
    }
}

#[tokio::test]
async fn to_every_token_that_is_refused() {
    let issuer = LocalIssuer::builder().start().await.unwrap();
    let world = World::with(issuer, |options| options.required_scopes(["chat"])).await;
    let good = world.bearer();
    let expired = bearer(world.token().expired_for(Duration::from_secs(60)));
    let audience = bearer(world.token().audience("other"));
    let id_token = bearer(world.issuer.id_token());
    let scope = bearer(world.token().scope("mail"));
    let in_query = format!("?access_token={}", world.token().audience("other").sign());
    let long = format!("Bearer {}", "a".repeat(17_000));
    let none = r#"Bearer realm="rooms""#;
    let many = r#"error="invalid_request", error_description="more than one method used for authentication""#;
    let rows: [(&str, &str, &[&str], u16, &str); 13] = [
        ("no token", "", &[], 401, none),
        ("an empty query token", "?access_token=", &[], 401, none),
        ("another scheme", "", &["Basic Zm9v"], 401, none),
        (
            "malformed",
            "",
            &["Bearer abc"],
            401,
            r#"error="invalid_token", error_description="the token is not a well-formed signed JWT""#,
        ),
        (
            "expired",
            "",
            &[&expired],
            401,
            r#"error="invalid_token", error_description="the token has expired""#,
        ),
        (
            "another audience",
            "",
            &[&audience],
            401,
            r#"error="invalid_token", error_description="the token is for another audience""#,
        ),
        (
            "an ID token",
            "",
            &[&id_token],
            401,
            r#"error="invalid_token", error_description="the token is not an access token""#,
        ),
        (
            "another audience, in the query",
            &in_query,
            &[],
            401,
            r#"error="invalid_token", error_description="the token is for another audience""#,
        ),
        ("two carriers", "?access_token=abc", &[&good], 400, many),
        ("one carrier twice", "", &[&good, &good], 400, many),
        (
            "no token after the scheme",
            "",
            &["Bearer"],
            400,
            r#"error="invalid_request", error_description="the authorization header has no token""#,
        ),
        (
            "too long",
            "",
            &[&long],
            400,
            r#"error="invalid_request", error_description="the token is too long""#,
        ),
        (
            "DPoP",
            "",
            &["DPoP abc"],
            401,
            r#"error="invalid_token", error_description="the DPoP scheme is not supported""#,
        ),
    ];
    for (what, query, authorization, status, challenge) in rows {
        let headers: Vec<_> = authorization
            .iter()
            .map(|value| ("authorization", *value))
            .collect();
        check(&world, what, query, &headers, status, Some(challenge)).await;
    }
    let challenge = r#"error="insufficient_scope", error_description="the token lacks a required scope", scope="chat""#;
    check(
        &world,
        "a scope is missing",
        "",
        &[("authorization", &scope)],
        403,
        Some(challenge),
    )
    .await;
    // Without this, the test would pass even if everything were refused.
    for path in [ROUTE, ROOM] {
        let answer = world.send("GET", path, &[("authorization", &good)]).await;
        assert_eq!(answer.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn while_the_provider_is_out_of_reach() {
    let issuer = LocalIssuer::builder().start().await.unwrap();
    issuer.fault(Fault::Down);
    let world = World::with(issuer, |options| options).await;
    let good = world.bearer();
    for path in [ROUTE, ROOM] {
        let answer = world.send("GET", path, &[("authorization", &good)]).await;
        assert_eq!(
            (answer.status().as_u16(), &**answer.body()),
            (503, "try again later"),
            "{path}"
        );
        let seconds = answer.headers()["retry-after"].to_str().unwrap();
        assert!(seconds.parse::<u64>().unwrap() >= 1, "{path}");
        assert!(!answer.headers().contains_key("www-authenticate"), "{path}");
    }
    assert_eq!(world.send("GET", "/", &[]).await.status(), 200);
    assert_eq!(world.send("GET", "/greeting", &[]).await.status(), 200);
    assert_eq!(
        world
            .send("GET", "/greeting", &[("authorization", &good)])
            .await
            .status(),
        503
    );
    assert_eq!(world.send("GET", "/readyz", &[]).await.status(), 503);
    assert_eq!(world.send("GET", "/healthz", &[]).await.status(), 200);
}
