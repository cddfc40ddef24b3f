//! An OpenID issuer for development and tests: it makes any token, rotates its keys,
//! and fails on demand.
//!
//! It listens on loopback alone and asks for no password, so never use it in
//! production. Pages of other origins can't read its answers, and it answers only to
//! the host names of loopback. A resource server sees a real issuer: discovery, a key
//! set, signatures, and the faults of a provider that has problems.
//!
//! # Example
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use local_issuer::LocalIssuer;
//! use oauth2_jwt_bearer::{AccessToken, Error, Invalid, Policy, Verifier};
//!
//! let issuer = LocalIssuer::builder().start().await?;
//! let verifier = Verifier::builder(Policy::new(issuer.url(), "api")?).build()?;
//!
//! let token = AccessToken::new(issuer.token().subject("bob").sign())?;
//! assert_eq!(verifier.verify(&token).await?.subject(), "bob");
//!
//! let token = AccessToken::new(issuer.token().audience("other").sign())?;
//! assert_eq!(verifier.verify(&token).await.unwrap_err(), Error::Invalid(Invalid::Audience));
//! # Ok(()) }
//! ```

mod admin;
mod answer;
mod encoding;
mod fault;
mod flow;
mod issuer;
mod key;
mod loopback;
mod page;
mod server;
mod session;
mod state;
mod token;
mod userinfo;

pub use fault::{Endpoint, Fault, Hold};
pub use issuer::{Builder, LocalIssuer};
pub use key::Algorithm;
pub use token::TokenBuilder;
