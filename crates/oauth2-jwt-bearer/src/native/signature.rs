//! Signatures by aws-lc-rs, with keys that are parsed once.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    EcdsaVerificationAlgorithm, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
};

use crate::algorithm::Algorithm;
use crate::jwks::key::{Key, KeyMaterial};
use crate::verifier::port::{BoxFuture, PreparedKey, SignatureCheck};
use crate::verify::SignatureValid;

/// Checks signatures with aws-lc-rs.
#[derive(Debug)]
pub(super) struct AwsLc;

impl SignatureCheck for AwsLc {
    fn prepare<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Option<Box<dyn PreparedKey>>> {
        // A key without `alg` may be used with several algorithms, but aws-lc parses a
        // key for one algorithm. So the key is parsed for each algorithm that fits.
        let fitting = Algorithm::ALL
            .into_iter()
            .filter(|algorithm| key.fits(*algorithm));
        let parsed: Vec<(Algorithm, ParsedPublicKey)> = fitting
            .filter_map(|algorithm| Some((algorithm, parse(key.material(), algorithm)?)))
            .collect();
        let key = (!parsed.is_empty()).then(|| Box::new(Parsed(parsed)) as Box<dyn PreparedKey>);
        Box::pin(std::future::ready(key))
    }
}

struct Parsed(Vec<(Algorithm, ParsedPublicKey)>);

impl PreparedKey for Parsed {
    fn check<'a>(
        &'a self,
        algorithm: Algorithm,
        signing_input: &'a [u8],
        signature: &'a [u8],
    ) -> BoxFuture<'a, Option<SignatureValid>> {
        let key = self
            .0
            .iter()
            .find(|(own, _)| *own == algorithm)
            .map(|(_, key)| key);
        let is_valid = key.is_some_and(|key| key.verify_sig(signing_input, signature).is_ok());
        Box::pin(std::future::ready(is_valid.then(SignatureValid::assertion)))
    }
}

fn parse(material: &KeyMaterial, algorithm: Algorithm) -> Option<ParsedPublicKey> {
    match material {
        KeyMaterial::Rsa { n, e } => RsaPublicKeyComponents { n, e }
            .to_parsed_public_key(rsa(algorithm)?)
            .ok(),
        KeyMaterial::Ec { x, y, .. } => {
            // The uncompressed point (SEC 1 section 2.3.3).
            let point = [&[4], x.as_slice(), y].concat();
            ParsedPublicKey::new(ecdsa(algorithm)?, point).ok()
        }
        KeyMaterial::Ed25519 { x } => ParsedPublicKey::new(&ED25519, x).ok(),
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

fn ecdsa(algorithm: Algorithm) -> Option<&'static EcdsaVerificationAlgorithm> {
    Some(match algorithm {
        Algorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
        Algorithm::Es384 => &ECDSA_P384_SHA384_FIXED,
        Algorithm::Es512 => &ECDSA_P521_SHA512_FIXED,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::jwks::key::KeySet;

    fn prepare(key: &str) -> bool {
        let set = format!(r#"{{"keys":[{key}]}}"#);
        let set = KeySet::parse(set.as_bytes()).unwrap();
        let prepared = AwsLc.prepare(&set.keys()[0]);
        prepared.now_or_never().unwrap().is_some()
    }

    #[test]
    fn a_point_off_its_curve_is_no_key() {
        // The key of RFC 7515 appendix A.3, first as it is, then with another y.
        let key = |y: &str| {
            let x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
            format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}"#)
        };
        assert!(prepare(&key("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")));
        assert!(!prepare(&key(
            "y_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
        )));
    }
}
