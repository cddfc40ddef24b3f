//! Fetches a provider's metadata and keys: at most one of each, within 10 s.

use std::time::Duration;

use futures_util::future::{Either, select};

use super::Provider;
use crate::jwks::key::KeySet;
use crate::verifier::discovery::{Metadata, metadata_urls};
use crate::verifier::port::{FetchError, FetchRequest, FetchResponse};

/// The result of a fetch, or what failed.
pub(super) type Fetched<K> = Result<Documents<K>, String>;

/// A key set, and the metadata if it was asked for.
pub(super) struct Documents<K> {
    pub(super) keys: K,
    /// How long the keys are fresh.
    pub(super) max_age: Option<Duration>,
    pub(super) metadata: Option<Metadata>,
}

impl Provider {
    /// Fetches, for at most [`FETCH_LIMIT`] in all, even if the port ignores its time
    /// limit.
    pub(super) async fn fetch_in_time(&self) -> Fetched<KeySet> {
        let fetch = std::pin::pin!(self.fetch());
        match select(fetch, self.ports.runtime.sleep(FETCH_LIMIT)).await {
            Either::Left((fetched, _)) => fetched,
            Either::Right(_) => Err(FetchError::TimedOut.to_string()),
        }
    }

    /// Fetches metadata, if it is not known, and keys.
    async fn fetch(&self) -> Fetched<KeySet> {
        let known = {
            let state = self.lock();
            let metadata = state.metadata.clone();
            metadata.filter(|_| !state.is_metadata_doubted)
        };
        let (jwks_uri, metadata) = match (&self.config.jwks_uri, known) {
            (Some(uri), _) => (uri.clone(), None),
            (None, Some(metadata)) => (metadata.jwks_uri.clone(), None),
            (None, None) => {
                let metadata = self.discover().await?;
                (metadata.jwks_uri.clone(), Some(metadata))
            }
        };
        let response = self.get(&jwks_uri, "keys").await?;
        if response.status != 200 {
            return Err(format!("keys: the answer has status {}", response.status));
        }
        let keys = KeySet::parse(&response.body).map_err(|error| format!("keys: {error}"))?;
        Ok(Documents {
            keys,
            max_age: response.cache_control.as_deref().and_then(max_age),
            metadata,
        })
    }

    async fn discover(&self) -> Result<Metadata, String> {
        let [openid, oauth] = metadata_urls(&self.config.issuer);
        let mut response = self.get(&openid, "discovery").await?;
        if response.status == 404 {
            response = self.get(&oauth, "discovery").await?;
        }
        if response.status != 200 {
            return Err(format!(
                "discovery: the answer has status {}",
                response.status
            ));
        }
        Metadata::parse(&response.body, &self.config.issuer)
            .map_err(|error| format!("discovery: {error}"))
    }

    async fn get(&self, url: &str, step: &str) -> Result<FetchResponse, String> {
        let request = FetchRequest {
            url,
            bearer: None,
            max_bytes: MAX_DOCUMENT_BYTES,
            timeout: FETCH_LIMIT,
        };
        self.ports
            .fetch
            .fetch(request)
            .await
            .map_err(|error| format!("{step}: {error}"))
    }
}

/// `max-age` of a `Cache-Control` (RFC 9111 section 5.2.2). `None` with `no-store` or
/// `no-cache`.
fn max_age(cache_control: &str) -> Option<Duration> {
    let mut age = None;
    for directive in cache_control.split(',') {
        let directive = directive.trim().to_ascii_lowercase();
        if directive == "no-store" || directive == "no-cache" {
            return Some(Duration::ZERO);
        }
        if let Some(seconds) = directive.strip_prefix("max-age=") {
            age = seconds
                .trim_matches('"')
                .parse()
                .ok()
                .map(Duration::from_secs);
        }
    }
    age
}

/// How long one fetch may take.
const FETCH_LIMIT: Duration = Duration::from_secs(10);
const MAX_DOCUMENT_BYTES: usize = 512 * 1024;
