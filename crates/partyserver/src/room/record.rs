//! What is known of a connection, apart from its life.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Uri;
use serde_json::value::RawValue;

use super::attachments::Attachments;

/// The data of a connection that must still be there when its room wakes.
#[derive(Debug)]
pub struct ConnectionRecord {
    /// The host's own id, unique among all connections; never the client's.
    pub key: u64,
    /// The public id.
    pub id: String,
    /// The id, then the server's tags.
    pub tags: Vec<String>,
    /// The URL of the upgrade, without credentials.
    pub uri: Uri,
    /// The party.
    pub party: Arc<str>,
    /// The room.
    pub room: Arc<str>,
    /// What the router attached.
    pub attachments: Attachments,
    /// The user's state, as JSON.
    state: Mutex<Option<Box<RawValue>>>,
}

impl ConnectionRecord {
    /// The record of a connection without state.
    pub fn new(
        key: u64,
        id: String,
        tags: Vec<String>,
        uri: Uri,
        (party, room): (Arc<str>, Arc<str>),
        attachments: Attachments,
    ) -> Self {
        Self {
            key,
            id,
            tags,
            uri,
            party,
            room,
            attachments,
            state: Mutex::default(),
        }
    }

    /// The user's state, as JSON.
    pub fn state(&self) -> Option<Box<RawValue>> {
        self.lock_state().clone()
    }

    /// Replaces the user's state.
    pub(crate) fn set_state(&self, state: Box<RawValue>) {
        *self.lock_state() = Some(state);
        self.attachments.changed();
    }

    /// Sets the function to call after each change of a part that sleeps with the
    /// socket: the state, or an attachment that is kept. It can be set once. It is for
    /// hosts whose rooms can lose their memory. A moved deadline does not call it,
    /// because the host moves deadlines itself.
    pub fn on_change(&self, changed: impl Fn() + Send + Sync + 'static) {
        self.attachments.on_change(Box::new(changed));
    }

    /// Puts back the state from before the room slept.
    pub(crate) fn restore_state(&self, state: Option<Box<RawValue>>) {
        *self.lock_state() = state;
    }

    /// The state is replaced whole, so a panic elsewhere can't tear it.
    fn lock_state(&self) -> MutexGuard<'_, Option<Box<RawValue>>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
