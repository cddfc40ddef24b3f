//! Signatures by WebCrypto, with keys that are imported once.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use js_sys::futures::JsFuture;
use js_sys::{Array, Object, Promise, Reflect};
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use crate::algorithm::Algorithm;
use crate::jwks::key::{Curve, Key, KeyMaterial};
use crate::verifier::port::{BoxFuture, PreparedKey, SignatureCheck};
use crate::verify::SignatureValid;

/// Checks signatures with `crypto.subtle`.
#[derive(Debug)]
pub(super) struct WebCrypto;

impl SignatureCheck for WebCrypto {
    fn prepare<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Option<Box<dyn PreparedKey>>> {
        Box::pin(SendWrapper::new(async move {
            // A `CryptoKey` belongs to one algorithm and hash, so the key is imported
            // for each algorithm that fits. Algorithms that the runtime does not
            // support, or not for this key, are left out.
            let mut imported = Vec::new();
            for algorithm in Algorithm::ALL {
                if key.fits(algorithm)
                    && let Ok(own) = Imported::new(key.material(), algorithm).await
                {
                    imported.push(SendWrapper::new(own));
                }
            }
            (!imported.is_empty()).then(|| Box::new(ImportedKeys(imported)) as Box<dyn PreparedKey>)
        }))
    }
}

struct ImportedKeys(Vec<SendWrapper<Imported>>);

impl PreparedKey for ImportedKeys {
    fn check<'a>(
        &'a self,
        algorithm: Algorithm,
        signing_input: &'a [u8],
        signature: &'a [u8],
    ) -> BoxFuture<'a, Option<SignatureValid>> {
        Box::pin(SendWrapper::new(async move {
            let key = self.0.iter().find(|own| own.algorithm == algorithm)?;
            // WebCrypto copies the bytes before it returns.
            let verdict = verify(&key.parameters, &key.key, signature, signing_input).ok()?;
            let verdict = JsFuture::from(verdict).await.ok()?;
            // Only `true` itself counts as a yes.
            (verdict.as_bool() == Some(true)).then(SignatureValid::assertion)
        }))
    }
}

/// A key for one algorithm.
struct Imported {
    algorithm: Algorithm,
    parameters: Object,
    /// The `CryptoKey`.
    key: JsValue,
}

impl Imported {
    async fn new(material: &KeyMaterial, algorithm: Algorithm) -> Result<Self, JsValue> {
        let parameters = Parameters::of(algorithm).to_object()?;
        let jwk = Object::new();
        for (name, value) in jwk_members(material) {
            set(&jwk, name, &value.into())?;
        }
        let usages = Array::of1(&"verify".into());
        let key = import_key("jwk", &jwk, &parameters, false, &usages)?;
        Ok(Self {
            algorithm,
            parameters,
            key: JsFuture::from(key).await?,
        })
    }
}

/// The parameters of an algorithm in WebCrypto, for both `importKey` and `verify`: each
/// reads the members that it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parameters {
    name: &'static str,
    hash: Option<&'static str>,
    named_curve: Option<&'static str>,
    salt_length: Option<u8>,
}

impl Parameters {
    /// RFC 7518 sections 3.3 to 3.5, RFC 8037 section 3.1. The salt of PS is as
    /// long as its hash.
    fn of(algorithm: Algorithm) -> Self {
        use Algorithm::{EdDsa, Es256, Es384, Es512, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        let name = match algorithm {
            Rs256 | Rs384 | Rs512 => "RSASSA-PKCS1-v1_5",
            Ps256 | Ps384 | Ps512 => "RSA-PSS",
            Es256 | Es384 | Es512 => "ECDSA",
            EdDsa => "Ed25519",
        };
        let hash = match algorithm {
            Rs256 | Ps256 | Es256 => Some("SHA-256"),
            Rs384 | Ps384 | Es384 => Some("SHA-384"),
            Rs512 | Ps512 | Es512 => Some("SHA-512"),
            EdDsa => None,
        };
        let named_curve = match algorithm {
            Es256 => Some(curve_name(Curve::P256)),
            Es384 => Some(curve_name(Curve::P384)),
            Es512 => Some(curve_name(Curve::P521)),
            _ => None,
        };
        let salt_length = match algorithm {
            Ps256 => Some(32),
            Ps384 => Some(48),
            Ps512 => Some(64),
            _ => None,
        };
        Self {
            name,
            hash,
            named_curve,
            salt_length,
        }
    }

    fn to_object(self) -> Result<Object, JsValue> {
        let object = Object::new();
        set(&object, "name", &self.name.into())?;
        if let Some(hash) = self.hash {
            set(&object, "hash", &hash.into())?;
        }
        if let Some(curve) = self.named_curve {
            set(&object, "namedCurve", &curve.into())?;
        }
        if let Some(length) = self.salt_length {
            set(&object, "saltLength", &length.into())?;
        }
        Ok(object)
    }
}

/// The members of a JWK (RFC 7518 section 6, RFC 8037 section 2). They are the key
/// material alone, so that nothing else in the provider's key is interpreted a second
/// time.
fn jwk_members(material: &KeyMaterial) -> Vec<(&'static str, String)> {
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    match material {
        KeyMaterial::Rsa { n, e } => {
            vec![("kty", "RSA".into()), ("n", text(n)), ("e", text(e))]
        }
        KeyMaterial::Ec { curve, x, y } => vec![
            ("kty", "EC".into()),
            ("crv", curve_name(*curve).into()),
            ("x", text(x)),
            ("y", text(y)),
        ],
        KeyMaterial::Ed25519 { x } => vec![
            ("kty", "OKP".into()),
            ("crv", "Ed25519".into()),
            ("x", text(x)),
        ],
    }
}

fn curve_name(curve: Curve) -> &'static str {
    match curve {
        Curve::P256 => "P-256",
        Curve::P384 => "P-384",
        Curve::P521 => "P-521",
    }
}

