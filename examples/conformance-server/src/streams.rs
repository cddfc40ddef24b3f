//! `streams`: answers that never end by themselves.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Poller, Poll};

use agents_oauth2_jwt_bearer::{Overwrite, RoomOwnership};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use partyserver::{Body, Context, Error, Request, Response, Result, Server, answer};

/// Answers with one word and then silence without end. A path may ask for a failure,
/// for the room to be given to bob first, or for the number of running answers.
#[derive(Debug, Default)]
pub struct Streams {
    /// Each running answer holds a clone.
    under_way: Arc<()>,
}

impl Server for Streams {
    async fn on_request(&mut self, cx: &Context, request: Request) -> Result<Response> {
        match request.uri().path().rsplit('/').next() {
            Some("fails") => return Err(Error::msg("as asked")),
            Some("count") => return answer::json(&(Arc::strong_count(&self.under_way) - 1)),
            Some("give-away") => cx.room().set_owner("bob", Overwrite::Yes).await?,
            _ => {}
        }
        Ok(Response::new(Body::stream(OneWord {
            word: Some("tick"),
            _under_way: Arc::clone(&self.under_way),
        })))
    }
}

struct OneWord {
    word: Option<&'static str>,
    _under_way: Arc<()>,
}

impl HttpBody for OneWord {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Poller<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.word.take() {
            Some(word) => Poll::Ready(Some(Ok(Frame::data(word.into())))),
            None => Poll::Pending,
        }
    }
}
