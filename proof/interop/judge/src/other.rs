//! The crate `jsonwebtoken`, used as in its documentation, with every check that it
//! has.

use std::error::Error;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{AlgorithmFamily, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};

use crate::ACCEPTED;

pub(crate) struct Decoder {
    issuer: String,
    audience: String,
    leeway: u64,
    keys: JwkSet,
}

impl Decoder {
    pub(crate) fn new(configuration: &Value) -> Result<Self, Box<dyn Error>> {
        let text = |name: &str| configuration[name].as_str().ok_or(name.to_owned());
        Ok(Self {
            issuer: text("issuer")?.to_owned(),
            audience: text("audience")?.to_owned(),
            leeway: configuration["leeway"].as_u64().ok_or("leeway")?,
            keys: serde_json::from_value(configuration["keys"].clone())?,
        })
    }

    /// The crate's verdict on a token.
    pub(crate) fn judge(&self, token: &str) -> String {
        let key_id = match decode_header(token) {
            Ok(header) => header.kid,
            Err(error) => return name(&error),
        };
        let keys = self.keys.keys.iter().filter(|key| match &key_id {
            Some(id) => key.common.key_id.as_ref() == Some(id),
            None => true,
        });
        let mut verdict = "no key".to_owned();
        for key in keys {
            let decoded = DecodingKey::from_jwk(key).and_then(|key| {
                let validation = self.validation(key.family());
                decode::<Map<String, Value>>(token, &key, &validation)
            });
            match decoded {
                Ok(_) => return ACCEPTED.to_owned(),
                Err(error) => verdict = name(&error),
            }
        }
        verdict
    }

    fn validation(&self, family: AlgorithmFamily) -> Validation {
        let mut validation = Validation::new_for_family(family);
        validation.leeway = self.leeway;
        validation.validate_nbf = true;
        validation.set_audience(&[&self.audience]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation
    }
}

/// The kind of an error, without its details about the token.
fn name(error: &jsonwebtoken::errors::Error) -> String {
    let kind = format!("{:?}", error.kind());
    kind.split('(').next().unwrap_or_default().to_owned()
}
