//! Tokens that were verified before, so that each signature is checked once.

use std::time::SystemTime;

use quick_cache::sync::Cache;

use crate::jwks::key::Key;
use crate::token::AccessToken;
use crate::verifier::provider::Witness;
use crate::verify::VerifiedToken;

/// The SHA-256 of a raw token, which may be kept instead of the token.
pub(crate) type TokenHash = [u8; 32];

/// The hash of a token, by the fastest code available. For a token that was verified
/// before, the hash is most of the cost.
pub(crate) fn token_hash(token: &AccessToken) -> TokenHash {
    #[cfg(feature = "native")]
    {
        use aws_lc_rs::digest::{SHA256, digest};
        let mut hash = TokenHash::default();
        hash.copy_from_slice(digest(&SHA256, token.expose().as_bytes()).as_ref());
        hash
    }
    #[cfg(not(feature = "native"))]
    {
        use sha2::{Digest, Sha256};
        Sha256::digest(token.expose()).into()
    }
}

/// A bounded map from a token's hash to the verified token. It belongs to one policy.
/// An entry ends when the token expires, when its key leaves the key set, or when the
/// key set is too old to use.
pub(crate) struct VerifiedCache(Cache<TokenHash, Entry>);

#[derive(Clone)]
struct Entry {
    token: VerifiedToken,
    /// The key, with the generation in which it was last seen.
    witness: Witness,
}

impl VerifiedCache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self(Cache::new(capacity))
    }

    /// The token, if it is still valid. `holds` says whether the present key set still
    /// has a key. It is called once per generation.
    pub(crate) fn get(
        &self,
        hash: &TokenHash,
        now: SystemTime,
        generation: u64,
        holds: impl FnOnce(&Key) -> bool,
    ) -> Option<VerifiedToken> {
        let mut entry = self.0.get(hash)?;
        let is_alive = entry.token.is_valid_at(now) && now < entry.witness.serves_until;
        if is_alive && entry.witness.generation == generation {
            return Some(entry.token);
        }
        if !is_alive || !holds(&entry.witness.key) {
            self.0.remove(hash);
            return None;
        }
        entry.witness.generation = generation;
        self.0.insert(*hash, entry.clone());
        Some(entry.token)
    }

    pub(crate) fn insert(&self, hash: TokenHash, token: VerifiedToken, witness: Witness) {
        self.0.insert(hash, Entry { token, witness });
    }
}
