//! Keys that are ready to check signatures.

use std::collections::HashMap;
use std::sync::Arc;

use crate::jwks::key::{Key, KeySet};
use crate::port::{PreparedKey, SignatureCheck};

/// A key set and its keys made ready for use. Clones share them.
#[derive(Clone)]
pub(super) struct HeldKeys {
    /// Only keys that could be made ready.
    pub(super) set: Arc<KeySet>,
    pub(super) prepared: Arc<HashMap<Key, Arc<HeldKey>>>,
}

/// A key that is ready for use.
pub(super) struct HeldKey {
    pub(super) key: Arc<Key>,
    pub(super) prepared: Box<dyn PreparedKey>,
}

impl HeldKeys {
    /// Makes keys ready; those that were held before are. Keys that can't be
    /// made ready are left out, as if the provider had not published them.
    pub(super) async fn new(
        mut set: KeySet,
        before: Option<&Self>,
        signatures: &dyn SignatureCheck,
    ) -> Self {
        let mut prepared = HashMap::new();
        for key in set.keys() {
            let held = before.and_then(|before| before.prepared.get(key)).cloned();
            let held = match held {
                Some(held) => Some(held),
                None => signatures.prepare(key).await.map(|prepared| {
                    let key = Arc::new(key.clone());
                    Arc::new(HeldKey { key, prepared })
                }),
            };
            prepared.extend(held.map(|held| (key.clone(), held)));
        }
        set.retain(|key| prepared.contains_key(key));
        Self {
            prepared: Arc::new(prepared),
            set: Arc::new(set),
        }
    }
}
