//! Every rule about what is accepted and refused, without signatures.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;

const NOW: u64 = 1_700_000_000;

fn policy() -> Policy {
    Policy::new("https://id.example", "api").unwrap()
}

fn claims() -> Value {
    json!({
        "iss": "https://id.example", "aud": "api", "sub": "alice",
        "exp": NOW + 60, "scope": "chat",
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn verify_at(
    header: &Value,
    claims: &str,
    policy: &Policy,
    now: u64,
) -> Result<VerifiedToken, Error> {
    let parts = [
        header.to_string(),
        claims.to_owned(),
        "signature".to_owned(),
    ];
    let token = AccessToken::new(parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")).unwrap();
    let unverified = UnverifiedToken::parse(&token, policy)?;
    unverified.verified(
        SignatureValid::assertion(),
        SystemTime::UNIX_EPOCH + Duration::from_secs(now),
    )
}

fn verify(header: &Value, claims: &Value, policy: &Policy) -> Result<(), Error> {
    verify_at(header, &claims.to_string(), policy, NOW).map(|_| ())
}

fn check(claims: &Value, expected: Result<(), Invalid>) {
    let at_jwt = json!({"alg": "ES256", "typ": "at+jwt"});
    assert_eq!(
        verify(&at_jwt, claims, &policy()),
        expected.map_err(Error::from),
        "{claims}"
    );
}

fn check_plain(claims: &Value, expected: Result<(), Invalid>) {
    let jwt = json!({"alg": "ES256", "typ": "JWT"});
    assert_eq!(
        verify(&jwt, claims, &policy()),
        expected.map_err(Error::from),
        "{claims}"
    );
}

#[test]
fn required_claims() {
    check(&claims(), Ok(()));
    check(&without("iss"), Err(Invalid::Issuer));
    check(
        &with("iss", json!("https://id.example/")),
        Err(Invalid::Issuer),
    );
    check(
        &with("iss", json!(["https://id.example"])),
        Err(Invalid::Issuer),
    );
    check(&without("aud"), Err(Invalid::Audience));
    check(&with("aud", json!("other")), Err(Invalid::Audience));
    check(&with("aud", json!(["other", "api"])), Ok(()));
    check(&with("aud", json!(["api", 7])), Err(Invalid::Audience));
    check(&with("aud", json!([])), Err(Invalid::Audience));
    check(&with("aud", json!({"api": 1})), Err(Invalid::Audience));
    check(&without("sub"), Err(Invalid::Claim));
    check(&with("sub", json!("")), Err(Invalid::Claim));
    check(&with("sub", json!(7)), Err(Invalid::Claim));
    check(&without("exp"), Err(Invalid::Claim));
    check(&with("exp", json!("1800000000")), Err(Invalid::Claim));
    check(&with("exp", json!(null)), Err(Invalid::Claim));
    check(&with("nbf", json!("0")), Err(Invalid::Claim));
    check(&with("iat", json!(NOW + 1000)), Ok(()));
    check(&with("iat", json!("0")), Err(Invalid::Claim));
    check(&with("iat", json!(null)), Err(Invalid::Claim));
    check(&with("cnf", json!({"jkt": "x"})), Err(Invalid::Bound));
    check(&with("anything", json!([{"deep": [1]}])), Ok(()));
}

#[test]
fn payloads_are_strict() {
    let header = json!({"alg": "ES256", "typ": "at+jwt"});
    for payload in ["", "[]", "null", "{", r#"{"sub":"a","sub":"b"}"#] {
        let refused = verify_at(&header, payload, &policy(), NOW).map(|_| ());
        assert_eq!(refused, Err(Invalid::Malformed.into()), "{payload}");
    }
}

#[test]
fn types() {
    let rfc9068 = policy().profile(Profile::Rfc9068).unwrap();
    for (typ, interoperable, strict) in [
        (json!("at+jwt"), true, true),
        (json!("AT+JWT"), true, true),
        (json!("application/at+jwt"), true, true),
        (json!("JWT"), true, false),
        (json!("jwt"), true, false),
        (json!("logout+jwt"), false, false),
        (json!("dpop+jwt"), false, false),
        (json!("id_token"), false, false),
        (json!(""), false, false),
    ] {
        let header = json!({"alg": "ES256", "typ": typ});
        assert_eq!(
            verify(&header, &claims(), &policy()).is_ok(),
            interoperable,
            "{typ}"
        );
        assert_eq!(
            verify(&header, &claims(), &rfc9068).is_ok(),
            strict,
            "{typ}"
        );
    }
    let header = json!({"alg": "ES256"});
    assert!(verify(&header, &claims(), &policy()).is_ok());
    assert_eq!(
        verify(&header, &claims(), &rfc9068),
        Err(Invalid::Type.into())
    );
}

#[test]
fn an_id_token_never_passes() {
    for (name, value) in [
        ("typ", json!("ID")),
        ("typ", json!("Refresh")),
        ("token_use", json!("id")),
        ("at_hash", json!("x")),
        ("c_hash", json!("x")),
        ("s_hash", json!("x")),
        ("events", json!({})),
    ] {
        check_plain(&with(name, value), Err(Invalid::NotAccessToken));
    }
    check_plain(&without("scope"), Err(Invalid::NotAccessToken));
    for (name, value) in [
        ("scp", json!(["a"])),
        ("permissions", json!([])),
        ("client_id", json!("app")),
        ("cid", json!("app")),
        ("appid", json!("app")),
        ("azpacr", json!("0")),
        ("gty", json!("client-credentials")),
        ("token_use", json!("access")),
        ("typ", json!("Bearer")),
    ] {
        let mut marked = without("scope");
        marked[name] = value;
        check_plain(&marked, Ok(()));
        marked["nonce"] = json!("n");
        check_plain(&marked, Ok(()));
    }
    // `typ` = `JWT` in the payload is not a mark.
    let mut unmarked = without("scope");
    unmarked["typ"] = json!("JWT");
    check_plain(&unmarked, Err(Invalid::NotAccessToken));
}

#[test]
fn unmarked_tokens_pass_by_option_alone_and_never_with_a_nonce() {
    let header = json!({"alg": "ES256", "typ": "JWT"});
    let lenient = policy().token_mark(TokenMark::NotRequired);
    let mut unmarked = without("scope");
    assert_eq!(verify(&header, &unmarked, &lenient), Ok(()));
    unmarked["nonce"] = json!("n");
    assert_eq!(
        verify(&header, &unmarked, &lenient),
        Err(Invalid::NotAccessToken.into())
    );
}

#[test]
fn clients_as_audience() {
    let header = json!({"alg": "ES256", "typ": "JWT"});
    let audience = Audience::Client(vec!["app".into()]);
    let policy = Policy::new("https://id.example", audience)
        .unwrap()
        .token_mark(TokenMark::NotRequired);
    for (claim, is_accepted) in [
        (json!({"client_id": "app"}), true),
        (json!({"client_id": "app", "token_use": "access"}), true),
        (json!({"client_id": "app", "token_use": "id"}), false),
        (json!({"client_id": "other", "azp": "app"}), false),
        (json!({"azp": "app"}), true),
        (json!({"azp": "other"}), false),
        (json!({"client_id": "app", "aud": "api"}), false),
        (json!({}), false),
    ] {
        let mut claims = without("aud");
        claims.as_object_mut().unwrap().remove("scope");
        claims
            .as_object_mut()
            .unwrap()
            .extend(claim.as_object().unwrap().clone());
        assert_eq!(
            verify(&header, &claims, &policy).is_ok(),
            is_accepted,
            "{claim}"
        );
    }
}

#[test]
fn algorithms_are_the_operators_choice() {
    let only_rs256 = policy().algorithms([crate::Algorithm::Rs256]).unwrap();
    let header = json!({"alg": "ES256", "typ": "at+jwt"});
    assert_eq!(
        verify(&header, &claims(), &only_rs256),
        Err(Invalid::Algorithm.into())
    );
}

#[test]
fn times() {
    let header = json!({"alg": "ES256", "typ": "at+jwt"});
    let at =
        |claims: &Value, now| verify_at(&header, &claims.to_string(), &policy(), now).map(|_| ());
    let claims = with("nbf", json!(NOW));
    assert_eq!(at(&claims, NOW), Ok(()));
    assert_eq!(at(&claims, NOW - 5), Ok(()));
    assert_eq!(at(&claims, NOW - 6), Err(Invalid::NotYetValid.into()));
    // Valid until `exp` + leeway, but not at that moment.
    assert_eq!(at(&claims, NOW + 64), Ok(()));
    assert_eq!(at(&claims, NOW + 65), Err(Error::Expired));
    assert_eq!(at(&with("exp", json!(1e300)), NOW), Ok(()));
    assert_eq!(at(&with("exp", json!(-1)), NOW), Err(Error::Expired));
}

#[test]
fn expired_is_said_only_of_what_is_right_in_everything_else() {
    let header = json!({"alg": "ES256", "typ": "at+jwt"});
    for (name, value) in [
        ("aud", json!("other")),
        ("iss", json!("x")),
        ("sub", json!("")),
    ] {
        let mut expired = with(name, value);
        expired["exp"] = json!(NOW - 1000);
        assert_ne!(verify(&header, &expired, &policy()), Err(Error::Expired));
    }
}
