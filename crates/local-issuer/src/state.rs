//! The state of an issuer: its keys, faults, counters and codes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fault::{Endpoint, Fault, HoldState};
use crate::key::{Algorithm, SigningKey};

pub(crate) struct Inner {
    pub(crate) origin: String,
    pub(crate) path: String,
    pub(crate) audience: String,
    pub(crate) users: Vec<String>,
    pub(crate) token_lifetime: Duration,
    pub(crate) admin: bool,
    pub(crate) state: Mutex<State>,
}

pub(crate) struct State {
    pub(crate) published: Vec<SigningKey>,
    pub(crate) withdrawn: Vec<SigningKey>,
    pub(crate) faults: HashMap<Endpoint, Fault>,
    pub(crate) holds: HashMap<Endpoint, Arc<HoldState>>,
    pub(crate) requests: HashMap<Endpoint, u64>,
    pub(crate) cache_control: Option<String>,
    pub(crate) codes: HashMap<String, Grant>,
}

/// What an authorization code stands for.
pub(crate) struct Grant {
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) challenge: String,
    pub(crate) subject: String,
    pub(crate) scope: Option<String>,
    pub(crate) audience: String,
    pub(crate) nonce: Option<String>,
    pub(crate) lifetime: Duration,
    pub(crate) expires: Instant,
}

impl Inner {
    pub(crate) fn url(&self) -> String {
        format!("{}{}", self.origin, self.path)
    }

    /// The URL that endpoints are appended to.
    pub(crate) fn base(&self) -> String {
        self.url().trim_end_matches('/').to_owned()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn requests(&self, endpoint: Endpoint) -> u64 {
        let state = self.lock();
        match endpoint {
            Endpoint::All => state.requests.values().sum(),
            one => state.requests.get(&one).copied().unwrap_or_default(),
        }
    }

    pub(crate) fn add_key(&self, algorithm: Algorithm) -> String {
        let key = SigningKey::generate(algorithm);
        let id = key.id.clone();
        self.lock().published.push(key);
        id
    }

    pub(crate) fn withdraw(&self, key_id: &str) {
        let mut state = self.lock();
        if let Some(index) = state.published.iter().position(|key| key.id == key_id) {
            let key = state.published.remove(index);
            state.withdrawn.push(key);
        }
    }

    pub(crate) fn jwks(&self) -> Value {
        let state = self.lock();
        json!({ "keys": state.published.iter().map(SigningKey::to_jwk).collect::<Vec<_>>() })
    }

    pub(crate) fn signing_key(
        &self,
        key_id: Option<&str>,
        algorithm: Option<Algorithm>,
    ) -> SigningKey {
        let find = |state: &State| {
            let mut keys = state.withdrawn.iter().chain(&state.published).rev();
            keys.find(|key| match (key_id, algorithm) {
                (Some(id), _) => key.id == id,
                (None, Some(Algorithm::Ps256)) => key.algorithm == Algorithm::Rs256,
                (None, Some(algorithm)) => key.algorithm == algorithm,
                (None, None) => true,
            })
            .cloned()
        };
        if let Some(key) = find(&self.lock()) {
            return key;
        }
        let key = SigningKey::generate(algorithm.unwrap_or(Algorithm::Rs256));
        let mut state = self.lock();
        // Put in front, so that tokens that name no key are not signed with it.
        state.published.insert(0, key.clone());
        key
    }
}
