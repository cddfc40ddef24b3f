//! One identity provider: its metadata and keys, fetched once per process and
//! shared by everyone who verifies its tokens.
//!
//! All state is behind one short lock; the future that fetches runs as a task
//! of its own, so a waiter that goes away never takes a fetch with it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use event_listener::Event;
use futures_util::future::{Either, select};

use crate::discovery::{Metadata, metadata_urls};
use crate::error::{Error, Invalid};
use crate::jwks::cache::{KeyCache, Need};
use crate::jwks::key::{Key, KeySet};
use crate::jwks::select::Selection;
use crate::jws::Header;
use crate::port::{FetchRequest, Ports, PreparedKey};
use crate::verify::SignatureValid;

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
    /// Why the last fetch failed.
    problem: Option<String>,
    /// Held by the task that fetches, so that its end is noticed.
    task: Weak<()>,
}

/// A key set and its keys made ready for use. Clones share them.
#[derive(Clone)]
struct HeldKeys {
    set: Arc<KeySet>,
    prepared: Arc<HashMap<Key, Arc<HeldKey>>>,
}

/// A key that is made ready when it is first used.
struct HeldKey {
    key: Arc<Key>,
    prepared: OnceLock<Option<Box<dyn PreparedKey>>>,
}

/// Whether tokens can be verified now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Keys are held.
    Ready,
    /// They are not, for this reason.
    NotReady(Cow<'static, str>),
}

/// The proof that a signature is right, and the key that showed it.
pub(crate) struct Checked {
    pub(crate) proof: SignatureValid,
    pub(crate) key: Arc<Key>,
    pub(crate) generation: u64,
}

impl Provider {
    /// The provider of this process. All verifiers on the default ports share
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

    /// A provider that is shared with nobody.
    pub(crate) fn new(config: ProviderConfig, ports: Ports) -> Arc<Self> {
        Arc::new(Self {
            config,
            ports,
            state: Mutex::new(State {
                cache: KeyCache::new(),
                metadata: None,
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
            .is_some_and(|held| held.set.keys().contains(key))
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
    /// provider is in use.
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
    ) -> Result<Checked, Error> {
        let (candidates, generation) = self.candidates(header).await?;
        for held in candidates {
            let signatures = &self.ports.signatures;
            let Some(key) = held.prepared.get_or_init(|| signatures.prepare(&held.key)) else {
                continue;
            };
            let outcome = key
                .check(header.algorithm(), signing_input, signature)
                .await;
            if let Some(proof) = outcome {
                return Ok(Checked {
                    proof,
                    key: Arc::clone(&held.key),
                    generation,
                });
            }
        }
        Err(Invalid::Signature.into())
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

    async fn candidates(
        self: &Arc<Self>,
        header: &Header,
    ) -> Result<(Vec<Arc<HeldKey>>, u64), Error> {
        let arrived = self.ports.runtime.now();
        let found = self
            .wait_for(|state, now| {
                let Some(held) = state.cache.keys(now) else {
                    return Err(state.cache.need_keys(now));
                };
                match held.set.select(header) {
                    Selection::Candidates(keys) => {
                        let prepared = &held.prepared;
                        let keys = keys
                            .into_iter()
                            .filter_map(|key| prepared.get(key).cloned());
                        Ok(Some((keys.collect(), self.generation())))
                    }
                    Selection::NoKeyFits => Ok(None),
                    Selection::UnknownKeyId => {
                        let id = header.key_id().unwrap_or_default();
                        Err(state.cache.need_key(id, arrived, now))
                    }
                }
            })
            .await?;
        found.ok_or_else(|| Invalid::UnknownKey.into())
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

    /// Fetches metadata, where it is not known, and keys.
    async fn fetch(&self) -> Result<(KeySet, Option<Duration>), String> {
        let known = self.lock().metadata.clone();
        let jwks_uri = match (&self.config.jwks_uri, known) {
            (Some(uri), _) => uri.clone(),
            (None, Some(metadata)) => metadata.jwks_uri.clone(),
            (None, None) => {
                let metadata = Arc::new(self.discover().await?);
                self.lock().metadata = Some(Arc::clone(&metadata));
                metadata.jwks_uri.clone()
            }
        };
        let response = self.get(&jwks_uri, "keys").await?;
        if response.status != 200 {
            return Err(format!("keys: the answer has status {}", response.status));
        }
        let keys = KeySet::parse(&response.body).map_err(|error| format!("keys: {error}"))?;
        Ok((keys, response.cache_control.as_deref().and_then(max_age)))
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

    async fn get(&self, url: &str, step: &str) -> Result<crate::port::FetchResponse, String> {
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

    fn handle_fetched(
        &self,
        began: SystemTime,
        outcome: Result<(KeySet, Option<Duration>), String>,
    ) {
        let now = self.ports.runtime.now();
        let mut state = self.lock();
        let outcome = match outcome {
            Ok((set, max_age)) => {
                if state.problem.take().is_some() {
                    tracing::info!(issuer = %self.config.issuer, "the identity provider is back");
                }
                Some((HeldKeys::new(set, state.cache.keys(now)), max_age))
            }
            Err(problem) => {
                tracing::warn!(issuer = %self.config.issuer, %problem, "fetching from the identity provider failed");
                // The keys may have moved: ask where they are.
                state.metadata = None;
                state.problem = Some(problem);
                None
            }
        };
        let before = state.cache.keys(now).map(|held| Arc::clone(&held.set));
        if state.cache.handle_fetched(began, outcome, now)
            && before.as_ref() != state.cache.keys(now).map(|held| &held.set)
        {
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
        drop(state);
        self.fetched.notify(usize::MAX);
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
    let began = this.lock().cache.poll(now);
    if let Some(began) = began {
        let outcome = this.fetch().await;
        this.handle_fetched(began, outcome);
        return Some(Pause::None);
    }
    let next = this.lock().cache.next_poll(now);
    let pause = next
        .and_then(|at| at.duration_since(now).ok())
        .unwrap_or(LONGEST_PAUSE);
    // Clamped, so that a clock that jumps is noticed.
    Some(Pause::For(pause.min(LONGEST_PAUSE)))
}

impl HeldKeys {
    /// Keys that were held before stay prepared.
    fn new(set: KeySet, before: Option<&Self>) -> Self {
        let prepared = set.keys().iter().map(|key| {
            let held = before.and_then(|before| before.prepared.get(key)).cloned();
            let fresh = || {
                Arc::new(HeldKey {
                    key: Arc::new(key.clone()),
                    prepared: OnceLock::new(),
                })
            };
            (key.clone(), held.unwrap_or_else(fresh))
        });
        Self {
            prepared: Arc::new(prepared.collect()),
            set: Arc::new(set),
        }
    }
}

/// `max-age` of a `Cache-Control` (RFC 9111 section 5.2.2); none of `no-store`
/// and `no-cache`.
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

/// How long a request waits for the provider, in all. Clients give a handshake
/// 4 s.
const MAX_WAIT: Duration = Duration::from_secs(3);
/// How long one fetch may take.
const FETCH_LIMIT: Duration = Duration::from_secs(10);
const MAX_DOCUMENT_BYTES: usize = 512 * 1024;
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
