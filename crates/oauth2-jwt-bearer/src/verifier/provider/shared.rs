//! Providers that all verifiers of a process, or of an isolate, share.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use super::{Provider, ProviderConfig};
use crate::verifier::port::Ports;

/// Providers on the same ports.
pub(crate) struct Providers(LazyLock<Mutex<HashMap<ProviderConfig, Weak<Provider>>>>);

impl Providers {
    pub(crate) const fn new() -> Self {
        Self(LazyLock::new(Mutex::default))
    }

    /// The provider of this configuration. A provider that nobody uses is forgotten.
    pub(crate) fn provider(
        &self,
        config: ProviderConfig,
        ports: impl FnOnce() -> Ports,
    ) -> Arc<Provider> {
        let mut providers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(provider) = providers.get(&config).and_then(Weak::upgrade) {
            return provider;
        }
        providers.retain(|_, provider| provider.strong_count() > 0);
        let provider = Provider::new(config.clone(), ports());
        providers.insert(config, Arc::downgrade(&provider));
        provider
    }
}
