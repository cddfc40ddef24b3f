//! Tokens that were verified already, so that a signature is checked once.

use std::sync::Arc;
use std::time::SystemTime;

use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use crate::jwks::key::Key;
use crate::token::AccessToken;
use crate::verify::VerifiedToken;

/// The SHA-256 of a raw token: what may be kept in its place.
pub(crate) type TokenHash = [u8; 32];

/// The hash of a token.
pub(crate) fn token_hash(token: &AccessToken) -> TokenHash {
    Sha256::digest(token.expose()).into()
}

/// A bounded map from a token's hash to the verified token. It belongs to one
/// policy. An entry dies when the token expires and when its key leaves the
/// key set.
pub(crate) struct VerifiedCache(Cache<TokenHash, Entry>);

#[derive(Clone)]
struct Entry {
    token: VerifiedToken,
    key: Arc<Key>,
    /// The generation of the key set in which the key was last seen.
    generation: u64,
}

impl VerifiedCache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self(Cache::new(capacity))
    }

    /// The token, if it is still valid. `holds` says whether the present key
    /// set still has a key; it is asked once per generation.
    pub(crate) fn get(
        &self,
        hash: &TokenHash,
        now: SystemTime,
        generation: u64,
        holds: impl FnOnce(&Key) -> bool,
    ) -> Option<VerifiedToken> {
        let entry = self.0.get(hash)?;
        if !entry.token.is_valid_at(now) {
            self.0.remove(hash);
            return None;
        }
        if entry.generation != generation {
            if !holds(&entry.key) {
                self.0.remove(hash);
                return None;
            }
            self.0.insert(
                *hash,
                Entry {
                    generation,
                    ..entry.clone()
                },
            );
        }
        Some(entry.token)
    }

    pub(crate) fn insert(
        &self,
        hash: TokenHash,
        token: VerifiedToken,
        key: Arc<Key>,
        generation: u64,
    ) {
        self.0.insert(
            hash,
            Entry {
                token,
                key,
                generation,
            },
        );
    }
}
