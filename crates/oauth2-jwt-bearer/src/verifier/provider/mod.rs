//! One identity provider: its metadata and keys. They are fetched once per process and
//! shared by all verifiers of its tokens.
//!
//! All state is behind one short lock. The future that fetches runs as a task of its
//! own, so a waiter that goes away never ends a fetch. In some runtimes a task belongs
//! to a request and may stop with it. There others do not wait for it for long
//! (`Runtime::patience`).

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use event_listener::Event;

use crate::error::{Error, Invalid};
use crate::jwks::cache::KeyCache;
use crate::jwks::key::Key;
use crate::jwks::select::Selection;
use crate::jws::Header;
use crate::verifier::discovery::Metadata;
use crate::verifier::port::Ports;
use crate::verify::SignatureValid;

mod documents;
mod fetching;
mod held_keys;
#[cfg(any(feature = "native", feature = "web"))]
mod shared;
mod waiting;

use held_keys::{HeldKey, HeldKeys};
#[cfg(any(feature = "native", feature = "web"))]
pub(crate) use shared::Providers;

/// Which provider, and where its keys are if discovery is not used.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ProviderConfig {
    pub(crate) issuer: String,
    pub(crate) jwks_uri: Option<String>,
}

/// An identity provider.
pub(crate) struct Provider {
    config: ProviderConfig,
    ports: Ports,
    state: Mutex<State>,
    /// Counts the key sets that differed from the previous one.
    generation: AtomicU64,
    /// Notified when a fetch has ended.
    fetched: Event,
    /// Notified when a fetch is wanted.
    wanted: Event,
}

struct State {
    cache: KeyCache<HeldKeys>,
    metadata: Option<Arc<Metadata>>,
    /// Whether the metadata may be out of date, because a fetch has failed since.
    is_metadata_doubted: bool,
    /// Why the last fetch failed.
    problem: Option<String>,
    /// Held by the task that fetches, so that the end of the task is noticed.
    task: Weak<()>,
}

/// The keys to try for a token, and the data of their set that a [`Witness`] keeps.
struct Candidates {
    keys: Vec<Arc<HeldKey>>,
    generation: u64,
    serves_until: SystemTime,
}

/// The held keys that fit a token.
enum Selected {
    Candidates(Candidates),
    UnknownKeyId,
    NoKeyFits,
}

impl Candidates {
    /// Tries the keys in turn.
    async fn check(
        self,
        header: &Header,
        signing_input: &[u8],
        signature: &[u8],
    ) -> Result<(SignatureValid, Witness), Error> {
        for held in self.keys {
            let check = held
                .prepared
                .check(header.algorithm(), signing_input, signature);
            if let Some(proof) = check.await {
                let witness = Witness {
                    key: Arc::clone(&held.key),
                    generation: self.generation,
                    serves_until: self.serves_until,
                };
                return Ok((proof, witness));
            }
        }
        Err(Invalid::Signature.into())
    }
}

/// Whether tokens can be verified now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Keys are held.
    Ready,
    /// No keys are held, for this reason.
    NotReady(Cow<'static, str>),
}

/// The key with which a signature was found to be right.
#[derive(Clone)]
pub(crate) struct Witness {
    pub(crate) key: Arc<Key>,
    /// The generation of the key set that it was part of.
    pub(crate) generation: u64,
    /// Until when that set can be used, if no other is fetched.
    pub(crate) serves_until: SystemTime,
}

impl Provider {
    /// A provider that is not shared.
    pub(crate) fn new(config: ProviderConfig, ports: Ports) -> Arc<Self> {
        Arc::new(Self {
            config,
            ports,
            state: Mutex::new(State {
                cache: KeyCache::new(),
                metadata: None,
                is_metadata_doubted: false,
                problem: None,
                task: Weak::new(),
            }),
            generation: AtomicU64::new(0),
            fetched: Event::new(),
            wanted: Event::new(),
        })
    }

