//! From a raw token to a [`VerifiedToken`], step by step.
//!
//! The order is fixed. The checks that need no key come first, and they admit nothing.
//! The signature comes before the times, so that "expired" is said only of a token that
//! is right in everything else.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;

use crate::claims::Claims;
use crate::error::{Error, Invalid};
use crate::json;
use crate::jws::{Header, Jws};
use crate::policy::{Audience, Policy, Profile, TokenMark};
use crate::token::AccessToken;

/// A token that has passed every check that needs no key. Its claims can't be read yet,
/// and its `Debug` does not show them.
pub struct UnverifiedToken<'t> {
    jws: Jws<'t>,
    claims: Claims,
    leeway: std::time::Duration,
}

/// A token that has passed every check. It can't be made in any other way.
#[derive(Clone, Debug)]
pub struct VerifiedToken(Arc<Verified>);

#[derive(Debug)]
struct Verified {
    claims: Claims,
    /// `nbf` less the leeway.
    valid_from: Option<SystemTime>,
    valid_until: SystemTime,
}

/// The statement of a signature check that the signature is right.
///
/// Only implementations of the signature port may make it. Making one without having
/// checked a signature lets anyone in.
#[derive(Debug)]
pub struct SignatureValid(());

impl SignatureValid {
    /// States that the signature was checked and is right.
    pub fn assertion() -> Self {
        Self(())
    }
}

impl<'t> UnverifiedToken<'t> {
    /// Checks structure, algorithm, type, issuer and audience (RFC 9068 section
    /// 4, RFC 8725 section 3).
    ///
    /// # Errors
    /// [`Error::Invalid`] with the cause.
    pub fn parse(token: &'t AccessToken, policy: &Policy) -> Result<Self, Error> {
        let jws = Jws::parse(token.expose())?;
        // RFC 8725 section 3.1: the algorithm is the operator's choice.
        if !policy.algorithms.contains(&jws.header().algorithm()) {
            return Err(Invalid::Algorithm.into());
        }
        let claims = Claims::new(json::parse_object(jws.payload()).ok_or(Invalid::Malformed)?);
        // RFC 9068 section 4, in its order. Step "typ":
        check_type(jws.header(), &claims, policy)?;
        // Step "iss": exactly equal.
        if claims.text("iss") != Some(policy.issuer()) {
            return Err(Invalid::Issuer.into());
        }
        // Step "aud".
        check_audience(&claims, &policy.audience)?;
        // Step "decrypt" is skipped: encrypted tokens have five parts and are refused
        // as malformed. Steps "signature" and "exp" follow in `verified`. The claims
        // that they read must be present.
        check_required(&claims)?;
        Ok(Self {
            jws,
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

    /// The last step: checks the times.
    ///
    /// # Errors
    /// [`Error::Expired`], or [`Invalid::NotYetValid`].
    pub fn verified(self, _: SignatureValid, now: SystemTime) -> Result<VerifiedToken, Error> {
        let not_before = self.claims.time("nbf");
        let valid_from = not_before.and_then(|time| time.checked_sub(self.leeway));
        if valid_from.is_some_and(|from| now < from) {
            return Err(Invalid::NotYetValid.into());
        }
        let expires_at = self.claims.expires_at().ok_or(Invalid::Claim)?;
        let token = VerifiedToken(Arc::new(Verified {
            claims: self.claims,
            valid_from,
            valid_until: expires_at + self.leeway,
        }));
        if token.is_valid_at(now) {
            Ok(token)
        } else {
            Err(Error::Expired)
        }
    }
}

impl fmt::Debug for UnverifiedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UnverifiedToken").field(&self.jws).finish()
    }
}

impl VerifiedToken {
    /// The claims.
    pub fn claims(&self) -> &Claims {
        &self.0.claims
    }

    /// `sub`, never empty.
    pub fn subject(&self) -> &str {
        self.0.claims.subject()
    }

