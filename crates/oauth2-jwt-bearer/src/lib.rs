//! Verifies OAuth 2.0 access tokens in JWT form: a token goes in, a [`VerifiedToken`]
//! or a [`Challenge`] comes out (RFC 9068, RFC 6750, RFC 8725).
//!
//! The core does no I/O, has no clock and is not asynchronous. The time is an argument,
//! and keys and signature checks come from outside. It does not issue tokens or
//! interact with users, and it knows only asymmetric signatures.
//!
//! | feature | adds |
//! |---|---|
//! | `verifier` | the driver that fetches and caches keys over two ports, and `BearerAuth`, the steps from a request to an identity |
//! | `native` | the ports on tokio |
//! | `web` | the ports on WebCrypto and `fetch` |
//! | `tower` | `BearerAuth` as a layer: the module `tower` |
//! | `axum` | `Authenticated`, for handlers that need a token: the module `axum` |
//!
//! **The contract:** a [`VerifiedToken`] exists only after every check has passed, and
//! it says until when it is valid.
//!
//! # Example
//! ```
//! use std::time::{Duration, SystemTime};
//! use oauth2_jwt_bearer::{AccessToken, Error, Invalid, Policy, SignatureValid, UnverifiedToken};
//!
//! let policy = Policy::new("https://id.example", "https://api.example")?;
//! // {"alg":"ES256","typ":"at+jwt"}.{"iss":…,"aud":…,"sub":"alice","exp":2000000000}
//! let token = AccessToken::new(
//!     "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.\
//!      eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJhdWQiOiJodHRwczovL2FwaS5leGFtcGxlIiwic3ViIjoiYWxpY2UiLCJleHAiOjIwMDAwMDAwMDB9.\
//!      c2lnbmF0dXJl",
//! )?;
//!
//! // What costs no key is checked first.
//! let unverified = UnverifiedToken::parse(&token, &policy)?;
//! // Your signature check looks at `unverified.signing_input()` and says:
//! let proof = SignatureValid::assertion();
//! let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000);
//! assert_eq!(unverified.verified(proof, now)?.subject(), "alice");
//!
//! let other = Policy::new("https://id.example", "https://other.example")?;
//! assert_eq!(UnverifiedToken::parse(&token, &other).unwrap_err(), Error::Invalid(Invalid::Audience));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod algorithm;
#[cfg(feature = "axum")]
pub mod axum;
mod challenge;
mod claims;
mod error;
mod id_token;
mod json;
pub mod jwks;
pub mod jws;
#[cfg(feature = "native")]
pub mod native;
mod policy;
mod token;
#[cfg(feature = "tower")]
pub mod tower;
#[cfg(feature = "verifier")]
mod verifier;
mod verify;
#[cfg(feature = "web")]
pub mod web;

pub use algorithm::Algorithm;
pub use challenge::Challenge;
pub use claims::Claims;
pub use error::{ConfigError, Error, Invalid};
pub use id_token::{IdToken, UnverifiedIdToken};
pub use policy::{Anonymous, Audience, Policy, Profile, TokenMark};
pub use token::{
    AccessToken, MAX_TOKEN_BYTES, QueryToken, RequestKind, extract, has_query_token,
    protect_query_token, without_query_token,
};
#[cfg(feature = "verifier")]
pub use verifier::{
    bearer_auth::{BearerAuth, DEFAULT_REALM},
    bearer_auth_builder::BearerAuthBuilder,
    discovery,
    driver::{Verifier, VerifierBuilder},
    port,
    provider::Readiness,
    user_info::{UserInfo, UserInfoError},
};
pub use verify::{SignatureValid, UnverifiedToken, VerifiedToken};
