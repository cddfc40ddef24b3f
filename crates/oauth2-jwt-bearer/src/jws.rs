//! JWS compact serialization, read strictly (RFC 7515).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::algorithm::Algorithm;
use crate::error::Invalid;
use crate::json;

/// A signed token whose structure is right but whose signature was not checked, so
/// nothing in it may be trusted. Its `Debug` shows the header alone.
pub struct Jws<'t> {
    header: Header,
    payload: Vec<u8>,
    signing_input: &'t [u8],
    signature: Vec<u8>,
}

/// The parts of a protected header that verification uses. Keys inside a header (`jwk`,
/// `jku`, `x5u`, `x5c`) are not used: there the sender only vouches for itself (RFC
/// 8725 section 3.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: Option<String>,
    pub(crate) token_type: Option<String>,
}

/// Shows the header alone. The payload is personal, and together with the signature it
/// is the token, a secret.
impl fmt::Debug for Jws<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jws")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

impl Header {
    /// `alg`.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// `kid`.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// `typ`, in lower case.
    pub fn token_type(&self) -> Option<&str> {
        self.token_type.as_deref()
    }
}

impl<'t> Jws<'t> {
    /// Parses `header.payload.signature`: three parts of unpadded base64url without
    /// spare bits. The header must be an object without duplicate members, with an
    /// asymmetric algorithm.
    ///
    /// # Errors
    /// [`Invalid::Malformed`], [`Invalid::Critical`] or [`Invalid::Algorithm`].
    pub fn parse(token: &'t str) -> Result<Self, Invalid> {
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Invalid::Malformed);
        };
        let signing_input = &token.as_bytes()[..header.len() + 1 + payload.len()];
        Ok(Self {
            header: parse_header(&decode(header)?)?,
            payload: decode(payload)?,
            signing_input,
            signature: decode(signature)?,
        })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The payload's bytes.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The bytes that were signed.
    pub fn signing_input(&self) -> &[u8] {
        self.signing_input
    }

    /// The signature.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }
}

/// Decodes unpadded base64url. Refuses spare bits, white space and everything else.
pub(crate) fn decode(part: &str) -> Result<Vec<u8>, Invalid> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Invalid::Malformed)
}

fn parse_header(header: &[u8]) -> Result<Header, Invalid> {
    let (mut algorithm, mut key_id, mut token_type) = (None, None, None);
    let mut is_critical = false;
    json::read_object(header, |name, value| match name {
        "alg" => algorithm = Some(value),
        "kid" => key_id = Some(value),
        "typ" => token_type = Some(value),
        // This parser understands none of the names that may occur in `crit`, and it
        // can't read an unencoded payload (RFC 7797).
        "crit" | "b64" => is_critical = true,
        _ => {}
    })
    .ok_or(Invalid::Malformed)?;
    if is_critical {
        return Err(Invalid::Critical);
    }
    let algorithm = match algorithm {
        Some(Value::String(name)) => Algorithm::from_name(&name).ok_or(Invalid::Algorithm)?,
        _ => return Err(Invalid::Algorithm),
    };
    let key_id = optional_text(key_id)?;
    let mut token_type = optional_text(token_type)?;
    if let Some(token_type) = &mut token_type {
        token_type.make_ascii_lowercase();
    }
    Ok(Header {
        algorithm,
        key_id,
        token_type,
    })
}

fn optional_text(member: Option<Value>) -> Result<Option<String>, Invalid> {
    match member {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Invalid::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(token: &str, expected: Result<Algorithm, Invalid>) {
        assert_eq!(
            Jws::parse(token).map(|jws| jws.header.algorithm),
            expected,
            "{token}"
        );
    }

    fn with_header(header: &str) -> String {
        format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(header))
    }

    #[test]
    fn structure_is_strict() {
        // {"alg":"ES256"}
        let header = "eyJhbGciOiJFUzI1NiJ9";
        check(&format!("{header}.e30.AA"), Ok(Algorithm::Es256));
        for token in [
            "",
            ".",
            "..",
            header,
            &format!("{header}.e30"),
            &format!("{header}.e30.AA.AA.AA"),
            &format!("{header}.e30.AA="),
            &format!("{header}.e30.AB"),
            &format!("{header}.e30.A"),
            &format!("{header}.e30.A A"),
            &format!("{header}.e30.AA\n"),
            &format!("{header}.e30.+/+/"),
            &format!(" {header}.e30.AA"),
            "AA.e30.AA",
        ] {
            check(token, Err(Invalid::Malformed));
        }
    }

    #[test]
    fn headers_are_strict() {
        for (header, expected) in [
            (
                r#"{"alg":"RS256","kid":"a","typ":"AT+JWT"}"#,
                Ok(Algorithm::Rs256),
            ),
            (r#"{"alg":"Ed25519"}"#, Ok(Algorithm::EdDsa)),
            (r#"{"alg":"none"}"#, Err(Invalid::Algorithm)),
            (r#"{"alg":"HS256"}"#, Err(Invalid::Algorithm)),
            (r#"{"alg":"rs256"}"#, Err(Invalid::Algorithm)),
            (r#"{"alg":["RS256"]}"#, Err(Invalid::Algorithm)),
            (r#"{}"#, Err(Invalid::Algorithm)),
            (r#"{"alg":"RS256","crit":["exp"]}"#, Err(Invalid::Critical)),
            (r#"{"alg":"RS256","crit":[]}"#, Err(Invalid::Critical)),
            (r#"{"alg":"RS256","b64":true}"#, Err(Invalid::Critical)),
            (r#"{"alg":"RS256","alg":"RS256"}"#, Err(Invalid::Malformed)),
            (r#"{"alg":"RS256","kid":7}"#, Err(Invalid::Malformed)),
            (r#"{"alg":"RS256","typ":null}"#, Err(Invalid::Malformed)),
            (r#"["alg"]"#, Err(Invalid::Malformed)),
        ] {
            check(&with_header(header), expected);
        }
        let token = with_header(r#"{"alg":"RS256","typ":"AT+JWT"}"#);
        assert_eq!(
            Jws::parse(&token).unwrap().header().token_type(),
            Some("at+jwt")
        );
    }
}
