//! No type that handles a token shows any part of it by `Debug`, because such texts end
//! up in logs.

use std::fmt::Debug;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2_jwt_bearer::jws::Jws;
use oauth2_jwt_bearer::{AccessToken, Policy, SignatureValid, UnverifiedIdToken, UnverifiedToken};
use serde_json::json;

const PAYLOAD: &str = r#"{"iss":"https://id.example","aud":"api","sub":"alice@id.example","client_id":"api","exp":1700000060,"scope":"chat rooms","email":"alice@mail.example"}"#;

fn token() -> AccessToken {
    let header = json!({"alg": "ES256", "kid": "2024", "typ": "at+jwt"}).to_string();
    let signature = [0xa5; 64];
    let parts = [header.as_bytes(), PAYLOAD.as_bytes(), &signature];
    AccessToken::new(parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")).unwrap()
}

/// Checks that no eight bytes of the token or its payload are shown, as text or as
/// numbers.
fn assert_shows_nothing(shown: &dyn Debug, token: &AccessToken) {
    let text = format!("{shown:?}");
    for secret in [token.expose().as_bytes(), PAYLOAD.as_bytes(), &[0xa5; 64]] {
        for window in secret.windows(8) {
            let numbers = format!("{window:?}");
            let is_shown = text.contains(&*String::from_utf8_lossy(window))
                || text.contains(numbers.trim_matches(['[', ']']));
            assert!(!is_shown, "{text}");
        }
    }
}

#[test]
fn tokens_are_not_shown() {
    let token = token();
    let policy = Policy::new("https://id.example", "api").unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);

    assert_shows_nothing(&token, &token);
    assert_shows_nothing(&Jws::parse(token.expose()).unwrap(), &token);
    let unverified = UnverifiedToken::parse(&token, &policy).unwrap();
    assert_shows_nothing(&unverified, &token);
    let verified = unverified.verified(SignatureValid::assertion(), now);
    let verified = verified.unwrap();
    let id_token = UnverifiedIdToken::parse(&token, &verified, None, &policy).unwrap();
    assert_shows_nothing(&id_token, &token);
}
