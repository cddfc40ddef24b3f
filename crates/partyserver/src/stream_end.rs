//! The end of an answer that is still being streamed.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::body::{Body, BodyError};
use crate::http_types::Response;
use crate::maybe_send::{BoxFuture, MaybeSend};

/// When to break off an answer's stream, even if its body has more to send.
///
/// It is for wrappers that decide who may listen. It is kept among the answer's
/// extensions, and the host acts on it. The stream fails with [`BodyError::Ended`], so
/// that the client sees an incomplete answer: the connection ends without the last
/// chunk. A whole body is not affected. Bytes that the host has already given to the
/// network can't be called back.
#[derive(Clone, Debug, Default)]
pub struct StreamEnd(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    deadline: Option<SystemTime>,
    is_over: bool,
    waker: Option<Waker>,
}

impl StreamEnd {
    /// The end of an answer's stream, to be set now or later.
    pub fn of(answer: &mut Response) -> Self {
        let extensions = answer.extensions_mut();
        extensions.get_or_insert_default::<Self>().clone()
    }

    /// Ends the stream at a time of the wall clock. The earliest counts.
    pub fn at(&self, deadline: SystemTime) {
        self.change(|state| {
            let earliest = state.deadline.unwrap_or(deadline).min(deadline);
            state.deadline = Some(earliest);
        });
    }

    /// Ends the stream at once.
    pub fn now(&self) {
        self.change(|state| state.is_over = true);
    }

    /// Whether anyone else has a handle to it. The answer itself has one for as long as
    /// it is being sent.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Each change is complete before anything could panic, so a poisoned lock is
    /// harmless.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For hosts: makes an answer obey its [`StreamEnd`], if it has one. `now` is the wall
/// clock, `sleep` the host's timer.
pub fn ending(
    answer: Response,
    now: impl Fn() -> SystemTime + MaybeSend + 'static,
    sleep: impl Fn(Duration) -> BoxFuture<'static, ()> + MaybeSend + 'static,
) -> Response {
    match answer.extensions().get::<StreamEnd>().cloned() {
        Some(end) if !answer.body().is_whole() => answer.map(|body| {
            Body::stream(Ending {
                body: Some(body),
                end,
                now,
                sleep,
                timer: None,
            })
        }),
        _ => answer,
    }
}

struct Ending<N, S> {
    /// Dropped at the end, together with whatever produces it.
    body: Option<Body>,
    end: StreamEnd,
    now: N,
    sleep: S,
    timer: Option<Timer>,
}

/// Nothing in it is pinned: the body and the timer are boxed.
impl<N, S> Unpin for Ending<N, S> {}

/// A timer, and the deadline that it was set for.
type Timer = (SystemTime, BoxFuture<'static, ()>);

impl<N, S> Ending<N, S>
where
    N: Fn() -> SystemTime,
    S: Fn(Duration) -> BoxFuture<'static, ()>,
{
    /// Ready when the stream's time is up.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let deadline = {
                let mut state = self.end.lock();
                if state.is_over {
                    return Poll::Ready(());
                }
                state.waker = Some(cx.waker().clone());
                state.deadline
            };
            let Some(deadline) = deadline else {
                return Poll::Pending;
            };
            let Ok(left) = deadline.duration_since((self.now)()) else {
                return Poll::Ready(());
            };
            if left.is_zero() {
                return Poll::Ready(());
            }
            let timer = match self.timer.take() {
                Some(timer) if timer.0 == deadline => timer,
                _ => (deadline, (self.sleep)(left.min(A_DAY) + A_MOMENT)),
            };
            // The timer only wakes this task. The clock is looked at again and decides.
            ready!(self.timer.insert(timer).1.as_mut().poll(cx));
            self.timer = None;
        }
    }
}

impl<N, S> HttpBody for Ending<N, S>
where
    N: Fn() -> SystemTime,
    S: Fn(Duration) -> BoxFuture<'static, ()>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if this.body.is_some() && this.poll_over(cx).is_ready() {
            this.body = None;
            return Poll::Ready(Some(Err(BodyError::Ended)));
        }
        match &mut this.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.body.as_ref().map(HttpBody::size_hint);
        hint.unwrap_or_default()
    }
}

/// The longest timer that is set. A deadline may be in the year 9999.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Timers may count in whole milliseconds, so one more is added: then the time has
/// passed.
const A_MOMENT: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::BodyExt;

    use super::*;

    /// Says "hello" for ever.
    struct Endless;

    impl HttpBody for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"hello")))))
        }
    }

    type Clock = Arc<Mutex<SystemTime>>;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// An answer on a clock that stands at 100 s; its timers never fire.
    fn answer(body: Body, end: impl FnOnce(&StreamEnd)) -> (Body, StreamEnd, Clock) {
        let clock: Clock = Arc::new(Mutex::new(at(100)));
        let now = Arc::clone(&clock);
        let mut answer = Response::new(body);
        let stream_end = StreamEnd::of(&mut answer);
        end(&stream_end);
        let sleep = |_| Box::pin(std::future::pending()) as BoxFuture<'static, ()>;
        let answer = ending(answer, move || *now.lock().unwrap(), sleep);
        (answer.into_body(), stream_end, clock)
    }

    async fn next(body: &mut Body) -> Option<Result<Bytes, BodyError>> {
        let frame = body.frame().await?;
        Some(frame.map(|frame| frame.into_data().unwrap()))
    }

    #[tokio::test]
    async fn nothing_is_streamed_from_the_earliest_deadline_on() {
        let (mut body, _, clock) = answer(Body::stream(Endless), |end| {
            end.at(at(120));
            end.at(at(110));
            end.at(at(130));
        });
        assert_eq!(next(&mut body).await.unwrap().unwrap(), "hello");
        *clock.lock().unwrap() = at(109);
        assert_eq!(next(&mut body).await.unwrap().unwrap(), "hello");
        *clock.lock().unwrap() = at(110);
        assert!(matches!(next(&mut body).await, Some(Err(BodyError::Ended))));
        assert!(next(&mut body).await.is_none());
    }

    #[tokio::test]
    async fn a_silent_stream_is_ended_too() {
        struct Silent;
        impl HttpBody for Silent {
            type Data = Bytes;
            type Error = Infallible;
            fn poll_frame(
                self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
                Poll::Pending
            }
        }
        let (mut body, end, _) = answer(Body::stream(Silent), |_| {});
        let (ended, ()) = tokio::join!(next(&mut body), async {
            // The stream is waiting by now.
            tokio::task::yield_now().await;
            end.now();
        });
        assert!(matches!(ended, Some(Err(BodyError::Ended))));
    }

    #[tokio::test]
    async fn a_whole_body_is_sent_as_it_is() {
        let (body, _, _) = answer(Body::from("all of it"), StreamEnd::now);
        assert_eq!(body.bytes().await.unwrap(), "all of it");
    }
}
