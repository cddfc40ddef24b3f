//! One identity provider: its metadata and keys, fetched once per process and
//! shared by everyone who verifies its tokens.
//!
//! All state is behind one short lock; the future that fetches runs as a task
//! of its own, so a waiter that goes away never takes a fetch with it.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use event_listener::Event;
use futures_util::future::{Either, select};

use crate::discovery::Metadata;
use crate::error::{Error, Invalid};
use crate::jwks::cache::{Attempt, KeyCache, Need};
use crate::jwks::key::Key;
use crate::jwks::select::Selection;
use crate::jws::Header;
use crate::port::Ports;
use crate::verify::SignatureValid;

mod documents;
mod held_keys;
#[cfg(feature = "native")]
mod shared;

use documents::Fetched;
use held_keys::{HeldKey, HeldKeys};

/// Which provider, and where its keys are when discovery is not to be used.
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
    /// Counts the key sets that differed from the one before.
    generation: AtomicU64,
    /// Notified when a fetch has ended.
    fetched: Event,
    /// Notified when a fetch is wanted.
    wanted: Event,
}

struct State {
    cache: KeyCache<HeldKeys>,
    metadata: Option<Arc<Metadata>>,
    /// Whether the metadata may be out of date: a fetch failed since.
    is_metadata_doubted: bool,
    /// Why the last fetch failed.
    problem: Option<String>,
    /// Held by the task that fetches, so that its end is noticed.
    task: Weak<()>,
}

/// The keys to try for a token, and what [`Witness`] says of their set.
struct Candidates {
    keys: Vec<Arc<HeldKey>>,
    generation: u64,
    serves_until: SystemTime,
}

/// What the held keys have for a token.
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
    /// They are not, for this reason.
    NotReady(Cow<'static, str>),
}

/// A key that showed a signature to be right.
#[derive(Clone)]
pub(crate) struct Witness {
    pub(crate) key: Arc<Key>,
    /// The generation of the key set that it was part of.
    pub(crate) generation: u64,
    /// Until when that set serves, if no other is fetched.
    pub(crate) serves_until: SystemTime,
}

impl Provider {
    /// A provider that is shared with nobody.
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
            .is_some_and(|held| held.prepared.contains_key(key))
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

    /// Begins to fetch in the background, and goes on for as long as the
    /// provider is in use. Does nothing when that was done before, unless the
    /// runtime it was done on has ended.
    pub(crate) fn start(self: &Arc<Self>) {
        let mut state = self.lock();
        if state.task.strong_count() > 0 {
            return;
        }
        let alive = Arc::new(());
        state.task = Arc::downgrade(&alive);
        drop(state);
        let provider = Arc::downgrade(self);
        let runtime = Arc::clone(&self.ports.runtime);
        self.ports.runtime.spawn(Box::pin(async move {
            while let Some(pause) = fetch_when_due(&provider).await {
                match pause {
                    Pause::For(duration) => {
                        let Some(wanted) = provider.upgrade().map(|this| this.wanted.listen())
                        else {
                            break;
                        };
                        // Asked again after listening, so that no wish is lost.
                        if !provider.upgrade().is_some_and(|this| this.is_due()) {
                            select(wanted, runtime.sleep(duration)).await;
                        }
                    }
                    Pause::None => {}
                }
            }
            drop(alive);
        }));
    }

    /// Checks a signature with the provider's keys, fetching them where that is
    /// needed. It waits for at most [`MAX_WAIT`] in all.
    pub(crate) async fn check(
        self: &Arc<Self>,
        header: &Header,
        signing_input: &[u8],
        signature: &[u8],
    ) -> Result<(SignatureValid, Witness), Error> {
        self.start();
        let candidates = self.candidates(header).await?;
        candidates.check(header, signing_input, signature).await
    }

    /// Checks a signature with the keys that are held now: it neither waits nor
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

