//! The keys of a JWK Set that can check a signature (RFC 7517, RFC 7518
//! section 6, RFC 8037).

use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::jwks::roca;
use crate::jws::decode;

/// The usable keys of a JWK Set. Others are skipped, because a provider may publish
/// keys that this crate does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<Key>,
}

/// A public key that may check signatures.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub(crate) id: Option<String>,
    algorithm: Option<Algorithm>,
    material: KeyMaterial,
}

/// The public key itself. Numbers are big-endian without leading zeros. Coordinates
/// have the length of their curve.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyMaterial {
    /// An RSA key of 2048 to 8192 bits, its exponent odd and over 2.
    Rsa {
        /// The modulus.
        n: Vec<u8>,
        /// The exponent.
        e: Vec<u8>,
    },
    /// A point of a NIST curve. The signature check finds out whether it lies on the
    /// curve.
    Ec {
        /// The curve.
        curve: Curve,
        /// The x coordinate.
        x: Vec<u8>,
        /// The y coordinate.
        y: Vec<u8>,
    },
    /// An Ed25519 key of 32 bytes.
    Ed25519 {
        /// The public key.
        x: Vec<u8>,
    },
}

/// A NIST curve (RFC 7518 section 6.2.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are those of RFC 7518")]
pub enum Curve {
    P256,
    P384,
    P521,
}

/// The text is not a JWK Set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is not a JWK Set")]
#[non_exhaustive]
pub struct NotAKeySet;

impl KeySet {
    /// The usable keys of a JWK Set's JSON.
    ///
    /// These keys are skipped: private or symmetric keys, keys that are not for
    /// signatures (`use`, `key_ops`), keys of an unknown type, curve or algorithm, and
    /// keys that are too weak or malformed.
    ///
    /// # Errors
    /// [`NotAKeySet`], unless the text is an object with an array `keys`.
    pub fn parse(text: &[u8]) -> Result<Self, NotAKeySet> {
        let value: Value = serde_json::from_slice(text).map_err(|_| NotAKeySet)?;
        let keys = value
            .get("keys")
            .and_then(Value::as_array)
            .ok_or(NotAKeySet)?;
        Ok(Self {
            keys: keys
                .iter()
                .filter_map(Value::as_object)
                .filter_map(Key::parse)
                .collect(),
        })
    }

    /// The keys.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Leaves out the keys that prove to be unusable.
    #[cfg(feature = "verifier")]
    pub(crate) fn retain(&mut self, is_usable: impl FnMut(&Key) -> bool) {
        self.keys.retain(is_usable);
    }
}

impl Key {
    fn parse(key: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        let is_private = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"]
            .iter()
            .any(|name| key.contains_key(*name));
        let is_for_signatures = match key.get("use") {
            None => true,
            Some(usage) => usage == "sig",
        };
        let may_verify = match key.get("key_ops") {
            None => true,
            Some(operations) => operations
                .as_array()?
                .iter()
                .any(|operation| operation == "verify"),
        };
        if is_private || !is_for_signatures || !may_verify {
            return None;
        }
        let material = match text("kty")? {
            "RSA" => rsa(text("n")?, text("e")?)?,
            "EC" => ec(text("crv")?, text("x")?, text("y")?)?,
            "OKP" => ed25519(text("crv")?, text("x")?)?,
            _ => return None,
        };
        let algorithm = match key.get("alg") {
            None => None,
            Some(name) => Some(Algorithm::from_name(name.as_str()?)?),
        };
        if algorithm.is_some_and(|algorithm| !material.fits(algorithm)) {
            return None;
        }
        let id = match key.get("kid") {
            None => None,
            Some(id) => Some(id.as_str()?.to_owned()),
        };
        Some(Self {
            id,
            algorithm,
            material,
        })
    }

    /// `kid`.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The public key itself.
    pub fn material(&self) -> &KeyMaterial {
        &self.material
    }

    /// Whether the key may check signatures of this algorithm: its type and
    /// curve fit, and its `alg` is absent or the same.
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithm.is_none_or(|own| own == algorithm) && self.material.fits(algorithm)
    }
}

