//! What the layer lets pass, what it answers itself, and what a service behind it can
//! still see of a token.

#![cfg(feature = "tower")]

mod support;

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use http::{HeaderMap, Request, Response};
use oauth2_jwt_bearer::{
    AccessToken, Anonymous, BearerAuth, Policy, QueryToken, VerifiedToken, Verifier,
};
use serde_json::json;
use support::{Answer, ISSUER, World};
use tower::{Layer, Service, ServiceExt};

/// What a service saw of a request.
#[derive(Debug)]
struct Seen {
    uri: String,
    has_authorization: bool,
    subject: Option<String>,
    token: Option<AccessToken>,
}

/// A service behind the layer that records what it sees. It must be asked whether it is
/// ready before each call.
#[derive(Default)]
struct Inner {
    seen: Arc<Mutex<Vec<Seen>>>,
    is_ready: AtomicBool,
}

impl Clone for Inner {
    fn clone(&self) -> Self {
        Self {
            seen: Arc::clone(&self.seen),
            is_ready: AtomicBool::new(false),
        }
    }
}

impl Inner {
    fn take(&self) -> Option<Seen> {
        self.seen.lock().unwrap().pop()
    }
}

impl Service<Request<()>> for Inner {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.is_ready.store(true, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let was_ready = self.is_ready.swap(false, Ordering::Relaxed);
        assert!(was_ready, "this one did not say that it is ready");
        self.seen.lock().unwrap().push(Seen {
            uri: request.uri().to_string(),
            has_authorization: request.headers().contains_key("authorization"),
            subject: request
                .extensions()
                .get()
                .map(|token: &VerifiedToken| token.subject().to_owned()),
            token: request.extensions().get().cloned(),
        });
        std::future::ready(Ok(Response::new("inside".into())))
    }
}