    /// The provider's metadata, when it was discovered. Waits like `check`.
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
        let found = self
            .wait_for(|state, now| match self.select(state, header, now) {
                None => Err(state.cache.need_keys(now)),
                Some(Selected::Candidates(candidates)) => Ok(Some(candidates)),
                Some(Selected::NoKeyFits) => Ok(None),
                Some(Selected::UnknownKeyId) => {
                    let id = header.key_id().unwrap_or_default();
                    Err(state.cache.need_key(id, arrival, now))
                }
            })
            .await?;
        found.ok_or_else(|| Invalid::UnknownKey.into())
    }

    /// The held keys to try for a token; `None` when none are held.
    fn select(&self, state: &State, header: &Header, now: SystemTime) -> Option<Selected> {
        let held = state.cache.keys(now)?;
        let serves_until = state.cache.serves_until()?;
        Some(match held.set.select(header) {
            Selection::Candidates(keys) => {
                let keys = keys
                    .into_iter()
                    .filter_map(|key| held.prepared.get(key).cloned());
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

    /// Asks `attempt` now and after each fetch, until it has an answer, the
    /// cache says no, or time is up.
    async fn wait_for<T>(
        self: &Arc<Self>,
        attempt: impl Fn(&mut State, SystemTime) -> Result<T, Need>,
    ) -> Result<T, Error> {
        let mut time_is_up = None;
        loop {
            // Listening begins before asking, so that no fetch is missed.
            let fetched = self.fetched.listen();
            let outcome = attempt(&mut self.lock(), self.ports.runtime.now());
            match outcome {
                Ok(answer) => return Ok(answer),
                Err(Need::Unknown) => return Err(Invalid::UnknownKey.into()),
                Err(Need::Unavailable { retry_after }) => {
                    return Err(Error::Unavailable { retry_after });
                }
                Err(Need::Wait) => {}
            }
            self.start();
            self.wanted.notify(usize::MAX);
            let limit = time_is_up
                .take()
                .unwrap_or_else(|| self.ports.runtime.sleep(MAX_WAIT));
            match select(fetched, limit).await {
                Either::Left(((), limit)) => time_is_up = Some(limit),
                Either::Right(_) => {
                    return Err(Error::Unavailable {
                        retry_after: Duration::from_secs(1),
                    });
                }
            }
        }
    }

    fn is_due(&self) -> bool {
        let now = self.ports.runtime.now();
        self.lock().cache.next_poll(now).is_some_and(|at| at <= now)
    }

    fn handle_fetched(
        &self,
        attempt: Attempt,
        fetched: Result<(HeldKeys, Option<Duration>), String>,
    ) {
        let now = self.ports.runtime.now();
        let issuer = &self.config.issuer;
        // Nothing is logged while the lock is held: a log may be slow.
        if let Err(problem) = &fetched {
            tracing::warn!(%issuer, %problem, "fetching from the identity provider failed");
        }
        let mut state = self.lock();
        let problem_before = state.problem.take();
        let outcome = match fetched {
            Ok(keys) => Some(keys),
            Err(problem) => {
                // The keys may have moved: ask where they are.
                state.is_metadata_doubted = true;
                state.problem = Some(problem);
                None
            }
        };
        let is_back = problem_before.is_some() && outcome.is_some();
        let before = state.cache.keys(now).map(|held| Arc::clone(&held.set));
        if state.cache.handle_fetched(attempt, outcome, now)
            && before.as_ref() != state.cache.keys(now).map(|held| &held.set)
        {
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
        drop(state);
        self.fetched.notify(usize::MAX);
        if is_back {
            tracing::info!(%issuer, "the identity provider is back");
        }
    }

    fn held_keys(&self) -> Option<HeldKeys> {
        let now = self.ports.runtime.now();
        self.lock().cache.keys(now).cloned()
    }

    /// No code panics while it holds the lock, and each change is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Pause {
    None,
    For(Duration),
}

/// One step of the task that fetches; `None` when the provider is gone.
async fn fetch_when_due(provider: &Weak<Provider>) -> Option<Pause> {
    let this = provider.upgrade()?;
    let now = this.ports.runtime.now();
    let attempt = this.lock().cache.poll(now);
    if let Some(attempt) = attempt {
        let under_way = UnderWay::new(&this, attempt);
        let fetched = this.fetch_in_time().await;
        under_way.ends_with(fetched);
        return Some(Pause::None);
    }
    let next = this.lock().cache.next_poll(now);
    let pause = next
        .and_then(|at| at.duration_since(now).ok())
        .unwrap_or(LONGEST_PAUSE);
    // Clamped, so that a clock that jumps is noticed.
    Some(Pause::For(pause.min(LONGEST_PAUSE)))
}

/// A fetch that is under way. One that is cut off, because its runtime ended or
/// a port panicked, has failed: nobody shall wait for it for ever.
struct UnderWay<'p> {
    provider: &'p Provider,
    attempt: Option<Attempt>,
}

impl<'p> UnderWay<'p> {
    fn new(provider: &'p Provider, attempt: Attempt) -> Self {
        Self {
            provider,
            attempt: Some(attempt),
        }
    }

    fn ends_with(mut self, fetched: Fetched) {
        let provider = self.provider;
        // Keys are made ready outside of the lock: that takes a while.
        let before = provider.held_keys();
        let fetched = fetched.map(|(set, max_age)| {
            let signatures = &*provider.ports.signatures;
            (HeldKeys::new(set, before.as_ref(), signatures), max_age)
        });
        if let Some(attempt) = self.attempt.take() {
            provider.handle_fetched(attempt, fetched);
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(attempt) = self.attempt.take() {
            let cut_off = Err("the fetch was cut off".to_owned());
            self.provider.handle_fetched(attempt, cut_off);
        }
    }
}

/// How long a request waits for the provider, in all. Clients give a handshake
/// 4 s.
const MAX_WAIT: Duration = Duration::from_secs(3);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