impl KeyMaterial {
    fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{EdDsa, Es256, Es384, Es512, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        match algorithm {
            Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512 => matches!(self, Self::Rsa { .. }),
            Es256 => matches!(
                self,
                Self::Ec {
                    curve: Curve::P256,
                    ..
                }
            ),
            Es384 => matches!(
                self,
                Self::Ec {
                    curve: Curve::P384,
                    ..
                }
            ),
            Es512 => matches!(
                self,
                Self::Ec {
                    curve: Curve::P521,
                    ..
                }
            ),
            EdDsa => matches!(self, Self::Ed25519 { .. }),
        }
    }
}

fn rsa(n: &str, e: &str) -> Option<KeyMaterial> {
    let n = number(n)?;
    let e = number(e)?;
    let bits = n.len() * 8 - n.first()?.leading_zeros() as usize;
    let is_exponent_good = e.last()? % 2 == 1 && (e.len() > 1 || e[0] > 2) && e.len() <= 8;
    if !(2048..=8192).contains(&bits) || !is_exponent_good || roca::is_weak(&n) {
        return None;
    }
    Some(KeyMaterial::Rsa { n, e })
}

fn ec(curve: &str, x: &str, y: &str) -> Option<KeyMaterial> {
    let (curve, length) = match curve {
        "P-256" => (Curve::P256, 32),
        "P-384" => (Curve::P384, 48),
        "P-521" => (Curve::P521, 66),
        _ => return None,
    };
    let (x, y) = (decode(x).ok()?, decode(y).ok()?);
    (x.len() == length && y.len() == length).then_some(KeyMaterial::Ec { curve, x, y })
}

fn ed25519(curve: &str, x: &str) -> Option<KeyMaterial> {
    let x = decode(x).ok()?;
    (curve == "Ed25519" && x.len() == 32).then_some(KeyMaterial::Ed25519 { x })
}

/// A big-endian number without leading zeros. Some providers write a leading zero.
fn number(text: &str) -> Option<Vec<u8>> {
    let bytes = decode(text).ok()?;
    let start = bytes.iter().position(|byte| *byte != 0)?;
    Some(bytes[start..].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn usable(key: Value) -> usize {
        let set = json!({ "keys": [key, 7, null, { "kty": "future" }] });
        KeySet::parse(set.to_string().as_bytes())
            .unwrap()
            .keys()
            .len()
    }

    fn ed25519() -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
    }

    fn with(name: &str, value: Value) -> Value {
        let mut key = ed25519();
        key[name] = value;
        key
    }

    #[test]
    fn what_a_key_says_of_itself_decides() {
        for (key, is_usable) in [
            (ed25519(), true),
            (with("use", json!("sig")), true),
            (with("use", json!("enc")), false),
            (with("key_ops", json!(["verify"])), true),
            (with("key_ops", json!(["sign"])), false),
            (with("key_ops", json!("verify")), false),
            (with("alg", json!("EdDSA")), true),
            (with("alg", json!("Ed25519")), true),
            (with("alg", json!("ES256")), false),
            (with("alg", json!("ES521")), false),
            (with("alg", json!(7)), false),
            (with("kid", json!(7)), false),
            (with("d", json!("secret")), false),
            (with("crv", json!("X25519")), false),
            (with("x", json!("AAAA")), false),
            (json!({"kty": "oct", "k": "AAAA"}), false),
            (
                json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
                false,
            ),
        ] {
            assert_eq!(usable(key.clone()) == 1, is_usable, "{key}");
        }
    }

    #[test]
    fn weak_rsa_keys_are_skipped() {
        use base64::Engine;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let rsa = |bits: usize, e: &str| {
            let mut n = vec![0xff_u8; bits / 8];
            *n.last_mut().unwrap() = 0xfd;
            usable(json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(n), "e": e}))
        };
        for (bits, e, count) in [
            (2048, "AQAB", 1),
            (2048, "Aw", 1),
            (2048, "AQ", 0),
            (2048, "Ag", 0),
            (2048, "AA", 0),
            (1024, "AQAB", 0),
            (2040, "AQAB", 0),
            (8192, "AQAB", 1),
            (8200, "AQAB", 0),
        ] {
            assert_eq!(rsa(bits, e), count, "{bits} {e}");
        }
    }

    #[test]
    fn a_text_without_keys_is_no_key_set() {
        for text in ["", "[]", "{}", r#"{"keys":{}}"#, "<html>"] {
            assert_eq!(KeySet::parse(text.as_bytes()), Err(NotAKeySet), "{text}");
        }
        assert!(KeySet::parse(br#"{"keys":[]}"#).unwrap().keys().is_empty());
    }
}
