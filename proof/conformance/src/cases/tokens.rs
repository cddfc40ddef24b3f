//! Which tokens are accepted, and which are not.

use std::time::Duration;

use local_issuer::Algorithm;
use serde_json::{Value, json};

use crate::cases::cases;
use crate::world::{Shared, World, unix_now};

cases! {
    "Tokens" => [
        algorithms, symmetric_and_none, audiences, issuers, token_types, required_claims, times,
        structure, duplicate_members, critical_headers, keys_inside_a_token, bound_tokens,
        id_tokens, strict_profile, claims_and_credentials, claims_of_requests_and_handshakes, id_token_header, refresh_token_header,
        user_info, scopes_of_both_kinds,
    ],
}

async fn status(world: &World, token: &str) -> u16 {
    world
        .get("/parties/chat/tokens")
        .bearer(token)
        .status()
        .await
}

async fn algorithms(world: Shared) {
    for algorithm in [
        Algorithm::Rs256,
        Algorithm::Ps256,
        Algorithm::Es256,
        Algorithm::EdDsa,
    ] {
        let token = world.token().algorithm(algorithm).sign();
        assert_eq!(status(&world, &token).await, 200, "{algorithm:?}");
    }
    let token = world
        .token()
        .algorithm(Algorithm::EdDsa)
        .header("alg", "Ed25519")
        .sign();
    assert_eq!(status(&world, &token).await, 200);
}

async fn symmetric_and_none(world: Shared) {
    for name in ["none", "None", "HS256", "HS512", "RS1", "ES256K", ""] {
        let token = world.token().header("alg", name).sign();
        assert_eq!(status(&world, &token).await, 401, "{name}");
    }
    // An algorithm that does not fit the key.
    let token = world.token().header("alg", "ES256").sign();
    assert_eq!(status(&world, &token).await, 401);
}

async fn audiences(world: Shared) {
    for (audience, expected) in [
        (json!("api"), 200),
        (json!(["other", "api"]), 200),
        (json!("API"), 401),
        (json!(["other"]), 401),
        (json!([]), 401),
        (json!(""), 401),
        (json!(7), 401),
        (Value::Null, 401),
    ] {
        let token = world.token().claim("aud", audience.clone()).sign();
        assert_eq!(status(&world, &token).await, expected, "{audience}");
    }
}

async fn issuers(world: Shared) {
    let url = world.issuer.url();
    for issuer in [
        format!("{url}/"),
        url.replace("http:", "https:"),
        String::new(),
        url.to_uppercase(),
    ] {
        let token = world.token().issuer(&issuer).sign();
        assert_eq!(status(&world, &token).await, 401, "{issuer}");
    }
}

async fn token_types(world: Shared) {
    for (typ, expected) in [
        ("at+jwt", 200),
        ("AT+JWT", 200),
        ("application/at+jwt", 200),
        ("JWT", 200),
        ("logout+jwt", 401),
        ("dpop+jwt", 401),
        ("secevent+jwt", 401),
    ] {
        let token = world.token().typ(typ).sign();
        assert_eq!(status(&world, &token).await, expected, "{typ}");
    }
    assert_eq!(status(&world, &world.token().no_typ().sign()).await, 200);
}

async fn required_claims(world: Shared) {
    for claim in ["iss", "aud", "sub", "exp"] {
        let token = world.token().without(claim).sign();
        assert_eq!(status(&world, &token).await, 401, "{claim}");
    }
    for (claim, value) in [
        ("sub", json!("")),
        ("sub", json!(7)),
        ("sub", json!(["alice"])),
        ("exp", json!("9999999999")),
        ("exp", json!(null)),
        ("nbf", json!("0")),
    ] {
        let token = world.token().claim(claim, value.clone()).sign();
        assert_eq!(status(&world, &token).await, 401, "{claim} {value}");
    }
    for claim in ["iat", "jti", "client_id"] {
        let token = world.token().without(claim).sign();
        assert_eq!(status(&world, &token).await, 200, "{claim}");
    }
}

async fn times(world: Shared) {
    let now = unix_now();
    for (claim, value, expected) in [
        ("nbf", json!(now + 60.0), 401),
        ("nbf", json!(now - 60.0), 200),
        ("iat", json!(now + 1e6), 200),
        ("exp", json!(1e300), 200),
        ("exp", json!(now + 5.5), 200),
        ("exp", json!(now - 2.0), 401),
        ("exp", json!(-1), 401),
    ] {
        let token = world.token().claim(claim, value.clone()).sign();
        assert_eq!(status(&world, &token).await, expected, "{claim} {value}");
    }
}

