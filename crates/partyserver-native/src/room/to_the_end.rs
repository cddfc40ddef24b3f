//! A turn runs to its end even when nobody waits for it any more.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use partyserver::BoxFuture;

/// Runs a future in place. If the returned future is dropped before the end, because
/// its client left, the rest runs as a task.
pub(crate) async fn to_the_end<T: Send + 'static>(future: BoxFuture<'static, T>) -> T {
    let mut guard = Guard(Some(future));
    poll_fn(|cx| guard.poll(cx)).await
}

struct Guard<T: Send + 'static>(Option<BoxFuture<'static, T>>);

impl<T: Send + 'static> Guard<T> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        let Some(future) = &mut self.0 else {
            return Poll::Pending;
        };
        let outcome = Pin::new(future).poll(cx);
        if outcome.is_ready() {
            self.0 = None;
        }
        outcome
    }
}

impl<T: Send + 'static> Drop for Guard<T> {
    fn drop(&mut self) {
        // Without a runtime everything has ended, including this future.
        if let (Some(future), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current())
        {
            runtime.spawn(future);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_dropped_turn_still_ends() {
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let (end, ended) = tokio::sync::oneshot::channel();
        let mut turn = Box::pin(to_the_end(Box::pin(async move {
            gone.await.unwrap();
            end.send(()).unwrap();
        })));
        assert!((&mut turn).now_or_never().is_none());
        drop(turn);
        go.send(()).unwrap();
        ended.await.unwrap();
    }
}