/// Sends a request to the service behind layers, the innermost first.
async fn ask(
    inner: &Inner,
    layers: &[&BearerAuth],
    uri: &str,
    headers: &[(&str, &str)],
) -> Response<String> {
    let mut request = Request::get(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(()).unwrap();
    let answer = match layers {
        [auth] => auth.layer(inner.clone()).oneshot(request).await,
        [inside, outside] => {
            let service = outside.layer(inside.layer(inner.clone()));
            service.oneshot(request).await
        }
        _ => unreachable!("one or two"),
    };
    answer.unwrap()
}

fn bearer(token: &AccessToken) -> String {
    format!("Bearer {}", token.expose())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test(start_paused = true)]
async fn each_refusal_is_its_challenge_and_nothing_gets_behind_it() {
    let world = World::new(&[("a", 1)]);
    let auth = BearerAuth::new(world.verifier()).required_scopes(["read"]);
    let token = |claims| bearer(&world.token_with(Some("a"), 1, claims));
    let good = token(json!({"scope": "read"}));
    let forged = bearer(&world.token_with(Some("a"), 2, json!({"scope": "read"})));
    let long = format!("Bearer {}", "a".repeat(20_000));
    let rows: [(&[&str], &str, u16, &str); 10] = [
        (&[], "/", 401, r#"Bearer realm="rooms""#),
        (&["Basic Zm9v"], "/", 401, r#"Bearer realm="rooms""#),
        (&["Bearer"], "/", 400, "invalid_request"),
        (&[&good, &good], "/", 400, "invalid_request"),
        (&[&good], "/?access_token=x", 400, "invalid_request"),
        (&[&long], "/", 400, "invalid_request"),
        (&["DPoP x"], "/", 401, "invalid_token"),
        (&[&forged], "/", 401, "wrong signature"),
        (
            &[&token(json!({"scope": "read", "exp": 1}))],
            "/",
            401,
            "the token has expired",
        ),
        (
            &[&token(json!({"scope": "write"}))],
            "/",
            403,
            r#"error="insufficient_scope", error_description="the token lacks a required scope", scope="read""#,
        ),
    ];
    let inner = Inner::default();
    for (authorization, uri, status, challenge) in rows {
        let headers: Vec<_> = authorization
            .iter()
            .map(|value| ("authorization", *value))
            .collect();
        let answer = ask(&inner, &[&auth], uri, &headers).await;
        let sent = header(answer.headers(), "www-authenticate").unwrap_or_default();
        assert_eq!(answer.status(), status, "{sent}");
        assert!(
            sent.starts_with(r#"Bearer realm="rooms""#) && sent.contains(challenge),
            "{sent}"
        );
        assert_eq!(
            answer.headers()["content-type"],
            "text/plain; charset=utf-8"
        );
        assert!(inner.take().is_none(), "{challenge}");
    }
    let answer = ask(&inner, &[&auth], "/", &[("authorization", &good)]).await;
    assert_eq!(answer.body(), "inside");
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_provider_is_no_bad_token() {
    let world = World::new(&[("a", 1)]);
    world.answer_all(&Answer::Down);
    let (auth, inner) = (BearerAuth::new(world.verifier()), Inner::default());
    let good = bearer(&world.token("a", 1));
    let answer = ask(&inner, &[&auth], "/", &[("authorization", &good)]).await;
    assert_eq!(answer.status(), 503);
    assert!(
        header(answer.headers(), "retry-after")
            .unwrap()
            .parse::<u64>()
            .unwrap()
            >= 1
    );
    assert_eq!(header(answer.headers(), "www-authenticate"), None);
    assert!(inner.take().is_none());
}

#[tokio::test(start_paused = true)]
async fn behind_it_there_is_an_identity_and_no_token_in_url_or_header() {
    let world = World::new(&[("a", 1)]);
    let (auth, inner) = (BearerAuth::new(world.verifier()), Inner::default());
    let token = world.token("a", 1);
    let in_header = ("/a?x=1", Some(bearer(&token)));
    let in_query = (&*format!("/a?%61ccess_token={}&x=1", token.expose()), None);
    for (uri, authorization) in [in_header, in_query] {
        let authorization = authorization.unwrap_or_else(|| "Basic Zm9v".into());
        ask(&inner, &[&auth], uri, &[("authorization", &authorization)]).await;
        let seen = inner.take().expect("it is admitted");
        assert_eq!((&*seen.uri, seen.has_authorization), ("/a?x=1", false));
        assert_eq!(seen.subject.as_deref(), Some("alice"));
        assert_eq!(seen.token.as_ref(), Some(&token));
    }
}

#[tokio::test(start_paused = true)]
async fn only_no_token_becomes_anonymous() {
    let world = World::new(&[("a", 1)]);
    let auth = BearerAuth::new(world.verifier()).anonymous(Anonymous::Allowed);
    let inner = Inner::default();
    for (uri, authorization) in [
        ("/", None),
        ("/?access_token=", None),
        ("/", Some("Basic Zm9v")),
    ] {
        let headers: Vec<_> = authorization
            .map(|value| ("authorization", value))
            .into_iter()
            .collect();
        ask(&inner, &[&auth], uri, &headers).await;
        let seen = inner.take().expect("it is admitted");
        assert_eq!((&*seen.uri, seen.has_authorization), ("/", false));
        assert!(seen.subject.is_none() && seen.token.is_none());
    }
    let forged = bearer(&world.token("a", 2));
    for (authorization, status) in [
        ("Bearer", 400),
        ("Bearer x", 401),
        ("DPoP x", 401),
        (&*forged, 401),
    ] {
        let answer = ask(&inner, &[&auth], "/", &[("authorization", authorization)]).await;
        assert_eq!(answer.status(), status, "{authorization}");
        assert!(inner.take().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn answers_to_a_url_with_a_token_are_kept_out_of_caches_and_referrers() {
    let world = World::new(&[("a", 1)]);
    let auth = BearerAuth::new(world.verifier());
    let off = auth.clone().query_token(QueryToken::Off);
    let inner = Inner::default();
    let uri = format!("/?access_token={}", world.token("a", 1).expose());
    for (auth, uri, status) in [
        (&auth, &*uri, 200),
        (&auth, "/?access_token=x", 401),
        (&off, &uri, 401),
    ] {
        let answer = ask(&inner, &[auth], uri, &[]).await;
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["cache-control"], "private, no-store");
        assert_eq!(answer.headers()["referrer-policy"], "no-referrer");
    }
    let answer = ask(&inner, &[&auth], "/", &[]).await;
    assert_eq!(header(answer.headers(), "cache-control"), None);
}

#[tokio::test(start_paused = true)]
async fn a_query_token_for_upgrades_only_is_read_on_upgrades_only() {
    let world = World::new(&[("a", 1)]);
    let auth = BearerAuth::new(world.verifier()).query_token(QueryToken::UpgradesOnly);
    let inner = Inner::default();
    let uri = format!("/?access_token={}", world.token("a", 1).expose());
    let upgrade = [("upgrade", "websocket")];
    for (headers, status) in [(&upgrade[..], 200), (&[], 401)] {
        assert_eq!(ask(&inner, &[&auth], &uri, headers).await.status(), status);
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_inside_another_verifies_the_same_token_by_its_own_rules() {
    let world = World::new(&[("a", 1)]);
    let outside = BearerAuth::new(world.verifier());
    let same = outside.clone().required_scopes(["read"]);
    let policy = Policy::new(ISSUER, "other").unwrap();
    let other = BearerAuth::new(Verifier::builder(policy).build_with(world.ports()).unwrap());
    let inner = Inner::default();
    let token = |scope| bearer(&world.token_with(Some("a"), 1, json!({"scope": scope})));
    for (inside, scope, status) in [
        (&same, "read", 200),
        (&same, "write", 403),
        (&other, "read", 401),
    ] {
        let authorization = token(scope);
        let headers = [("authorization", &*authorization)];
        let answer = ask(&inner, &[inside, &outside], "/", &headers).await;
        assert_eq!(answer.status(), status, "{scope}");
    }
    // A layer that lets everyone in does not disable the one inside it.
    let open = outside.anonymous(Anonymous::Allowed);
    assert_eq!(ask(&inner, &[&same, &open], "/", &[]).await.status(), 401);
}
