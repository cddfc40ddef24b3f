//! The ports on tokio: signatures by aws-lc-rs, requests by hyper.

mod fetch;
mod runtime;
mod signature;

use std::sync::{Arc, LazyLock};

use crate::error::ConfigError;
use crate::verifier::bearer_auth::BearerAuth;
use crate::verifier::bearer_auth_builder::BearerAuthBuilder;
use crate::verifier::driver::{Verifier, VerifierBuilder};
use crate::verifier::port::Ports;
use crate::verifier::provider::Providers;

/// The native ports. All callers share one HTTP client.
pub fn ports() -> Ports {
    static PORTS: LazyLock<Ports> = LazyLock::new(|| Ports {
        signatures: Arc::new(signature::AwsLc),
        fetch: Arc::new(fetch::Hyper::new()),
        runtime: Arc::new(runtime::Tokio),
    });
    PORTS.clone()
}

impl VerifierBuilder {
    /// The verifier on the native ports. All such verifiers of the process with the
    /// same issuer and `jwks_uri` share one provider. It must be used inside a tokio
    /// runtime with its timer and I/O enabled.
    ///
    /// # Errors
    /// When `jwks_uri` is not https (http is allowed on loopback).
    pub fn build(self) -> Result<Verifier, ConfigError> {
        static PROVIDERS: Providers = Providers::new();
        self.finish(|config| PROVIDERS.provider(config, ports))
    }
}

impl BearerAuthBuilder {
    /// Checks the options, and makes the verifier on tokio.
    ///
    /// # Errors
    /// When an option is missing or invalid. The error names the variable.
    pub fn build(self) -> Result<BearerAuth, ConfigError> {
        self.build_with(VerifierBuilder::build)
    }
}
