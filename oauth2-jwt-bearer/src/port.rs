//! What the verifier needs of the world: signature checks, fetches, a clock
//! and tasks.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::algorithm::Algorithm;
use crate::jwks::key::Key;
pub use crate::maybe_send::BoxFuture;
use crate::token::AccessToken;
use crate::verify::SignatureValid;

/// The ports of a verifier. Cheap to clone.
#[derive(Clone)]
pub struct Ports {
    /// Checks signatures.
    pub signatures: Arc<dyn SignatureCheck>,
    /// Fetches documents.
    pub fetch: Arc<dyn Fetch>,
    /// Tells the time and runs tasks.
    pub runtime: Arc<dyn Runtime>,
}

/// Prepares keys for checking signatures.
pub trait SignatureCheck: Send + Sync {
    /// Makes a key ready for use, once. `None` when the key is not usable, a
    /// point that is not on its curve for example.
    fn prepare(&self, key: &Key) -> Option<Box<dyn PreparedKey>>;
}

/// A key that is ready to check signatures.
pub trait PreparedKey: Send + Sync {
    /// Checks a signature. The key was selected for the algorithm.
    ///
    /// Only this method may call [`SignatureValid::assertion`], and only after
    /// it has checked the signature.
    fn check<'a>(
        &'a self,
        algorithm: Algorithm,
        signing_input: &'a [u8],
        signature: &'a [u8],
    ) -> BoxFuture<'a, Option<SignatureValid>>;
}

/// Fetches a document with `GET`.
///
/// An implementation follows no redirect, sends no cookies, and fetches from
/// https alone, or from http on loopback.
pub trait Fetch: Send + Sync {
    /// Fetches.
    fn fetch<'a>(
        &'a self,
        request: FetchRequest<'a>,
    ) -> BoxFuture<'a, Result<FetchResponse, FetchError>>;
}

/// What to fetch, and its limits.
#[derive(Clone, Copy, Debug)]
pub struct FetchRequest<'a> {
    /// An absolute URL.
    pub url: &'a str,
    /// Sent as `Authorization: Bearer`.
    pub bearer: Option<&'a AccessToken>,
    /// A longer body is [`FetchError::TooLarge`].
    pub max_bytes: usize,
    /// For the whole fetch, from connecting to the body's end.
    pub timeout: Duration,
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct FetchResponse {
    /// The status.
    pub status: u16,
    /// The value of `Cache-Control`.
    pub cache_control: Option<String>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Why there is no answer. The network or the provider is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The URL is not https, nor http on loopback.
    #[error("the URL is not https")]
    Insecure,
    /// It took too long.
    #[error("no answer in time")]
    TimedOut,
    /// The body is over the limit.
    #[error("the answer is too large")]
    TooLarge,
    /// No connection, or it broke.
    #[error("no connection: {0}")]
    Connection(String),
}

/// A clock and tasks.
pub trait Runtime: Send + Sync {
    /// The wall clock.
    fn now(&self) -> SystemTime;
    /// Waits.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
    /// Runs a task in the background. `false` when there is nothing to run it
    /// on; then it is dropped.
    fn spawn(&self, task: BoxFuture<'static, ()>) -> bool;
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ports")
    }
}
