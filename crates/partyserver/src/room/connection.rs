//! One admitted WebSocket.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use http::Uri;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::close::Close;
use crate::close::Rest;
use crate::message::Message;
use crate::room::attachments::Attachments;
use crate::room::port::ConnectionPort;
use crate::room::record::ConnectionRecord;

/// A handle to one WebSocket of a room. Cheap to clone; two clones are equal.
///
/// A connection exists only after it was admitted. The handle stays usable after the
/// connection has ended: then sending does nothing and returns an error.
#[derive(Clone)]
pub struct Connection(Arc<dyn ConnectionPort>);

impl Connection {
    /// The public id: the `_pk` that the client asked for, if it may have it, else a
    /// random id.
    ///
    /// The client can choose it, so never use it as the key to anything secret.
    pub fn id(&self) -> &str {
        &self.record().id
    }

    /// The tags. The first is the id, which the client may have chosen; the others come
    /// from `Server::connection_tags`.
    pub fn tags(&self) -> &[String] {
        &self.record().tags
    }

    /// The URL of the upgrade, absolute, with its query but without
    /// credentials.
    pub fn uri(&self) -> &Uri {
        &self.record().uri
    }

    /// The name of the room that the connection is in.
    pub fn room_name(&self) -> &str {
        &self.record().room
    }

    /// The party of the room that the connection is in.
    pub fn party(&self) -> &str {
        &self.record().party
    }

    /// What the router attached to this connection.
    pub fn attachments(&self) -> &Attachments {
        &self.record().attachments
    }

    /// The state that [`Connection::set_state`] last set. `None` when there is
    /// none, or when it is not a `T`.
    pub fn state<T: DeserializeOwned>(&self) -> Option<T> {
        let state = self.record().state();
        serde_json::from_str(state.as_ref()?.get()).ok()
    }

    /// Sets the connection's state: at most 64 KiB of JSON. It survives hibernation.
    /// Keep it small: on Workers, what does not fit into the 16 KiB of a socket's
    /// attachment is written to the room's storage.
    ///
    /// # Errors
    /// [`StateError`]; then the earlier state is kept.
    pub fn set_state(&self, state: &impl Serialize) -> Result<(), StateError> {
        let raw = serde_json::value::to_raw_value(state)?;
        if raw.get().len() > MAX_STATE_BYTES {
            return Err(StateError::TooLarge);
        }
        self.record().set_state(raw);
        Ok(())
    }

    /// Calls `update` with the state, stores what it returns, and returns that.
    ///
    /// # Errors
    /// The errors of [`Connection::set_state`].
    pub fn update_state<T: Serialize + DeserializeOwned>(
        &self,
        update: impl FnOnce(Option<T>) -> T,
    ) -> Result<T, StateError> {
        let state = update(self.state());
        self.set_state(&state)?;
        Ok(state)
    }

    /// Queues a message to this client.
    ///
    /// It never waits. A client that reads too slowly is closed with 1013 when
    /// its queue is full (`PartyOptions::max_queued_bytes`; in `on_connect`
    /// `max_replay_bytes`).
    ///
    /// # Errors
    /// [`SendError`] when the connection has ended or its identity is no
    /// longer valid; the message is dropped.
    pub fn send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        self.0.send(&message.into())
    }

    /// Ends the connection with a close frame, after what is already queued.
    ///
    /// From here on nothing that the client sends is handled, and the connection is no
    /// longer among the room's. `on_close` still runs.
    pub fn close(&self, code: u16, reason: impl Into<std::borrow::Cow<'static, str>>) {
        self.0.close(Close::new(code, reason), Rest::Sent);
    }

    /// Ends the connection at a time of the wall clock, even when the room is busy or
    /// asleep then. After that time no frame is handled or sent. The earliest deadline
    /// counts: a later call can't extend it.
    pub fn close_at(&self, deadline: SystemTime, close: Close) {
        self.0.close_at(deadline, close);
    }

    /// Closes it with a frame of the host's.
    pub(crate) fn end(&self, close: Close) {
        self.0.close(close, Rest::Sent);
    }

    pub(crate) fn renew(&self, until: SystemTime, close: Close) -> bool {
        self.0.renew(until, close)
    }

    /// Withdraws the connection's right to be here. It is closed at once, ahead of its
    /// queued messages, and none of those is sent. On Workers, messages that the
    /// platform already has are still sent.
    pub fn revoke(&self, close: Close) {
        self.0.close(close, Rest::Dropped);
    }

    pub(crate) fn is_open(&self) -> bool {
        self.0.is_open()
    }

    fn record(&self) -> &ConnectionRecord {
        self.0.record()
    }

    /// For hosts: the connection behind a port.
    pub fn from_port(port: Arc<dyn ConnectionPort>) -> Self {
        Self(port)
    }
}

impl PartialEq for Connection {
    fn eq(&self, other: &Self) -> bool {
        self.record().key == other.record().key
    }
}

impl Eq for Connection {}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

/// The message was not queued: the connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection has ended")]
pub struct SendError;

/// The state was not set; the caller is at fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The value can't be written as JSON.
    #[error("the state can't be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The state has more than 65,536 bytes of JSON.
    #[error("a connection's state must have at most 64 KiB of JSON")]
    TooLarge,
}

const MAX_STATE_BYTES: usize = 64 * 1024;
