//! The ports on what every web runtime has: signatures by WebCrypto, requests by
//! `fetch`. They were made for Cloudflare Workers, but nothing here works only there.
//!
//! Key sets and verified tokens outlive the request that brought them. A request's
//! timers, fetches and tasks do not: see [`Runtime::patience`].
//!
//! The module compiles for every target, and works where there is a JavaScript engine.
//! Elsewhere its functions panic.
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

/// Runs a task beside the present request, which may end before the task does
/// (`waitUntil` on Workers). `false` when there is no request and nothing else to run
/// the task on; then the task is dropped.
pub type Spawn = fn(BoxFuture<'static, ()>) -> bool;

/// The ports of a web runtime.
///
/// - Signatures: RS, PS and ES 256 to 512, and Ed25519, if the runtime supports them.
///   A key that the runtime can't import is not used.
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
    /// The verifier on the ports of a web runtime ([`ports`]). All such verifiers of
    /// the isolate with the same issuer and `jwks_uri` share one provider, so the keys
    /// of one serve all. The provider uses the `spawn` of the first verifier.
    ///
    /// Building fetches nothing. A fetch begins when a token needs keys, or when
    /// [`Verifier::start`] is called in a request; `spawn` runs the fetch. Keys that
    /// are no longer fresh stay in use while the request that noticed it fetches new
    /// ones beside its own work.
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
    /// Checks the options, and makes the verifier on a web runtime. `spawn` runs a task
    /// beside the present request: `partyserver_workers::spawn` on Workers. All
    /// verifiers of one issuer share its keys.
    ///
    /// # Errors
    /// When an option is missing or invalid; the error names it.
    pub fn build_on_web(self, spawn: Spawn) -> Result<BearerAuth, ConfigError> {
        self.build_with(|verifier| verifier.build_on_web(spawn))
    }
}
