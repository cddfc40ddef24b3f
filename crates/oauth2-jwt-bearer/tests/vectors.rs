//! Public test vectors for signatures: strict parsing, key selection and signature
//! checks. Most of their payloads are not claims.
//!
//! The vectors are not part of the repository. The tests look for them in
//! `../shared/vectors` beside it, or where `JOSE_VECTORS` points. A test says so when
//! they are absent.
#![cfg(feature = "native")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use oauth2_jwt_bearer::jwks::key::KeySet;
use oauth2_jwt_bearer::jwks::select::Selection;
use oauth2_jwt_bearer::jws::Jws;
use oauth2_jwt_bearer::native::ports;
use serde_json::{Value, json};

/// Reads a file of vectors, or says why the test is ignored.
fn vectors(file: &str) -> Option<Value> {
    let beside = || {
        PathBuf::from(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../../shared/vectors"
        ))
    };
    let folder = std::env::var_os("JOSE_VECTORS").map_or_else(beside, PathBuf::from);
    let Ok(text) = std::fs::read(folder.join(file)) else {
        println!("ignored: {file} is not there; JOSE_VECTORS names the folder of the vectors");
        return None;
    };
    Some(serde_json::from_slice(&text).expect("the vectors are JSON"))
}

/// Whether a token's signature is accepted with the keys of a set.
async fn accepts(token: &str, keys: &Value) -> bool {
    let Ok(jws) = Jws::parse(token) else {
        return false;
    };
    let Ok(set) = KeySet::parse(keys.to_string().as_bytes()) else {
        return false;
    };
    let Selection::Candidates(candidates) = set.select(jws.header()) else {
        return false;
    };
    for key in candidates {
        let Some(key) = ports().signatures.prepare(key).await else {
            continue;
        };
        let algorithm = jws.header().algorithm();
        if key
            .check(algorithm, jws.signing_input(), jws.signature())
            .await
            .is_some()
        {
            return true;
        }
    }
    false
}

/// The key of a JWS group as a set. The test chooses the key of a vector, not the `kid`,
/// so the key gets the name that the token asks for.
fn one_key(key: &Value, token: &str) -> Value {
    let mut key = key.clone();
    if let Ok(jws) = Jws::parse(token) {
        match jws.header().key_id() {
            Some(id) => key["kid"] = json!(id),
            None => {
                key.as_object_mut().map(|key| key.remove("kid"));
            }
        }
    }
    json!({ "keys": [key] })
}

#[tokio::test]
async fn wycheproof_signatures() {
    let Some(vectors) = vectors("json_web_signature_test.json") else {
        return;
    };
    // Marked valid in the file, but refused here: a key for PS256 with a token of PS384
    // (346, 350), a key whose `alg` does not exist (347, 351), and a `?` inside
    // base64url (372, 373).
    let disputed = BTreeSet::from([346, 347, 350, 351, 372, 373]);
    let (mut accepted, mut refused) = (0, 0);
    for group in vectors["testGroups"].as_array().unwrap() {
        let key = group.get("public").unwrap_or(&group["private"]);
        // Symmetric keys are always refused.
        let is_symmetric = key["kty"] == "oct";
        for test in group["tests"].as_array().unwrap() {
            let id = test["tcId"].as_u64().unwrap();
            let token = test["jws"].as_str().unwrap();
            let expected = test["result"] == "valid" && !is_symmetric && !disputed.contains(&id);
            let outcome = accepts(token, &one_key(key, token)).await;
            assert_eq!(outcome, expected, "test {id}: {}", test["comment"]);
            if outcome { accepted += 1 } else { refused += 1 }
        }
    }
    assert_eq!(accepted + refused, 401);
    println!("{accepted} accepted, {refused} refused");
    assert!(accepted >= 30, "{accepted}");
}

#[tokio::test]
async fn wycheproof_keys() {
    let Some(vectors) = vectors("json_web_key_test.json") else {
        return;
    };
    // 1 (a set that mixes kinds of keys) and 4 (one `kid` twice) are ambiguous. Both
    // tokens are HS256, so both are refused like everything symmetric.
    let mut count = 0;
    for group in vectors["testGroups"].as_array().unwrap() {
        let keys = group.get("public").unwrap_or(&group["private"]);
        let keys = if keys.get("keys").is_some() {
            keys.clone()
        } else {
            json!({ "keys": [keys] })
        };
        for test in group["tests"].as_array().unwrap() {
            let token = test["jws"].as_str().unwrap();
            let is_symmetric =
                !matches!(Jws::parse(token), Ok(jws) if jws.header().algorithm().name() != "");
            let expected = test["result"] == "valid" && !is_symmetric;
            let outcome = accepts(token, &keys).await;
            assert_eq!(
                outcome, expected,
                "test {}: {}",
                test["tcId"], test["comment"]
            );
            count += 1;
        }
    }
    assert_eq!(count, 26);
}

#[tokio::test]
async fn rfc7520_cookbook() {
    for (file, expected) in [
        ("jws/4_1.rsa_v15_signature.json", true),
        ("jws/4_2.rsa-pss_signature.json", true),
        ("jws/4_3.ecdsa_signature.json", true),
        ("jws/4_4.hmac-sha2_integrity_protection.json", false),
        ("rfc7797/4.2.hmac-sha2_b64_false.json", false),
        ("curve25519.jws.json", true),
    ] {
        let Some(vector) = vectors(&format!("rfc7520-cookbook/{file}")) else {
            return;
        };
        let token = vector["output"]["compact"].as_str().unwrap_or_default();
        let key = public(&vector["input"]["key"]);
        let mut set = one_key(&key, token);
        // The vector's keys name the operation for which they were made.
        set["keys"][0]
            .as_object_mut()
            .map(|key| key.remove("key_ops"));
        assert_eq!(accepts(token, &set).await, expected, "{file}");
        if expected {
            let broken = token.replacen('.', "A.", 1);
            assert!(!accepts(&broken, &set).await, "{file}, changed");
        }
    }
}

/// A key without its private members, because a provider publishes only public keys.
fn public(key: &Value) -> Value {
    let mut key = key.clone();
    if let Some(key) = key.as_object_mut() {
        key.retain(|name, _| !["d", "p", "q", "dp", "dq", "qi"].contains(&name.as_str()));
    }
    key
}

#[tokio::test]
async fn rfc7515_appendix_a() {
    let Some(vectors) = vectors("rfc7515_7517_7520_7638.json") else {
        return;
    };
    let vectors = &vectors["vectors"];
    let mut checked = 0;
    for (name, expected) in [
        ("rfc7515_A.1", false), // HS256
        ("rfc7515_A.2", true),
        ("rfc7515_A.3", true),
        ("rfc7515_A.4", true),
        ("rfc7515_A.5", false), // none
    ] {
        let token = vectors[format!("{name}.jwsc")]
            .as_str()
            .unwrap_or_default()
            .trim();
        let key = public(&vectors[format!("{name}.jwk")]);
        let set = if key.is_object() {
            one_key(&key, token)
        } else {
            json!({ "keys": [] })
        };
        assert!(!token.is_empty(), "{name}");
        assert_eq!(accepts(token, &set).await, expected, "{name}");
        checked += 1;
    }
    assert_eq!(checked, 5);
}
