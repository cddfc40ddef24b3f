//! What the verifier needs from outside: signature checks, fetches, a clock and tasks.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::algorithm::Algorithm;
use crate::jwks::key::Key;
use crate::token::AccessToken;
pub use crate::verifier::maybe_send::BoxFuture;
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
    /// Makes a key ready for use, once. `None` when the key is not usable, for example
    /// because its point is not on its curve. Such a key is left out, as if the
    /// provider had not published it. The keys of a fetch are not used before all of
    /// them are ready.
    fn prepare<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Option<Box<dyn PreparedKey>>>;
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
/// An implementation follows no redirect, sends no cookies, and fetches only from
/// https, or from http on loopback.
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
    /// The time limit of the whole fetch, from connecting to the end of the body.
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
    /// No connection could be made, or it broke.
    #[error("no connection: {0}")]
    Connection(String),
}

/// A clock and tasks.
pub trait Runtime: Send + Sync {
    /// The wall clock.
    fn now(&self) -> SystemTime;
    /// Waits.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
    /// Runs a task in the background. `false` when there is nothing to run it on; then
    /// the task is dropped.
    fn spawn(&self, task: BoxFuture<'static, ()>) -> bool;
    /// Whether a task may outlive the request that began it.
    ///
    /// `None`, the default: it may. One task then fetches for everyone, for as long as
    /// the provider is in use.
    ///
    /// `Some`: it may not. When its request ends, the task may be frozen: neither
    /// completed nor dropped. Also, one request must not wake another: the woken one
    /// would go on as a part of the first, where its own body and sockets can't be used
    /// (Workers: "Cannot perform I/O on behalf of a different request").
    ///
    /// So each fetch is a task of its own, beside the request that found it due. A
    /// request that waits uses its own timer and looks every 20 ms whether the answer
    /// has come. If it has waited for this long, it begins another fetch, because the
    /// one it waits for may be frozen. There are at most three fetches, each at least
    /// this long after the one before. A fetch that has not ended after 12 s no longer
    /// counts.
    fn patience(&self) -> Option<Duration> {
        None
    }
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ports")
    }
}