    /// `exp` plus the leeway. From then on nothing may be done on its behalf.
    pub fn valid_until(&self) -> SystemTime {
        self.0.valid_until
    }

    /// Whether the token is valid at a time. The clock may have been set back since the
    /// token was verified.
    pub fn is_valid_at(&self, now: SystemTime) -> bool {
        self.0.valid_from.is_none_or(|from| from <= now) && now < self.0.valid_until
    }
}

fn check_type(header: &Header, claims: &Claims, policy: &Policy) -> Result<(), Invalid> {
    let is_access_token = match (header.token_type(), policy.profile) {
        (Some("at+jwt" | "application/at+jwt"), _) => true,
        (None | Some("jwt"), Profile::Interoperable) => false,
        _ => return Err(Invalid::Type),
    };
    if claims.get("cnf").is_some() {
        return Err(Invalid::Bound);
    }
    if is_access_token || shows_access_token(claims, policy.token_mark) {
        Ok(())
    } else {
        Err(Invalid::NotAccessToken)
    }
}

/// Whether a token without `at+jwt` is an access token and not an ID token.
fn shows_access_token(claims: &Claims, token_mark: TokenMark) -> bool {
    let is_other_kind = claims
        .get("typ")
        .is_some_and(|typ| typ != "Bearer" && typ != "JWT")
        || claims
            .get("token_use")
            .is_some_and(|token_use| token_use != "access")
        || OTHER_KINDS.iter().any(|name| claims.get(name).is_some());
    let is_marked = MARKS.iter().any(|name| claims.get(name).is_some())
        || claims.get("token_use").is_some()
        || claims.get("typ").is_some_and(|typ| typ == "Bearer");
    let is_unmarked_accepted =
        token_mark == TokenMark::NotRequired && claims.get("nonce").is_none();
    !is_other_kind && (is_marked || is_unmarked_accepted)
}

/// Claims of ID tokens (OpenID Connect Core 3.3.2.11) and logout tokens.
const OTHER_KINDS: [&str; 4] = ["at_hash", "c_hash", "s_hash", "events"];

/// Claims that providers put in access tokens but not in ID tokens.
const MARKS: [&str; 8] = [
    "scope",
    "scp",
    "permissions",
    "client_id",
    "cid",
    "appid",
    "azpacr",
    "gty",
];

fn check_audience(claims: &Claims, audience: &Audience) -> Result<(), Invalid> {
    let is_for_us = match audience {
        Audience::AnyOf(ours) => {
            is_text_or_texts(claims.get("aud"))
                && claims
                    .audiences()
                    .any(|theirs| ours.iter().any(|ours| ours == theirs))
        }
        Audience::Client(clients) => {
            let client = match claims.get("client_id") {
                Some(client)
                    if claims
                        .get("token_use")
                        .is_none_or(|token_use| token_use == "access") =>
                {
                    Some(client)
                }
                Some(_) => None,
                None => claims.get("azp"),
            };
            claims.get("aud").is_none()
                && client.is_some_and(|client| clients.iter().any(|ours| client == ours.as_str()))
        }
    };
    if is_for_us {
        Ok(())
    } else {
        Err(Invalid::Audience)
    }
}

fn is_text_or_texts(value: Option<&Value>) -> bool {
    match value {
        Some(Value::String(_)) => true,
        Some(Value::Array(values)) => values.iter().all(Value::is_string),
        _ => false,
    }
}

fn check_required(claims: &Claims) -> Result<(), Invalid> {
    let is_complete = claims
        .text("sub")
        .is_some_and(|subject| !subject.is_empty())
        && claims.get("exp").is_some_and(Value::is_number)
        && claims.get("nbf").is_none_or(Value::is_number)
        // It decides nothing here, but it must be a number (RFC 7519 section 4.1.6), so
        // that later readers find nothing else.
        && claims.get("iat").is_none_or(Value::is_number);
    if is_complete {
        Ok(())
    } else {
        Err(Invalid::Claim)
    }
}

#[cfg(test)]
mod tests;