async fn structure(world: Shared) {
    let token = world.alice();
    let (input, signature) = token.rsplit_once('.').unwrap_or_default();
    for (broken, what) in [
        (input.to_owned(), "two parts"),
        (format!("{token}.AA.AA"), "five parts"),
        (format!("{token}="), "padding"),
        (
            format!("{input}.{}", &signature[1..]),
            "a shorter signature",
        ),
        (format!("{input}."), "no signature"),
        (
            format!("{input}.{}", "A".repeat(signature.len())),
            "another signature",
        ),
        (token.replace('.', ".."), "empty parts"),
        (format!("{token}%"), "a character outside base64url"),
    ] {
        assert_eq!(status(&world, &broken).await, 401, "{what}");
    }
}

async fn duplicate_members(world: Shared) {
    let header = || serde_json::Map::from_iter([("typ".to_owned(), json!("at+jwt"))]);
    let claims = format!(
        r#"{{"iss":"{}","aud":"api","sub":"alice","exp":9999999999,"scope":"a""#,
        world.issuer.url()
    );
    let good = world
        .issuer
        .sign_raw(header(), format!("{claims}}}").as_bytes());
    assert_eq!(status(&world, &good).await, 200);
    for extra in [
        r#","sub":"bob"}"#,
        r#","\u0073ub":"bob"}"#,
        r#","x":{"a":1,"a":2}}"#,
    ] {
        let token = world
            .issuer
            .sign_raw(header(), format!("{claims}{extra}").as_bytes());
        assert_eq!(status(&world, &token).await, 401, "{extra}");
    }
}

async fn critical_headers(world: Shared) {
    for (name, value) in [
        ("crit", json!(["x"])),
        ("crit", json!([])),
        ("b64", json!(false)),
    ] {
        let token = world.token().header(name, value).sign();
        assert_eq!(status(&world, &token).await, 401, "{name}");
    }
}

async fn keys_inside_a_token(world: Shared) {
    // A stranger signs with its own key, and sends the key in the header.
    let stranger = local_issuer::LocalIssuer::builder()
        .start()
        .await
        .expect("an issuer");
    let key = stranger.add_key(Algorithm::Es256);
    for (name, value) in [
        ("jku", json!(format!("{}/jwks", stranger.url()))),
        ("jwk", json!({"kty": "EC"})),
        ("x5u", json!(stranger.url())),
        ("x5c", json!(["AAAA"])),
    ] {
        let token = stranger
            .token()
            .key(&key)
            .issuer(&world.issuer.url())
            .header(name, value)
            .sign();
        assert_ne!(status(&world, &token).await, 200, "{name}");
        let own = world
            .token()
            .header(name, json!("https://evil.example"))
            .sign();
        assert_eq!(status(&world, &own).await, 200, "{name} is ignored");
    }
    assert_eq!(
        stranger.requests(local_issuer::Endpoint::All),
        0,
        "nothing was fetched from it"
    );
}

async fn bound_tokens(world: Shared) {
    let token = world.token().claim("cnf", json!({"jkt": "abc"})).sign();
    assert_eq!(status(&world, &token).await, 401);
}

async fn id_tokens(world: Shared) {
    let id_token = || world.issuer.id_token().audience("api");
    assert_eq!(
        status(&world, &id_token().sign()).await,
        401,
        "with a nonce"
    );
    assert_eq!(
        status(&world, &id_token().without("nonce").sign()).await,
        401,
        "without"
    );
    for (name, value) in [
        ("at_hash", json!("x")),
        ("c_hash", json!("x")),
        ("s_hash", json!("x")),
        ("events", json!({})),
        ("token_use", json!("id")),
        ("typ", json!("ID")),
        ("typ", json!("Refresh")),
    ] {
        let token = world.token().typ("JWT").claim(name, value).sign();
        assert_eq!(status(&world, &token).await, 401, "{name}");
    }
    for (name, value) in [
        ("scope", json!("a")),
        ("scp", json!(["a"])),
        ("permissions", json!([])),
        ("cid", json!("app")),
        ("appid", json!("app")),
        ("azpacr", json!("1")),
        ("gty", json!("client-credentials")),
        ("token_use", json!("access")),
        ("typ", json!("Bearer")),
    ] {
        let token = world
            .token()
            .typ("JWT")
            .without("client_id")
            .claim(name, value)
            .sign();
        assert_eq!(
            status(&world, &token).await,
            200,
            "{name} marks an access token"
        );
    }
}

async fn strict_profile(world: Shared) {
    for (typ, expected) in [("at+jwt", 200), ("application/at+jwt", 200), ("JWT", 401)] {
        let token = world.token().typ(typ).sign();
        let answer = world
            .get("/parties/strict-chat/a")
            .bearer(&token)
            .status()
            .await;
        assert_eq!(answer, expected, "{typ}");
    }
}

