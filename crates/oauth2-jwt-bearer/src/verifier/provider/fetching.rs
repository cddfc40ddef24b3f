//! Begins fetches as tasks of their own, and takes their results.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::select;

use super::Provider;
use super::documents::{Documents, Fetched};
use super::held_keys::HeldKeys;
use crate::jwks::cache::Attempt;
use crate::jwks::key::KeySet;

impl Provider {
    /// Begins to fetch in the background. In a runtime where tasks last, fetching goes
    /// on for as long as the provider is in use. A second call does nothing, unless the
    /// runtime of the first call has ended. In other runtimes one fetch is begun, if
    /// one is due.
    pub(crate) fn start(self: &Arc<Self>) {
        if self.ports.runtime.patience().is_none() {
            self.keep_fetching();
            return;
        }
        let attempt = self.lock().cache.poll(self.ports.runtime.now());
        if let Some(attempt) = attempt {
            self.begin(attempt);
        }
    }

    /// Begins a fetch that is due, in runtimes where no task does that by itself.
    pub(crate) fn refresh(self: &Arc<Self>) {
        if self.ports.runtime.patience().is_some() {
            self.start();
        }
    }

    /// Begins an extra fetch beside those that are running, in runtimes where one of
    /// them may never end.
    pub(super) fn begin_beside(self: &Arc<Self>, patience: Duration) {
        let now = self.ports.runtime.now();
        let attempt = self.lock().cache.poll_beside(patience, now);
        if let Some(attempt) = attempt {
            self.begin(attempt);
        }
    }

    /// Begins one fetch. It fails at once if there is nothing to run it on.
    fn begin(self: &Arc<Self>, attempt: Attempt) {
        let fetch = UnderWay::new(Arc::clone(self), attempt).run();
        self.ports.runtime.spawn(Box::pin(fetch));
    }

    fn keep_fetching(self: &Arc<Self>) {
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
                        // The state is read again after listening began, so that no
                        // request to fetch is lost.
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

    fn is_due(&self) -> bool {
        let now = self.ports.runtime.now();
        self.lock().cache.next_poll(now).is_some_and(|at| at <= now)
    }

    fn handle_fetched(&self, attempt: Attempt, fetched: Fetched<HeldKeys>) {
        let now = self.ports.runtime.now();
        let issuer = &self.config.issuer;
        // Nothing is logged while the lock is held, because logging may be slow.
        if let Err(problem) = &fetched {
            tracing::warn!(%issuer, %problem, "fetching from the identity provider failed");
        }
        let mut state = self.lock();
        let before = state.cache.keys(now).map(|held| Arc::clone(&held.set));
        let mut is_back = false;
        match fetched {
            Ok(documents) => {
                let keys = Some((documents.keys, documents.max_age));
                if state.cache.handle_fetched(attempt, keys, now) {
                    is_back = state.problem.take().is_some();
                    if let Some(metadata) = documents.metadata {
                        state.metadata = Some(Arc::new(metadata));
                    }
                    state.is_metadata_doubted = false;
                    if before.as_ref() != state.cache.keys(now).map(|held| &held.set) {
                        self.generation.fetch_add(1, Ordering::AcqRel);
                    }
                }
            }
            Err(problem) => {
                let failures = state.cache.failures();
                state.cache.handle_fetched(attempt, None, now);
                // A late or overtaken fetch says nothing about the provider now.
                if state.cache.failures() > failures {
                    // The keys may have moved, so their place is asked for again.
                    state.is_metadata_doubted = true;
                    state.problem = Some(problem);
                }
            }
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
}

enum Pause {
    None,
    For(Duration),
}

/// One step of the task that keeps fetching. `None` when the provider is gone.
async fn fetch_when_due(provider: &Weak<Provider>) -> Option<Pause> {
    let this = provider.upgrade()?;
    let now = this.ports.runtime.now();
    let attempt = this.lock().cache.poll(now);
    if let Some(attempt) = attempt {
        UnderWay::new(this, attempt).run().await;
        return Some(Pause::None);
    }
    let next = this.lock().cache.next_poll(now);
    let pause = next
        .and_then(|at| at.duration_since(now).ok())
        .unwrap_or(LONGEST_PAUSE);
    // The pause is limited, so that a clock that jumps is noticed.
    Some(Pause::For(pause.min(LONGEST_PAUSE)))
}

/// A fetch that is running. If it is cut off, because its runtime ended or a port
/// panicked, it counts as failed, so that nobody waits for it for ever.
struct UnderWay {
    provider: Arc<Provider>,
    attempt: Option<Attempt>,
}

impl UnderWay {
    fn new(provider: Arc<Provider>, attempt: Attempt) -> Self {
        Self {
            provider,
            attempt: Some(attempt),
        }
    }

    async fn run(mut self) {
        let fetched = match self.provider.fetch_in_time().await {
            Ok(documents) => Ok(self.make_ready(documents).await),
            Err(problem) => Err(problem),
        };
        if let Some(attempt) = self.attempt.take() {
            self.provider.handle_fetched(attempt, fetched);
        }
    }

    /// Keys are made ready outside of the lock, because that takes a while.
    async fn make_ready(&self, documents: Documents<KeySet>) -> Documents<HeldKeys> {
        let provider = &self.provider;
        let before = provider.held_keys();
        let signatures = &*provider.ports.signatures;
        Documents {
            keys: HeldKeys::new(documents.keys, before.as_ref(), signatures).await,
            max_age: documents.max_age,
            metadata: documents.metadata,
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(attempt) = self.attempt.take() {
            let cut_off = Err("the fetch was cut off".to_owned());
            self.provider.handle_fetched(attempt, cut_off);
        }
    }
}

const LONGEST_PAUSE: Duration = Duration::from_secs(60);
