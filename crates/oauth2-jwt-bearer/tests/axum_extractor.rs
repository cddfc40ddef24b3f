//! What a handler that asks for a verified token gets, and which requests never reach
//! it.

#![cfg(feature = "axum")]

mod support;

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{OriginalUri, Request};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use oauth2_jwt_bearer::axum::{Authenticated, RequiredScopes};
use oauth2_jwt_bearer::{AccessToken, Anonymous, BearerAuth, Claims};
use serde::Deserialize;
use serde_json::json;
use support::World;
use tower::ServiceExt;

#[derive(Deserialize)]
struct Member {
    sub: String,
    team: u32,
}

struct Write;
impl RequiredScopes for Write {
    const SCOPES: &'static [&'static str] = &["write", "read"];
}

fn app() -> Router {
    Router::new()
        .route(
            "/me",
            get(async |user: Authenticated| user.claims().subject().to_owned()),
        )
        .route("/member", get(member))
        .route(
            "/write",
            get(async |user: Authenticated<Claims, Write>| user.token().subject().to_owned()),
        )
        .route("/maybe", get(maybe))
        .route(
            "/uri",
            get(
                async |OriginalUri(original): OriginalUri, request: Request| {
                    format!("{original} {}", request.uri())
                },
            ),
        )
}

async fn member(user: Authenticated<Member>) -> String {
    let Member { sub, team } = user.into_claims();
    format!("{sub} of {team}")
}

async fn maybe(user: Option<Authenticated<Claims, Write>>) -> String {
    user.map_or_else(
        || "nobody".into(),
        |user| user.claims().subject().to_owned(),
    )
}

async fn ask(app: &Router, method: &str, uri: &str, token: Option<&AccessToken>) -> Response {
    let mut request = Request::builder().method(method).uri(uri);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {}", token.expose()));
    }
    let request = request.body(Body::empty()).unwrap();
    app.clone().oneshot(request).await.unwrap()
}