async fn claims_and_credentials(world: Shared) {
    let token = world
        .token()
        .claim("nested", json!({"a": [1, {"b": null}]}))
        .sign();
    let answer = world
        .get("/parties/chat/a")
        .bearer(&token)
        .send()
        .await
        .json();
    assert_eq!(answer["claims"]["sub"], "alice");
    assert_eq!(answer["claims"]["nested"], json!({"a": [1, {"b": null}]}));
    assert!(
        answer["credentials"]["access_token"] == token.as_str(),
        "the token is passed on"
    );
    assert!(answer["credentials"].get("id_token").is_none());
    let lower = world
        .get("/parties/chat/a")
        .header("authorization", &format!("bEaReR   {token}"));
    assert_eq!(lower.status().await, 200);
}

/// The claims are read in a room, and only the host can have brought them there.
async fn claims_of_requests_and_handshakes(world: Shared) {
    let alice = world.alice();
    let path = "/parties/chat/claims";
    let answer = world.get(path).bearer(&alice).send().await.json();
    assert_eq!(answer["request_claims"]["sub"], "alice");
    assert_eq!(answer["request_claims"], answer["claims"]);
    let (mut socket, _) = world.join(&alice, &format!("{path}?tell")).await;
    assert_eq!(socket.json().await["request_claims"], answer["claims"]);
    let nobody = world.get("/parties/optional/claims").send().await.json();
    assert_eq!(nobody["request_claims"], Value::Null);
}

async fn id_token_header(world: Shared) {
    let token = world.token().claim("client_id", "app").sign();
    let seen = async |id_token: String| {
        let request = world
            .get("/parties/chat/a")
            .bearer(&token)
            .header("X-ID-Token", &id_token);
        let answer = request.send().await;
        assert_eq!(
            answer.status, 200,
            "a bad ID token does not refuse the request"
        );
        answer.json()["credentials"]["id_token"] == id_token.as_str()
    };
    let good = || world.issuer.id_token().audience("app");
    assert!(seen(good().sign()).await);
    assert!(
        !seen(good().audience("other").sign()).await,
        "another audience"
    );
    assert!(!seen(good().subject("bob").sign()).await, "another subject");
    assert!(
        !seen(good().expired_for(Duration::from_secs(9)).sign()).await,
        "expired"
    );
    assert!(
        !seen(good().issuer("https://evil.example").sign()).await,
        "another issuer"
    );
    assert!(
        !seen(good().claim("at_hash", "AAAA").sign()).await,
        "a wrong at_hash"
    );
    let forged = good().sign();
    let forged = format!(
        "{}.{}",
        forged.rsplit_once('.').unwrap_or_default().0,
        "A".repeat(342)
    );
    assert!(!seen(forged).await, "a wrong signature");
}

async fn refresh_token_header(world: Shared) {
    for (party, is_passed) in [("chat", false), ("refreshing", true)] {
        let request = world
            .get(&format!("/parties/{party}/a"))
            .bearer(&world.alice());
        let answer = request
            .header("X-Refresh-Token", "r-e-f-r-e-s-h")
            .send()
            .await
            .json();
        let is_seen = answer["credentials"]["refresh_token"] == "r-e-f-r-e-s-h";
        assert_eq!(is_seen, is_passed, "{party}");
    }
}

async fn user_info(world: Shared) {
    let token = world.token().subject("carol").sign();
    let path = "/parties/chat/a/userinfo";
    let before = world.issuer.requests(local_issuer::Endpoint::UserInfo);
    for _ in 0..3 {
        let info = world.get(path).bearer(&token).send().await.json();
        assert_eq!(info["sub"], "carol");
        assert_eq!(
            info["preferred_username"], "carol",
            "unknown members are kept"
        );
    }
    assert_eq!(
        world.issuer.requests(local_issuer::Endpoint::UserInfo),
        before + 1
    );
    world
        .get(&format!("{path}?force"))
        .bearer(&token)
        .send()
        .await;
    assert_eq!(
        world.issuer.requests(local_issuer::Endpoint::UserInfo),
        before + 2
    );
}

async fn scopes_of_both_kinds(world: Shared) {
    for (name, value, expected) in [
        ("scope", json!("rooms:read rooms:write"), 200),
        ("scp", json!(["rooms:write"]), 200),
        ("scp", json!("rooms:write other"), 200),
        ("scope", json!(["rooms:write"]), 403),
        ("scope", json!("rooms:writes"), 403),
        ("scp", json!(7), 403),
    ] {
        let token = world.token().claim(name, value.clone()).sign();
        let answer = world.get("/parties/scoped/a").bearer(&token).status().await;
        assert_eq!(answer, expected, "{name} {value}");
    }
}
