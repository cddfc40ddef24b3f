//! The stop of a server: what starts it, and how to see whether it has begun.

use tokio::sync::watch;

/// Whether the server has stopped taking new work. Clones share the state.
#[derive(Clone)]
pub(crate) struct Stop(watch::Sender<bool>);

impl Stop {
    /// The stop of a running server. It has not begun.
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// The server stops from here on. Suppose one task does something new and then
    /// looks at [`Stop::has_begun`], and another calls this and then looks for new
    /// things. Then at least one of them sees the other.
    pub(crate) fn begin(&self) {
        self.0.send_replace(true);
    }

    pub(crate) fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the stop has begun.
    pub(crate) async fn begun(&self) {
        // The sender is held here, so only the stop can end the wait.
        let _ = self.0.subscribe().wait_for(|has_begun| *has_begun).await;
    }
}

/// Ready at SIGTERM or Ctrl-C, for [`Parties::serve_on`](crate::Parties::serve_on).
/// After the call these signals no longer end the process by themselves. Must be called
/// inside a tokio runtime.
pub fn stop_signal() -> impl Future<Output = ()> + Send {
    #[cfg(unix)]
    let signals = {
        use tokio::signal::unix::{SignalKind, signal};
        (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
        )
    };
    async move {
        #[cfg(unix)]
        if let (Ok(mut terminate), Ok(mut interrupt)) = signals {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            return;
        }
        // Without signals the server runs until it is killed.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn all_clones_see_the_stop() {
        let stop = Stop::new();
        let other = stop.clone();
        let mut waiting = Box::pin(other.begun());
        assert!((&mut waiting).now_or_never().is_none());
        assert!(!other.has_begun());
        stop.begin();
        assert!(other.has_begun());
        waiting.await;
        other.begun().await;
    }
}
