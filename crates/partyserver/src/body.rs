//! Request and response bodies: whole or streamed.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::maybe_send::MaybeSend;

/// A body: bytes that are here, or a stream of them.
///
/// A request's body is limited by the host (`PartyOptions::max_body`), and is
/// whole when the room sees it: a client that sends slowly can't hold up a room.
/// Where a hook reads a body itself, reading past the limit gives
/// [`BodyError::TooLarge`], which `?` turns into 413.
pub struct Body(Inner);

enum Inner {
    Whole(Option<Bytes>),
    Stream(Pin<Box<dyn DataStream>>),
}

impl Body {
    /// A body without bytes.
    pub fn empty() -> Self {
        Self(Inner::Whole(None))
    }

    /// A body that is produced while it is sent. A [`StreamEnd`](crate::StreamEnd) may
    /// break it off.
    pub fn stream<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + MaybeSend + 'static,
        B::Error: Into<BodyError>,
    {
        Self(Inner::Stream(Box::pin(body.map_err(Into::into))))
    }

    /// The JSON text of a value.
    ///
    /// # Errors
    /// When the value cannot be written as JSON, a map with keys that are not
    /// strings for example.
    pub fn json(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        serde_json::to_vec(value).map(Self::from)
    }

    /// Whether all of its bytes are already in memory.
    pub fn is_whole(&self) -> bool {
        matches!(self.0, Inner::Whole(_))
    }

    /// Reads the body to its end.
    ///
    /// # Errors
    /// [`BodyError`] when the body is over the limit or its stream breaks.
    pub async fn bytes(self) -> Result<Bytes, BodyError> {
        match self.0 {
            Inner::Whole(bytes) => Ok(bytes.unwrap_or_default()),
            Inner::Stream(stream) => Ok(stream.collect().await?.to_bytes()),
        }
    }

    /// Reads the body to its end, as JSON.
    ///
    /// # Errors
    /// Those of [`Body::bytes`], and [`BodyError::Json`] when it is not JSON
    /// of this shape.
    pub async fn read_json<T: DeserializeOwned>(self) -> Result<T, BodyError> {
        Ok(serde_json::from_slice(&self.bytes().await?)?)
    }
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The client sent more than the limit. Answered by 413.
    #[error("the body is over the limit")]
    TooLarge,
    /// The stream broke before its end. The client went away, or the framing
    /// was wrong. Answered by 400.
    #[error("the body could not be read")]
    Interrupted(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Not the JSON that was expected. The client is at fault. Answered by 400.
    #[error("the body is not the expected JSON")]
    Json(#[from] serde_json::Error),
    /// The [`StreamEnd`](crate::StreamEnd) of an answer ended its body early. By then
    /// the client can no longer be told.
    #[error("the stream's time is up")]
    Ended,
}

impl BodyError {
    /// The HTTP status of the refusal.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Interrupted(_) | Self::Json(_) => StatusCode::BAD_REQUEST,
            Self::Ended => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<std::convert::Infallible> for BodyError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

trait DataStream: HttpBody<Data = Bytes, Error = BodyError> + MaybeSend {}
impl<B: HttpBody<Data = Bytes, Error = BodyError> + MaybeSend> DataStream for B {}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Inner::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Inner::Stream(stream) => stream.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Whole(bytes) => bytes.is_none(),
            Inner::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Inner::Stream(stream) => stream.size_hint(),
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Whole(bytes) => {
                write!(f, "Body({} bytes)", bytes.as_ref().map_or(0, Bytes::len))
            }
            Inner::Stream(_) => f.write_str("Body(stream)"),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Inner::Whole((!bytes.is_empty()).then_some(bytes)))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}
