//! Waits for the result of a fetch.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::{Either, select};

use super::{Provider, State};
use crate::error::{Error, Invalid};
use crate::jwks::cache::Need;
use crate::verifier::port::BoxFuture;

impl Provider {
    /// Calls `attempt` now and after each fetch, until it has an answer, the cache
    /// refuses, or the time is up.
    pub(super) async fn wait_for<T>(
        self: &Arc<Self>,
        attempt: impl Fn(&mut State, SystemTime) -> Result<T, Need>,
    ) -> Result<T, Error> {
        let mut wait = None;
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
            let wait = wait.get_or_insert_with(|| Wait::new(self));
            let is_time_up = match self.ports.runtime.patience() {
                None => wait.is_time_up(fetched).await,
                Some(patience) => {
                    if wait.lasts(self) >= patience {
                        self.begin_beside(patience);
                    }
                    // The timer is used here instead of `fetched`. A task of another
                    // request may notify `fetched`, and this request would then go on
                    // as a part of that one.
                    drop(fetched);
                    let pause = self.ports.runtime.sleep(wait.next_pause());
                    wait.is_time_up(pause).await
                }
            };
            if is_time_up {
                return Err(Error::Unavailable {
                    retry_after: Duration::from_secs(1),
                });
            }
        }
    }
}

/// The whole wait of one request.
struct Wait {
    began: SystemTime,
    /// How long it pauses before it looks again, in runtimes where it can't be woken.
    pause: Duration,
    limit: BoxFuture<'static, ()>,
}

impl Wait {
    fn new(provider: &Provider) -> Self {
        let runtime = &provider.ports.runtime;
        Self {
            began: runtime.now(),
            pause: FIRST_PAUSE,
            limit: runtime.sleep(MAX_WAIT),
        }
    }

    /// Each pause is longer, because many requests wait for a slow provider.
    fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        pause
    }

    fn lasts(&self, provider: &Provider) -> Duration {
        let now = provider.ports.runtime.now();
        now.duration_since(self.began).unwrap_or_default()
    }

    /// Waits for an event. Returns whether the time limit came first.
    async fn is_time_up(&mut self, event: impl Future<Output = ()> + Unpin) -> bool {
        matches!(select(event, &mut self.limit).await, Either::Right(_))
    }
}

/// How long a request waits for the provider, in all. Clients give up a handshake after
/// 4 s.
const MAX_WAIT: Duration = Duration::from_secs(3);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