async fn body(answer: Response) -> String {
    let bytes = to_bytes(answer.into_body(), 10_000).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn challenge(answer: &Response) -> &str {
    answer.headers()["www-authenticate"].to_str().unwrap()
}

#[tokio::test(start_paused = true)]
async fn claims_come_raw_or_as_a_type_of_ones_own() {
    let world = World::new(&[("a", 1)]);
    let app = app().route_layer(BearerAuth::new(world.verifier()));
    let token = world.token_with(Some("a"), 1, json!({"team": 7}));
    assert_eq!(
        body(ask(&app, "GET", "/me", Some(&token)).await).await,
        "alice"
    );
    let member = ask(&app, "GET", "/member", Some(&token)).await;
    assert_eq!(body(member).await, "alice of 7");
}

#[tokio::test(start_paused = true)]
async fn claims_that_do_not_fit_the_type_are_refused_as_a_bad_token() {
    let world = World::new(&[("a", 1)]);
    let app = app().route_layer(BearerAuth::new(world.verifier()));
    let token = world.token_with(Some("a"), 1, json!({"team": "none of yours"}));
    let answer = ask(&app, "GET", "/member", Some(&token)).await;
    assert_eq!(answer.status(), 401);
    assert_eq!(
        challenge(&answer),
        r#"Bearer realm="rooms", error="invalid_token", error_description="the token has a missing or malformed claim""#
    );
    assert_eq!(body(answer).await, "Unauthorized");
}

#[tokio::test(start_paused = true)]
async fn a_missing_scope_is_refused_with_all_that_the_route_needs() {
    let world = World::new(&[("a", 1)]);
    let app = app().route_layer(BearerAuth::new(world.verifier()).required_scopes(["api"]));
    let token = |scope| world.token_with(Some("a"), 1, json!({"scope": scope}));
    let all = token("read api write");
    assert_eq!(
        body(ask(&app, "GET", "/write", Some(&all)).await).await,
        "alice"
    );
    for path in ["/write", "/maybe"] {
        let answer = ask(&app, "GET", path, Some(&token("api write"))).await;
        assert_eq!(answer.status(), 403, "{path}");
        let sent = challenge(&answer);
        assert!(sent.contains(r#"error="insufficient_scope""#), "{sent}");
        assert!(sent.contains(r#"scope="api write read""#), "{sent}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_anonymous_request_reaches_only_handlers_that_say_so() {
    let world = World::new(&[("a", 1)]);
    let open = BearerAuth::new(world.verifier()).anonymous(Anonymous::Allowed);
    let app = app().route_layer(open);
    assert_eq!(body(ask(&app, "GET", "/maybe", None).await).await, "nobody");
    let answer = ask(&app, "GET", "/me", None).await;
    assert_eq!(
        (answer.status().as_u16(), challenge(&answer)),
        (401, r#"Bearer realm="rooms""#)
    );
    let forged = world.token("a", 2);
    assert_eq!(
        ask(&app, "GET", "/maybe", Some(&forged)).await.status(),
        401
    );
}

#[tokio::test(start_paused = true)]
async fn without_the_layer_nobody_gets_in() {
    let world = World::new(&[("a", 1)]);
    let token = world.token("a", 1);
    for path in ["/me", "/member", "/write", "/maybe"] {
        for token in [None, Some(&token)] {
            let answer = ask(&app(), "GET", path, token).await;
            assert_eq!(answer.status(), 500, "{path}");
            assert_eq!(body(answer).await, "Internal server error");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_ends_while_its_request_waits_is_refused() {
    let world = World::new(&[("a", 1)]);
    let slow = middleware::from_fn(async |request: Request, next: Next| {
        tokio::time::sleep(Duration::from_secs(25 * 60 * 60)).await;
        next.run(request).await
    });
    let app = app()
        .route_layer(slow)
        .route_layer(BearerAuth::new(world.verifier()));
    let answer = ask(&app, "GET", "/me", Some(&world.token("a", 1))).await;
    assert_eq!(answer.status(), 401);
    assert!(challenge(&answer).contains("the token has expired"));
}

#[tokio::test(start_paused = true)]
async fn the_url_that_axum_keeps_has_no_token_either() {
    let world = World::new(&[("a", 1)]);
    let auth = BearerAuth::new(world.verifier());
    let uri = format!("/uri?access_token={}&x=1", world.token("a", 1).expose());
    for app in [app().route_layer(auth.clone()), app().layer(auth.clone())] {
        let answer = ask(&app, "GET", &uri, None).await;
        assert_eq!(body(answer).await, "/uri?x=1 /uri?x=1");
    }
    let nested = Router::new().nest("/api", app().route_layer(auth));
    let answer = ask(&nested, "GET", &format!("/api{uri}"), None).await;
    assert_eq!(body(answer).await, "/api/uri?x=1 /uri?x=1");
}

#[tokio::test(start_paused = true)]
async fn head_is_answered_as_get_and_options_needs_a_token_too() {
    let world = World::new(&[("a", 1)]);
    let app = app().route_layer(BearerAuth::new(world.verifier()));
    let head = ask(&app, "HEAD", "/me", None).await;
    assert_eq!(
        (head.status().as_u16(), challenge(&head)),
        (401, r#"Bearer realm="rooms""#)
    );
    assert_eq!(body(head).await, "");
    assert_eq!(ask(&app, "OPTIONS", "/me", None).await.status(), 401);
    let token = world.token("a", 1);
    assert_eq!(
        ask(&app, "OPTIONS", "/me", Some(&token)).await.status(),
        405
    );
    assert_eq!(ask(&app, "GET", "/nowhere", None).await.status(), 404);
}

#[tokio::test(start_paused = true)]
async fn debug_shows_nothing_of_a_user() {
    let world = World::new(&[("a", 1)]);
    let show = get(async |user: Authenticated| format!("{user:?}"));
    let app = Router::new()
        .route("/", show)
        .route_layer(BearerAuth::new(world.verifier()));
    let answer = ask(&app, "GET", "/", Some(&world.token("a", 1))).await;
    assert_eq!(body(answer).await, "Authenticated");
}
