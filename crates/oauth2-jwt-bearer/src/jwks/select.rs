//! Which keys of a set may have signed a token.

use crate::jwks::key::{Key, KeySet};
use crate::jws::Header;

/// The keys to try for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection<'k> {
    /// These, in order: at least one, at most four.
    Candidates(Vec<&'k Key>),
    /// The set has no usable key with the token's `kid`. The token may be newer than
    /// the set.
    UnknownKeyId,
    /// The set has the `kid`, but its key is for another algorithm. Or the token has no
    /// `kid`, and the number of keys that fit is not one.
    NoKeyFits,
}

impl KeySet {
    /// The keys to try for a token with this header.
    pub fn select(&self, header: &Header) -> Selection<'_> {
        let Some(id) = header.key_id() else {
            let mut fitting = self
                .keys()
                .iter()
                .filter(|key| key.fits(header.algorithm()));
            return match (fitting.next(), fitting.next()) {
                (Some(only), None) => Selection::Candidates(vec![only]),
                _ => Selection::NoKeyFits,
            };
        };
        let named = || self.keys().iter().filter(|key| key.id() == Some(id));
        if named().next().is_none() {
            return Selection::UnknownKeyId;
        }
        let candidates: Vec<&Key> = named()
            .filter(|key| key.fits(header.algorithm()))
            .take(MAX_CANDIDATES)
            .collect();
        if candidates.is_empty() {
            Selection::NoKeyFits
        } else {
            Selection::Candidates(candidates)
        }
    }
}

/// How many keys with one `kid` are tried. Each costs a signature check.
const MAX_CANDIDATES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::Algorithm;
    use serde_json::{Value, json};

    fn key(id: Value, curve: &str) -> Value {
        let mut key = if curve == "Ed25519" {
            json!({"kty": "OKP", "crv": curve, "x": "A".repeat(43)})
        } else {
            json!({"kty": "EC", "crv": curve, "x": "A".repeat(43), "y": "A".repeat(43)})
        };
        if !id.is_null() {
            key["kid"] = id;
        }
        key
    }

    fn count(keys: Vec<Value>, id: Option<&str>) -> Result<usize, &'static str> {
        let set = KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
        let header = Header {
            algorithm: Algorithm::Es256,
            key_id: id.map(str::to_owned),
            token_type: None,
        };
        match set.select(&header) {
            Selection::Candidates(keys) => Ok(keys.len()),
            Selection::UnknownKeyId => Err("unknown"),
            Selection::NoKeyFits => Err("none fits"),
        }
    }

    #[test]
    fn selection() {
        let (p256, ed25519) = ("P-256", "Ed25519");
        for (keys, id, expected) in [
            (
                vec![key(json!("a"), p256), key(json!("b"), p256)],
                Some("b"),
                Ok(1),
            ),
            (vec![key(json!("a"), p256)], Some("c"), Err("unknown")),
            (vec![key(Value::Null, p256)], Some("c"), Err("unknown")),
            (vec![key(json!("a"), ed25519)], Some("a"), Err("none fits")),
            (vec![key(json!("a"), p256); 6], Some("a"), Ok(4)),
            (
                vec![key(json!("a"), ed25519), key(json!("a"), p256)],
                Some("a"),
                Ok(1),
            ),
            (
                vec![key(json!("a"), p256), key(json!("b"), ed25519)],
                None,
                Ok(1),
            ),
            (vec![key(Value::Null, p256)], None, Ok(1)),
            (
                vec![key(json!("a"), p256), key(json!("b"), p256)],
                None,
                Err("none fits"),
            ),
            (vec![], None, Err("none fits")),
            (vec![], Some("a"), Err("unknown")),
        ] {
            assert_eq!(count(keys.clone(), id), expected, "{keys:?} {id:?}");
        }
    }
}