    pub(crate) fn ports(&self) -> &Ports {
        &self.ports
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether the present key set has a key.
    pub(crate) fn holds(&self, key: &Key) -> bool {
        let now = self.ports.runtime.now();
        self.lock()
            .cache
            .keys(now)
            .is_some_and(|held| held.get(key).is_some())
    }

    pub(crate) fn readiness(&self) -> Readiness {
        let state = self.lock();
        if state.cache.keys(self.ports.runtime.now()).is_some() {
            return Readiness::Ready;
        }
        Readiness::NotReady(match &state.problem {
            Some(problem) => problem.clone().into(),
            None => "the keys of the identity provider have not been fetched yet".into(),
        })
    }

    /// Checks a signature with the provider's keys, and fetches them if needed. It
    /// waits for at most [`MAX_WAIT`] in all.
    pub(crate) async fn check(
        self: &Arc<Self>,
        header: &Header,
        signing_input: &[u8],
        signature: &[u8],
    ) -> Result<(SignatureValid, Witness), Error> {
        let candidates = self.candidates(header).await?;
        candidates.check(header, signing_input, signature).await
    }

    /// Checks a signature with the keys that are held now. It neither waits nor
    /// fetches.
    pub(crate) async fn check_held(
        &self,
        header: &Header,
        signing_input: &[u8],
        signature: &[u8],
    ) -> Result<SignatureValid, Error> {
        let candidates = {
            let state = self.lock();
            self.select(&state, header, self.ports.runtime.now())
        };
        let candidates = match candidates {
            Some(Selected::Candidates(candidates)) => candidates,
            Some(Selected::UnknownKeyId | Selected::NoKeyFits) => {
                return Err(Invalid::UnknownKey.into());
            }
            None => {
                return Err(Error::Unavailable {
                    retry_after: Duration::from_secs(1),
                });
            }
        };
        let (proof, _) = candidates.check(header, signing_input, signature).await?;
        Ok(proof)
    }

    /// The provider's metadata, if discovery is used. Waits like `check`.
    pub(crate) async fn metadata(self: &Arc<Self>) -> Result<Option<Arc<Metadata>>, Error> {
        self.wait_for(|state, now| {
            if state.cache.keys(now).is_some() {
                return Ok(state.metadata.clone());
            }
            Err(state.cache.need_keys(now))
        })
        .await
    }

    async fn candidates(self: &Arc<Self>, header: &Header) -> Result<Candidates, Error> {
        let arrival = self.lock().cache.arrival();
        // Called after the arrival was noted, so that a fetch that begins here counts
        // for this token.
        self.start();
        let held = {
            let state = self.lock();
            self.select(&state, header, self.ports.runtime.now())
        };
        if let Some(Selected::Candidates(candidates)) = held {
            return Ok(candidates);
        }
        // Few tokens wait. The wait is boxed, so that other tokens need no space for
        // it.
        let found = Box::pin(
            self.wait_for(|state, now| match self.select(state, header, now) {
                None => Err(state.cache.need_keys(now)),
                Some(Selected::Candidates(candidates)) => Ok(Some(candidates)),
                Some(Selected::NoKeyFits) => Ok(None),
                Some(Selected::UnknownKeyId) => {
                    let id = header.key_id().unwrap_or_default();
                    Err(state.cache.need_key(id, arrival, now))
                }
            }),
        )
        .await?;
        found.ok_or_else(|| Invalid::UnknownKey.into())
    }

    /// The held keys to try for a token; `None` when none are held.
    fn select(&self, state: &State, header: &Header, now: SystemTime) -> Option<Selected> {
        let held = state.cache.keys(now)?;
        let serves_until = state.cache.serves_until()?;
        Some(match held.set.select(header) {
            Selection::Candidates(keys) => {
                let keys = keys.into_iter().filter_map(|key| held.get(key).cloned());
                let generation = self.generation();
                Selected::Candidates(Candidates {
                    keys: keys.collect(),
                    generation,
                    serves_until,
                })
            }
            Selection::NoKeyFits => Selected::NoKeyFits,
            Selection::UnknownKeyId => Selected::UnknownKeyId,
        })
    }

    /// No code panics while it holds the lock, and each change is complete.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
