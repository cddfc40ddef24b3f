//! The providers of this process.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use super::{Provider, ProviderConfig};
use crate::port::Ports;

impl Provider {
    /// The provider of this process. All verifiers on the native ports share
    /// it.
    pub(crate) fn shared(config: ProviderConfig, ports: Ports) -> Arc<Self> {
        static PROVIDERS: LazyLock<Mutex<HashMap<ProviderConfig, Weak<Provider>>>> =
            LazyLock::new(Mutex::default);
        let mut providers = PROVIDERS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(provider) = providers.get(&config).and_then(Weak::upgrade) {
            return provider;
        }
        providers.retain(|_, provider| provider.strong_count() > 0);
        let provider = Self::new(config.clone(), ports);
        providers.insert(config, Arc::downgrade(&provider));
        provider
    }
}
