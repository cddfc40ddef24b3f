//! What the provider says about the user, remembered until the token ends.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use oauth2_jwt_bearer::{AccessToken, UserInfo, UserInfoError, Verifier};
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use crate::identity::Identity;

/// Whether a remembered answer is good enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refresh {
    /// It is.
    #[default]
    IfNeeded,
    /// The provider is asked again.
    Always,
}

/// Answers by the hash of their token. Their number is limited.
pub(crate) struct UserInfoCache(Cache<[u8; 32], (Arc<UserInfo>, SystemTime)>);

impl UserInfoCache {
    pub(crate) fn new() -> Self {
        Self(Cache::new(CAPACITY))
    }
}

impl fmt::Debug for UserInfoCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserInfoCache")
    }
}

pub(crate) async fn user_info(
    verifier: &Verifier,
    answers: &UserInfoCache,
    token: &AccessToken,
    identity: &Identity,
    refresh: Refresh,
) -> Result<Arc<UserInfo>, UserInfoError> {
    let cache = &answers.0;
    let hash: [u8; 32] = Sha256::digest(token.expose()).into();
    if refresh == Refresh::IfNeeded
        && let Some((info, until)) = cache.get(&hash)
        && verifier.now() < until
    {
        return Ok(info);
    }
    let subject = identity.claims().subject();
    let info = Arc::new(verifier.user_info(token, subject).await?);
    cache.insert(hash, (Arc::clone(&info), identity.valid_until()));
    Ok(info)
}

const CAPACITY: usize = 1000;