fn set(object: &Object, name: &str, value: &JsValue) -> Result<(), JsValue> {
    Reflect::set(object, &name.into(), value).map(|_| ())
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"], js_name = importKey)]
    fn import_key(
        format: &str,
        key: &Object,
        algorithm: &Object,
        is_extractable: bool,
        usages: &Array,
    ) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"])]
    fn verify(
        algorithm: &Object,
        key: &JsValue,
        signature: &[u8],
        data: &[u8],
    ) -> Result<Promise, JsValue>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwks::key::KeySet;

    #[test]
    fn what_webcrypto_is_told_of_an_algorithm() {
        let rsa = |name, hash, salt_length| Parameters {
            name,
            hash: Some(hash),
            named_curve: None,
            salt_length,
        };
        let ecdsa = |hash, curve| Parameters {
            name: "ECDSA",
            hash: Some(hash),
            named_curve: Some(curve),
            salt_length: None,
        };
        let ed25519 = Parameters {
            name: "Ed25519",
            hash: None,
            named_curve: None,
            salt_length: None,
        };
        let told = Algorithm::ALL.map(|algorithm| (algorithm.name(), Parameters::of(algorithm)));
        assert_eq!(
            told,
            [
                ("RS256", rsa("RSASSA-PKCS1-v1_5", "SHA-256", None)),
                ("RS384", rsa("RSASSA-PKCS1-v1_5", "SHA-384", None)),
                ("RS512", rsa("RSASSA-PKCS1-v1_5", "SHA-512", None)),
                ("ES256", ecdsa("SHA-256", "P-256")),
                ("ES384", ecdsa("SHA-384", "P-384")),
                ("ES512", ecdsa("SHA-512", "P-521")),
                ("PS256", rsa("RSA-PSS", "SHA-256", Some(32))),
                ("PS384", rsa("RSA-PSS", "SHA-384", Some(48))),
                ("PS512", rsa("RSA-PSS", "SHA-512", Some(64))),
                ("EdDSA", ed25519),
            ]
        );
    }

    #[test]
    fn a_key_is_handed_on_as_it_was_published_and_nothing_beside_it() {
        let n = format!("{}Q", "_".repeat(341));
        let x521 = "A".repeat(88);
        for published in [
            serde_json::json!({"kty": "RSA", "n": n, "e": "AQAB"}),
            // The key of RFC 7515 appendix A.3.
            serde_json::json!({
                "kty": "EC", "crv": "P-256",
                "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            }),
            serde_json::json!({"kty": "EC", "crv": "P-384", "x": "B".repeat(64), "y": "C".repeat(64)}),
            serde_json::json!({"kty": "EC", "crv": "P-521", "x": x521, "y": x521}),
            // The key of RFC 8037 appendix A.2.
            serde_json::json!({
                "kty": "OKP", "crv": "Ed25519",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            }),
        ] {
            let mut key = published.clone();
            key["kid"] = "a".into();
            key["use"] = "sig".into();
            key["x5c"] = serde_json::json!(["AAAA"]);
            let set = serde_json::json!({ "keys": [key] }).to_string();
            let set = KeySet::parse(set.as_bytes()).unwrap();
            let handed_on: serde_json::Map<_, _> = jwk_members(set.keys()[0].material())
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect();
            assert_eq!(serde_json::Value::Object(handed_on), published);
        }
    }
}
