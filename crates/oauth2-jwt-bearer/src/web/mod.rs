//! The ports on what every web runtime has: signatures by WebCrypto, requests
//! by `fetch`. Made for Cloudflare Workers; nothing here is theirs alone.
//!
//! Key sets and verified tokens outlive the request that brought them, but a
//! request's timers, fetches and tasks do not: see [`Runtime::patience`].
//!
//! The module compiles for every target, and works where there is a JavaScript
//! engine: elsewhere its functions panic.
//!
//! [`Runtime::patience`]: crate::verifier::port::Runtime::patience

mod fetch;
mod runtime;
mod signature;

use std::sync::Arc;

use crate::error::ConfigError;
use crate::verifier::bearer_auth::BearerAuth;
use crate::verifier::bearer_auth_builder::BearerAuthBuilder;
use crate::verifier::driver::{Verifier, VerifierBuilder};
use crate::verifier::port::{BoxFuture, Ports};
use crate::verifier::provider::Providers;

/// Runs a task beside the present request, which may end before the task does:
/// `waitUntil` on Workers. `false` when there is no request, or nothing else to
/// run it on; then the task is dropped.
pub type Spawn = fn(BoxFuture<'static, ()>) -> bool;

/// The ports of a web runtime.
///
/// - Signatures: RS, PS and ES 256 to 512, and Ed25519, as far as the runtime
///   has them. A key that it does not import is no key.
/// - Requests: `https`, or `http` on loopback. A redirect is not followed. In a
///   browser a request to the page's own origin carries its cookies, and a
///   redirect is [`FetchError::Connection`]: there its status can't be seen.
/// - Time: `Date.now` and `setTimeout`. Patience: 1 s.
///
/// [`FetchError::Connection`]: crate::verifier::port::FetchError::Connection
pub fn ports(spawn: Spawn) -> Ports {
    Ports {
        signatures: Arc::new(signature::WebCrypto),
        fetch: Arc::new(fetch::GlobalFetch),
        runtime: Arc::new(runtime::Web { spawn }),
    }
}

impl VerifierBuilder {
    /// The verifier on the ports of a web runtime ([`ports`]). Its provider
    /// is shared by all such verifiers of the isolate with the same issuer and
    /// `jwks_uri`: the keys of one are there for all, and `spawn` is the first
    /// one's.
    ///
    /// Building fetches nothing. A token that needs keys does, or
    /// [`Verifier::start`], called in a request: `spawn` is given the fetch. Keys
    /// that are no more fresh go on serving while the request that noticed it
    /// fetches others beside its own work.
    ///
    /// # Errors
    /// When `jwks_uri` is not https (http is allowed on loopback).
    pub fn build_on_web(self, spawn: Spawn) -> Result<Verifier, ConfigError> {
        static PROVIDERS: Providers = Providers::new();
        self.cached_tokens_by_default(1_000)
            .finish(|config| PROVIDERS.provider(config, || ports(spawn)))
    }
}

impl BearerAuthBuilder {
    /// Checks the options, and makes the verifier on a web runtime. `spawn` runs a
    /// task beside the present request: `partyserver_workers::spawn` on Workers.
    /// All of one issuer share its keys.
    ///
    /// # Errors
    /// When one is missing or can't work; the error names it.
    pub fn build_on_web(self, spawn: Spawn) -> Result<BearerAuth, ConfigError> {
        self.build_with(|verifier| verifier.build_on_web(spawn))
    }
}
