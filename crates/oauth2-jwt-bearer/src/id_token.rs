//! An ID token that comes together with an access token (OpenID Connect Core 1.0
//! section 3.1.3.7).
//!
//! An ID token tells the client who the user is, and never grants access here. It is
//! accepted only if it has the same subject as the access token.

use std::fmt;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::claims::Claims;
use crate::error::{Error, Invalid};
use crate::json;
use crate::jws::{Header, Jws};
use crate::policy::Policy;
use crate::token::AccessToken;
use crate::verify::{SignatureValid, VerifiedToken};

/// An ID token that was verified beside its access token.
#[derive(Clone, Debug)]
pub struct IdToken {
    raw: AccessToken,
    claims: Claims,
}

/// An ID token that has passed every check that needs no key and no hash. Its `Debug`
/// shows the header alone.
pub struct UnverifiedIdToken<'t> {
    jws: Jws<'t>,
    raw: &'t AccessToken,
    claims: Claims,
    leeway: std::time::Duration,
}

impl IdToken {
    /// The raw token. It is personal data, so treat it as a secret.
    pub fn raw(&self) -> &AccessToken {
        &self.raw
    }

    /// Its claims.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }
}

impl<'t> UnverifiedIdToken<'t> {
    /// Checks structure, algorithm, issuer, subject and audience. The audience must be
    /// `client_id` if that is configured, else the client that the access token names
    /// (`client_id`, `azp`, `cid` or `appid`).
    ///
    /// # Errors
    /// [`Error::Invalid`] with the cause.
    pub fn parse(
        raw: &'t AccessToken,
        beside: &VerifiedToken,
        client_id: Option<&str>,
        policy: &Policy,
    ) -> Result<Self, Error> {
        let jws = Jws::parse(raw.expose())?;
        if !policy.algorithms.contains(&jws.header().algorithm()) {
            return Err(Invalid::Algorithm.into());
        }
        let claims = Claims::new(json::parse_object(jws.payload()).ok_or(Invalid::Malformed)?);
        if claims.text("iss") != Some(policy.issuer()) {
            return Err(Invalid::Issuer.into());
        }
        let named = || {
            ["client_id", "azp", "cid", "appid"]
                .iter()
                .find_map(|name| beside.claims().text(name))
        };
        let client_id = client_id.or_else(named).ok_or(Invalid::Audience)?;
        if !claims.audiences().any(|audience| audience == client_id) {
            return Err(Invalid::Audience.into());
        }
        if claims.subject() != beside.subject() || !claims.get("exp").is_some_and(Value::is_number)
        {
            return Err(Invalid::Claim.into());
        }
        Ok(Self {
            jws,
            raw,
            claims,
            leeway: policy.leeway,
        })
    }

    /// The header, which is used to select a key.
    pub fn header(&self) -> &Header {
        self.jws.header()
    }

    /// The bytes that were signed.
    pub fn signing_input(&self) -> &[u8] {
        self.jws.signing_input()
    }

    /// The signature.
    pub fn signature(&self) -> &[u8] {
        self.jws.signature()
    }

    /// `at_hash`, if the token has one.
    pub fn access_token_hash(&self) -> Option<&Value> {
        self.claims.get("at_hash")
    }

    /// The last step: checks `exp`, and `at_hash` if there is one. `digest` is the hash
    /// of the access token, made with the hash function of the algorithm.
    ///
    /// # Errors
    /// [`Error::Expired`], or [`Invalid::Claim`] when `at_hash` is wrong.
    pub fn verified(
        self,
        _: SignatureValid,
        digest: Option<&[u8]>,
        now: SystemTime,
    ) -> Result<IdToken, Error> {
        if let Some(expected) = self.access_token_hash() {
            let half = digest.map(|digest| URL_SAFE_NO_PAD.encode(&digest[..digest.len() / 2]));
            if expected.as_str() != half.as_deref() {
                return Err(Invalid::Claim.into());
            }
        }
        if self
            .claims
            .expires_at()
            .is_none_or(|expires_at| now >= expires_at + self.leeway)
        {
            return Err(Error::Expired);
        }
        Ok(IdToken {
            raw: self.raw.clone(),
            claims: self.claims,
        })
    }
}

impl fmt::Debug for UnverifiedIdToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UnverifiedIdToken").field(&self.jws).finish()
    }
}
