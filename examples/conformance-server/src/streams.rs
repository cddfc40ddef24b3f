//! `streams`: answers that never end by themselves.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context as Poller, Poll};

use agents_oauth2_jwt_bearer::{AuthHooks, Overwrite, OwnershipHooks, RoomOwnership};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use partyserver::{Body, Context, Error, Request, Response, Result, Server};

/// Answers by one word and a silence without end. A path may ask for a failure,
/// or for the room to be given to bob first.
#[derive(Debug)]
pub struct Streams;

impl Server for Streams {
    async fn on_request(&mut self, cx: &Context, request: Request) -> Result<Response> {
        match request.uri().path().rsplit('/').next() {
            Some("fails") => return Err(Error::msg("as asked")),
            Some("give-away") => cx.room().set_owner("bob", Overwrite::Yes).await?,
            _ => {}
        }
        Ok(Response::new(Body::stream(OneWord(Some("tick")))))
    }
}
impl AuthHooks for Streams {}
impl OwnershipHooks for Streams {}

struct OneWord(Option<&'static str>);

impl HttpBody for OneWord {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Poller<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.take() {
            Some(word) => Poll::Ready(Some(Ok(Frame::data(word.into())))),
            None => Poll::Pending,
        }
    }
}
