//! A provider's JWK Set: which keys are usable, and which keys are tried.
//!
//! The input is the answer of the provider.
#![no_main]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::{Corpus, fuzz_target};
use oauth2_jwt_bearer::Algorithm;
use oauth2_jwt_bearer::jwks::key::{Curve, Key, KeyMaterial, KeySet};
use oauth2_jwt_bearer::jwks::select::Selection;
use oauth2_jwt_bearer::jws::Jws;
use serde_json::{Value, json};

fuzz_target!(|input: &[u8]| -> Corpus {
    let Ok(set) = KeySet::parse(input) else {
        // A refused input is not JSON, or has no array of keys.
        let keys = serde_json::from_slice::<Value>(input).map(|value| value["keys"].is_array());
        assert!(!keys.unwrap_or_default());
        return Corpus::Keep;
    };
    let value: Value = serde_json::from_slice(input).expect("a key set is JSON");
    check_each_for_itself(&set, &value["keys"]);
    for key in set.keys() {
        check_material(key);
    }
    check_selection(&set);
    Corpus::Keep
});

/// The keys beside a key do not make it usable or unusable. What a key says about
/// itself is respected.
fn check_each_for_itself(set: &KeySet, keys: &Value) {
    let mut usable = Vec::new();
    for key in keys.as_array().expect("`keys` is an array") {
        let alone = json!({ "keys": [key] }).to_string();
        let alone = KeySet::parse(alone.as_bytes()).expect("it has an array of keys");
        let [found] = alone.keys() else {
            assert!(alone.keys().is_empty());
            continue;
        };
        let kinds = match found.material() {
            KeyMaterial::Rsa { .. } => "RSA",
            KeyMaterial::Ec { .. } => "EC",
            _ => "OKP",
        };
        assert_eq!(key["kty"], kinds);
        assert!(key.get("use").is_none_or(|usage| usage == "sig"));
        assert!(key.get("key_ops").is_none_or(is_for_verifying));
        assert!(PRIVATE.iter().all(|name| key.get(name).is_none()));
        assert_eq!(key.get("kid").map(Value::as_str), found.id().map(Some));
        if let Some(name) = key.get("alg") {
            let algorithm = name.as_str().and_then(Algorithm::from_name);
            let algorithm = algorithm.expect("a key of an unknown algorithm is skipped");
            let others = Algorithm::ALL
                .into_iter()
                .filter(|other| *other != algorithm);
            assert!(found.fits(algorithm) && !others.into_iter().any(|other| found.fits(other)));
        }
        usable.push(found.clone());
    }
    assert_eq!(set.keys(), usable);
}

fn is_for_verifying(operations: &Value) -> bool {
    operations
        .as_array()
        .is_some_and(|operations| operations.contains(&json!("verify")))
}

/// No key is weaker than the rules say.
fn check_material(key: &Key) {
    let fitting = Algorithm::ALL
        .into_iter()
        .filter(|algorithm| key.fits(*algorithm))
        .count();
    match key.material() {
        KeyMaterial::Rsa { n, e } => {
            let bits = n.len() * 8 - n[0].leading_zeros() as usize;
            assert!((2048..=8192).contains(&bits), "{bits}");
            assert!(n[0] != 0 && e[0] != 0);
            assert!(e.last().is_some_and(|last| last % 2 == 1));
            assert!(e.as_slice() != [1] && e.len() <= 8);
            assert!(matches!(fitting, 1 | 6));
        }
        KeyMaterial::Ec { curve, x, y } => {
            let length = match curve {
                Curve::P256 => 32,
                Curve::P384 => 48,
                Curve::P521 => 66,
            };
            assert_eq!((x.len(), y.len(), fitting), (length, length, 1));
        }
        KeyMaterial::Ed25519 { x } => assert_eq!((x.len(), fitting), (32, 1)),
        other => unreachable!("{other:?}"),
    }
}

/// Only keys that fit are tried, at most four, and only those with the token's `kid` if
/// it has one.
fn check_selection(set: &KeySet) {
    let ids = set.keys().iter().filter_map(Key::id).take(MAX_IDS);
    let ids: Vec<Option<&str>> = ids.map(Some).chain([Some("unknown"), None]).collect();
    for algorithm in Algorithm::ALL {
        let fits = |key: &&Key| key.fits(algorithm);
        for id in &ids {
            let header = json!({"alg": algorithm.name(), "kid": id});
            let header = match id {
                Some(_) => header.to_string(),
                None => json!({"alg": algorithm.name()}).to_string(),
            };
            let token = format!("{}..", URL_SAFE_NO_PAD.encode(header));
            let jws = Jws::parse(&token).expect("the header is right");
            let named: Vec<&Key> = set.keys().iter().filter(|key| key.id() == *id).collect();
            let expected: Vec<&Key> = match id {
                Some(_) => named.iter().copied().filter(fits).take(4).collect(),
                None => set.keys().iter().filter(fits).collect(),
            };
            match set.select(jws.header()) {
                Selection::Candidates(candidates) => {
                    assert_eq!(candidates, expected);
                    assert!(!candidates.is_empty() && candidates.len() <= 4);
                    assert!(id.is_some() || candidates.len() == 1);
                }
                Selection::UnknownKeyId => assert!(id.is_some() && named.is_empty()),
                Selection::NoKeyFits => match id {
                    Some(_) => assert!(!named.is_empty() && expected.is_empty()),
                    None => assert!(expected.len() != 1),
                },
            }
        }
    }
}

const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
/// How many key ids of a set are asked for.
const MAX_IDS: usize = 8;
