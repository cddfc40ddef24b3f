//! Keys that are ready to check signatures.

use std::sync::Arc;

use crate::jwks::key::{Key, KeySet};
use crate::verifier::port::{PreparedKey, SignatureCheck};

/// A key set, with its keys made ready for use. Clones share them.
#[derive(Clone)]
pub(super) struct HeldKeys {
    /// Only keys that could be made ready.
    pub(super) set: Arc<KeySet>,
    /// A list, because there are few keys and hashing a key costs more than a search.
    prepared: Arc<Vec<Arc<HeldKey>>>,
}

/// A key that is ready for use.
pub(super) struct HeldKey {
    pub(super) key: Arc<Key>,
    pub(super) prepared: Box<dyn PreparedKey>,
}

impl HeldKeys {
    /// Makes keys ready. Keys that were held before are ready already. Keys that can't
    /// be made ready are left out, as if the provider had not published them.
    pub(super) async fn new(
        mut set: KeySet,
        before: Option<&Self>,
        signatures: &dyn SignatureCheck,
    ) -> Self {
        let mut prepared = Vec::new();
        for key in set.keys() {
            let held = before.and_then(|before| before.get(key)).cloned();
            prepared.extend(match held {
                Some(held) => Some(held),
                None => signatures.prepare(key).await.map(|prepared| {
                    let key = Arc::new(key.clone());
                    Arc::new(HeldKey { key, prepared })
                }),
            });
        }
        let is_prepared = |key: &Key| prepared.iter().any(|held| *held.key == *key);
        set.retain(is_prepared);
        Self {
            prepared: Arc::new(prepared),
            set: Arc::new(set),
        }
    }

    /// The key, ready for use, if the set has it.
    pub(super) fn get(&self, key: &Key) -> Option<&Arc<HeldKey>> {
        self.prepared.iter().find(|held| *held.key == *key)
    }
}
