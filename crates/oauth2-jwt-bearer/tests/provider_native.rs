//! The native ports, against an issuer on a loopback socket.

#![cfg(feature = "native")]

use std::time::Duration;

use futures_util::future::join_all;
use local_issuer::{Algorithm, Endpoint, Fault, LocalIssuer};
use oauth2_jwt_bearer::port::{FetchError, FetchRequest, FetchResponse};
use oauth2_jwt_bearer::{
    AccessToken, Error, Invalid, Policy, Readiness, UserInfoError, Verifier, native,
};

const LIMIT: usize = 512 * 1024;

async fn issuer() -> LocalIssuer {
    LocalIssuer::builder().start().await.unwrap()
}

fn verifier(issuer: &LocalIssuer) -> Verifier {
    let policy = Policy::new(issuer.url(), "api").unwrap();
    Verifier::builder(policy).build().unwrap()
}

fn token(text: String) -> AccessToken {
    AccessToken::new(text).unwrap()
}

async fn fetch(url: &str, timeout: Duration) -> Result<FetchResponse, FetchError> {
    let request = FetchRequest {
        url,
        bearer: None,
        max_bytes: LIMIT,
        timeout,
    };
    native::ports().fetch.fetch(request).await
}

/// Verifies against a key set that can't be fetched, and returns the cause.
async fn problem(issuer: &LocalIssuer, fault: Fault) -> String {
    issuer.fault_on(Endpoint::Jwks, fault);
    let verifier = verifier(issuer);
    let outcome = verifier.verify(&token(issuer.token().sign())).await;
    assert!(matches!(outcome, Err(Error::Unavailable { .. })));
    match verifier.readiness() {
        Readiness::NotReady(reason) => reason.into_owned(),
        Readiness::Ready => panic!("ready"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_first_tokens_at_several_verifiers_cost_one_discovery_and_one_key_fetch() {
    let issuer = issuer().await;
    let verifiers: Vec<Verifier> = (0..3).map(|_| verifier(&issuer)).collect();
    let tasks = (0..30).map(|i: usize| {
        let verifier = verifiers[i % 3].clone();
        let token = token(issuer.token().subject(&format!("user-{i}")).sign());
        tokio::spawn(async move { verifier.verify(&token).await })
    });
    for outcome in join_all(tasks).await {
        outcome.unwrap().unwrap();
    }
    assert_eq!(issuer.requests(Endpoint::Discovery), 1);
    assert_eq!(issuer.requests(Endpoint::Jwks), 1);
}

#[tokio::test]
async fn every_algorithm_is_checked_and_no_forgery_passes() {
    let issuer = issuer().await;
    let verifier = verifier(&issuer);
    for (algorithm, other) in [
        (Algorithm::Rs256, "PS256"),
        (Algorithm::Ps256, "RS256"),
        (Algorithm::Es256, "EdDSA"),
        (Algorithm::EdDsa, "ES256"),
    ] {
        let sign = || issuer.token().algorithm(algorithm);
        // The key of this token is newer than the set.
        let good = token(sign().sign());
        verifier.verify(&good).await.unwrap();

        let claims_of_another = sign().subject("mallory").sign();
        let mut parts: Vec<&str> = good.expose().split('.').collect();
        parts[1] = claims_of_another.split('.').nth(1).unwrap();
        let forged = verifier.verify(&token(parts.join("."))).await.unwrap_err();
        assert_eq!(forged, Error::Invalid(Invalid::Signature), "{algorithm:?}");

        let renamed = token(sign().header("alg", other).sign());
        let refused = verifier.verify(&renamed).await.unwrap_err();
        let is_refused = matches!(
            refused,
            Error::Invalid(Invalid::Signature | Invalid::UnknownKey)
        );
        assert!(is_refused, "{algorithm:?} {refused:?}");
    }
}

#[tokio::test]
async fn a_rotated_key_is_found_at_once() {
    let issuer = issuer().await;
    let verifier = verifier(&issuer);
    let before = token(issuer.token().sign());
    verifier.verify(&before).await.unwrap();
    issuer.rotate();
    let after = token(issuer.token().sign());
    verifier.verify(&after).await.unwrap();
    assert_eq!(issuer.requests(Endpoint::Jwks), 2);
}

#[tokio::test]
async fn issuers_with_a_path_are_found_slash_and_all() {
    for path in ["", "/", "/tenant", "/tenant/v2/"] {
        let issuer = LocalIssuer::builder().path(path).start().await.unwrap();
        assert!(issuer.url().ends_with(path));
        let token = token(issuer.token().sign());
        verifier(&issuer).verify(&token).await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_over_512_kib_is_not_read() {
    let issuer = issuer().await;
    let over = problem(&issuer, Fault::Huge(LIMIT + 1)).await;
    assert!(over.contains("too large"), "{over}");
    let at_limit = problem(&issuer, Fault::Huge(LIMIT)).await;
    assert!(at_limit.contains("not a JWK Set"), "{at_limit}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (issuer, other) = (issuer().await, issuer().await);
    let elsewhere = format!("{}/jwks", other.url());
    let problem = problem(&issuer, Fault::Redirect(elsewhere)).await;
    assert!(problem.contains("status 302"), "{problem}");
    assert_eq!(other.requests(Endpoint::All), 0);
}

#[tokio::test]
async fn a_broken_connection_is_an_outage() {
    let issuer = issuer().await;
    let problem = problem(&issuer, Fault::Down).await;
    assert!(problem.contains("no connection"), "{problem}");
}

#[tokio::test]
async fn https_is_spoken_where_the_url_says_so() {
    // The issuer speaks plain http: the TLS handshake fails, and nothing panics.
    let issuer = issuer().await;
    let url = issuer.url().replace("http://", "https://") + "/jwks";
    let outcome = fetch(&url, Duration::from_secs(10)).await;
    assert!(
        matches!(outcome, Err(FetchError::Connection(_))),
        "{outcome:?}"
    );
    assert_eq!(issuer.requests(Endpoint::Jwks), 0);
}

#[tokio::test]
async fn a_fetch_has_a_time_limit() {
    let issuer = issuer().await;
    let _held = issuer.hold(Endpoint::Jwks);
    let url = format!("{}/jwks", issuer.url());
    let outcome = fetch(&url, Duration::from_millis(20)).await;
    assert_eq!(outcome.unwrap_err(), FetchError::TimedOut);
}

#[tokio::test]
async fn nothing_is_fetched_without_tls_except_from_loopback() {
    for url in [
        "http://id.example/jwks",
        "http://127.0.0.1.id.example/jwks",
        "ftp://127.0.0.1/jwks",
        "file:///jwks",
        "jwks",
        "",
    ] {
        let outcome = fetch(url, Duration::from_secs(10)).await;
        assert_eq!(outcome.unwrap_err(), FetchError::Insecure, "{url}");
    }
}

#[tokio::test]
async fn user_info_is_asked_for_with_the_token() {
    let issuer = issuer().await;
    let verifier = verifier(&issuer);
    let token = token(issuer.token().subject("bob").sign());
    let subject = verifier.verify(&token).await.unwrap();
    let info = verifier.user_info(&token, subject.subject()).await.unwrap();
    assert_eq!(info["name"], "bob");
    let other = verifier.user_info(&token, "alice").await;
    assert_eq!(other, Err(UserInfoError::Unusable));
}

#[tokio::test]
async fn an_id_token_is_verified_beside_its_access_token() {
    let issuer = issuer().await;
    let verifier = verifier(&issuer);
    let access_token = token(issuer.token().sign());
    let verified = verifier.verify(&access_token).await.unwrap();
    for (id_token, is_believed) in [
        (issuer.id_token(), true),
        (issuer.id_token().subject("bob"), false),
        (issuer.id_token().audience("other-client"), false),
        (issuer.id_token().claim("at_hash", "wrong"), false),
        (
            issuer.id_token().expired_for(Duration::from_secs(60)),
            false,
        ),
    ] {
        let id_token = token(id_token.sign());
        let outcome = verifier
            .verify_id_token(&id_token, &access_token, &verified, None)
            .await;
        assert_eq!(outcome.is_ok(), is_believed, "{outcome:?}");
        // As an access token it never passes.
        let refused = verifier.verify(&id_token).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid(_)), "{refused:?}");
    }
}
