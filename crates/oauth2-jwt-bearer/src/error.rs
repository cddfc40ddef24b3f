//! Why a token was not accepted.

use std::time::Duration;

/// Why a request does not carry a valid access token.
///
/// No variant holds any part of a token, so an error can be logged and shown.
/// [`Challenge`](crate::Challenge) turns it into its wire form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing was sent. The client must obtain a token.
    #[error("no access token was sent")]
    Missing,
    /// The request uses two methods at once, or one method twice (RFC 6750 section 2).
    /// The client is at fault.
    #[error("more than one method used for authentication")]
    MultipleMethods,
    /// `Authorization: Bearer` without a token. The client is at fault.
    #[error("the authorization header has no token")]
    EmptyBearer,
    /// The token is over [`MAX_TOKEN_BYTES`](crate::MAX_TOKEN_BYTES). The client is at
    /// fault.
    #[error("the token is too long")]
    TooLarge,
    /// The `DPoP` scheme (RFC 9449), which is not supported. The client must send a
    /// bearer token.
    #[error("the DPoP scheme is not supported")]
    UnsupportedScheme,
    /// The token will never be accepted. The client must obtain another.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// Everything is right except the time. The client must obtain a fresh token.
    #[error("the token has expired")]
    Expired,
    /// The token is valid but lacks a scope. The user must grant more.
    #[error("the token lacks a required scope")]
    InsufficientScope,
    /// The provider, or one of its keys, can't be reached now. No token is at fault;
    /// the client may try again.
    #[error("the identity provider is out of reach")]
    Unavailable {
        /// How long the client should wait, at most half a minute.
        retry_after: Duration,
    },
}

impl Error {
    /// A stable code for logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::MultipleMethods => "multiple_methods",
            Self::EmptyBearer => "empty_bearer",
            Self::TooLarge => "too_large",
            Self::UnsupportedScheme => "unsupported_scheme",
            Self::Invalid(cause) => cause.code(),
            Self::Expired => "expired",
            Self::InsufficientScope => "insufficient_scope",
            Self::Unavailable { .. } => "provider_unavailable",
        }
    }
}

/// Why a token will never be accepted.
///
/// The party that made the token is at fault, usually the issuer. Or the operator
/// configured an issuer or audience that does not match the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// Not a signed JWT in strict compact form (RFC 7515 section 7.1).
    #[error("the token is not a well-formed signed JWT")]
    Malformed,
    /// A `crit` header parameter that is not understood (RFC 7515 section
    /// 4.1.11), or `b64` (RFC 7797).
    #[error("the token has a critical header parameter that is not understood")]
    Critical,
    /// The algorithm is unknown, symmetric, `none`, or not allowed.
    #[error("the token is signed with an algorithm that is not allowed")]
    Algorithm,
    /// `typ` names another kind of token (RFC 9068 section 4, RFC 8725
    /// section 3.11).
    #[error("the token is of another type")]
    Type,
    /// `iss` is missing or not exactly the configured issuer.
    #[error("the token is from another issuer")]
    Issuer,
    /// `aud` is missing or does not contain the configured audience.
    #[error("the token is for another audience")]
    Audience,
    /// It is an ID token, or it has no sign of being an access token (RFC 8725 section
    /// 3.12).
    #[error("the token is not an access token")]
    NotAccessToken,
    /// The token is bound to a key (`cnf`), so it must not be accepted as a bearer
    /// token (RFC 9449 section 7.2).
    #[error("the token is bound to a key")]
    Bound,
    /// A required claim is missing or has the wrong type.
    #[error("the token has a missing or malformed claim")]
    Claim,
    /// The issuer has no key that fits the token.
    #[error("the token is signed with an unknown key")]
    UnknownKey,
    /// The signature is wrong.
    #[error("the token has a wrong signature")]
    Signature,
    /// `nbf` is in the future.
    #[error("the token is not yet valid")]
    NotYetValid,
}

impl Invalid {
    /// A stable code for logs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Critical => "critical_header",
            Self::Algorithm => "algorithm",
            Self::Type => "type",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::NotAccessToken => "not_access_token",
            Self::Bound => "bound",
            Self::Claim => "claim",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::NotYetValid => "not_yet_valid",
        }
    }
}

/// A configuration that can't work. The operator is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct ConfigError {
    setting: &'static str,
    problem: String,
}

impl ConfigError {
    /// An error in a setting. `setting` is the name that the operator knows.
    pub fn new(setting: &'static str, problem: impl Into<String>) -> Self {
        Self {
            setting,
            problem: problem.into(),
        }
    }

    /// The same problem, for a setting that the operator knows by another name, for
    /// example an environment variable.
    #[must_use]
    pub fn named(mut self, setting: &'static str) -> Self {
        self.setting = setting;
        self
    }

    /// The setting at fault.
    pub fn setting(&self) -> &'static str {
        self.setting
    }
}
