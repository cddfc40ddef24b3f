//! A WebSocket message, as rooms see it.

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::DeserializeOwned;

/// One whole message, text or binary. Fragments never reach a room.
///
/// Cloning shares the bytes: a broadcast holds one copy, however many connections
/// receive it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Valid UTF-8.
    Text(ByteString),
    /// Any bytes.
    Binary(Bytes),
}

impl Message {
    /// The text of a text message.
    ///
    /// # Errors
    /// [`NotText`] for a binary message.
    pub fn as_text(&self) -> Result<&str, NotText> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Binary(_) => Err(NotText),
        }
    }

    /// The payload of either kind.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The message's JSON as a `T`, from text or binary.
    ///
    /// # Errors
    /// When the payload is not JSON, or not of this shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(self.as_bytes())
    }
}

/// The message was binary where a text was expected. The client is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message is binary, not text")]
#[non_exhaustive]
pub struct NotText;

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<ByteString> for Message {
    fn from(text: ByteString) -> Self {
        Self::Text(text)
    }
}

impl From<serde_json::Value> for Message {
    fn from(value: serde_json::Value) -> Self {
        Self::Text(value.to_string().into())
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}
