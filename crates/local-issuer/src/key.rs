//! Signing keys, which aws-lc-rs makes.

use std::sync::{Arc, LazyLock};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use serde_json::{Value, json};

use crate::encoding::{base64url, random_text};

/// An algorithm that the issuer signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of RFC 7518")]
pub enum Algorithm {
    Rs256,
    Ps256,
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// The algorithm of an `alg` value.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Rs256, Self::Ps256, Self::Es256, Self::EdDsa]
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    /// The `alg` value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

#[derive(Clone)]
pub(crate) struct SigningKey {
    pub(crate) id: String,
    pub(crate) algorithm: Algorithm,
    pair: Arc<Pair>,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// A new key.
    pub(crate) fn generate(algorithm: Algorithm) -> Self {
        let pair = match algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 => Pair::Rsa(generate_rsa()),
            Algorithm::Es256 => Pair::P256(
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                    .expect("aws-lc makes P-256 keys"),
            ),
            Algorithm::EdDsa => {
                Pair::Ed25519(Ed25519KeyPair::generate().expect("aws-lc makes Ed25519 keys"))
            }
        };
        Self {
            id: random_text(),
            algorithm,
            pair: Arc::new(pair),
        }
    }

    /// The first RSA key of every issuer in the process. It is shared, because making
    /// one takes time and tests start many issuers.
    pub(crate) fn first_rsa() -> Self {
        static FIRST: LazyLock<Arc<Pair>> = LazyLock::new(|| Arc::new(Pair::Rsa(generate_rsa())));
        Self {
            id: random_text(),
            algorithm: Algorithm::Rs256,
            pair: Arc::clone(&FIRST),
        }
    }

    pub(crate) fn sign(&self, algorithm: Algorithm, input: &[u8]) -> Vec<u8> {
        match &*self.pair {
            Pair::Rsa(pair) => {
                let encoding: &dyn RsaEncoding = if algorithm == Algorithm::Ps256 {
                    &RSA_PSS_SHA256
                } else {
                    &RSA_PKCS1_SHA256
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &SystemRandom::new(), input, &mut signature)
                    .expect("an RSA key of 2048 bits signs");
                signature
            }
            Pair::P256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), input);
                signature.expect("a P-256 key signs").as_ref().to_vec()
            }
            Pair::Ed25519(pair) => pair.sign(input).as_ref().to_vec(),
        }
    }

    /// The public key as a JWK.
    pub(crate) fn to_jwk(&self) -> Value {
        let mut jwk = match &*self.pair {
            Pair::Rsa(pair) => {
                let key = pair.public_key();
                json!({
                    "kty": "RSA",
                    "n": base64url(key.modulus().big_endian_without_leading_zero()),
                    "e": base64url(key.exponent().big_endian_without_leading_zero()),
                })
            }
            Pair::P256(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = point[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y)})
            }
            Pair::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key().as_ref())})
            }
        };
        jwk["kid"] = json!(self.id);
        jwk["use"] = json!("sig");
        // An RSA key is for both RS256 and PS256, so it names neither.
        if !matches!(*self.pair, Pair::Rsa(_)) {
            jwk["alg"] = json!(self.algorithm.name());
        }
        jwk
    }
}

fn generate_rsa() -> RsaKeyPair {
    RsaKeyPair::generate(KeySize::Rsa2048).expect("aws-lc makes RSA keys")
}
