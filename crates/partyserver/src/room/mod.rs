//! What a room's code is given: handles to the room, its connections and its storage.

pub(crate) mod attachments;
pub(crate) mod connection;
pub(crate) mod context;
pub(crate) mod locals;
pub(crate) mod port;
pub(crate) mod record;
pub(crate) mod sql;
pub(crate) mod storage;
pub(crate) mod tags;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Result;
use crate::maybe_send::MaybeSend;
use crate::message::Message;
use crate::room::connection::Connection;
use crate::room::locals::Locals;
use crate::room::port::RoomPort;
use crate::room::sql::Sql;
use crate::room::storage::{Storage, StorageError};

/// A handle to one room: cheap to clone, usable from any task.
///
/// Hooks run one at a time, so a hook that waits for something slow holds up
/// its room. Spawn that work with a clone of this handle instead, and post its
/// result back as an event.
#[derive(Clone)]
pub struct Room(Arc<dyn RoomPort>);

impl Room {
    /// The room's name: the raw path segment, not percent-decoded.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// The room's party, in kebab-case.
    pub fn party(&self) -> &str {
        self.0.party()
    }

    /// The host's wall clock.
    pub fn now(&self) -> SystemTime {
        self.0.now()
    }

    /// Queues a message to every open connection.
    pub fn broadcast(&self, message: impl Into<Message>) {
        self.0.broadcast(&message.into(), &[]);
    }

    /// Queues a message to every open connection, except those with these ids.
    pub fn broadcast_except(&self, message: impl Into<Message>, without: &[&str]) {
        self.0.broadcast(&message.into(), without);
    }

    /// The open connections, in the order in which they joined.
    pub fn connections(&self) -> Vec<Connection> {
        self.0.connections()
    }

    /// The open connections that `Server::connection_tags` gave a tag.
    ///
    /// The ids do not count, although each is the first of its connection's tags: a
    /// client may have chosen its id to look like one of your tags. Use
    /// [`Room::connection`] to find an id.
    pub fn connections_tagged(&self, tag: &str) -> Vec<Connection> {
        let mut connections = self.0.connections();
        connections.retain(|connection| {
            let mut given = connection.tags().iter().skip(1);
            given.any(|held| held == tag)
        });
        connections
    }

    /// The open connection with a public id. If several have the id, the newest.
    pub fn connection(&self, id: &str) -> Option<Connection> {
        self.0
            .connections()
            .into_iter()
            .rev()
            .find(|connection| connection.id() == id)
    }

    /// The room's key-value storage.
    pub fn storage(&self) -> Storage {
        Storage::new(self.0.storage())
    }

    /// The room's own SQL database.
    pub fn sql(&self) -> Sql {
        Sql::new(self.0.sql())
    }

    /// Sets the room's one alarm: `on_alarm` runs at this time or soon after, even when
    /// the room is asleep or the server was restarted meanwhile. It replaces an alarm
    /// that is already set.
    ///
    /// # Errors
    /// When the host can't store it.
    pub async fn set_alarm(&self, at: SystemTime) -> Result<(), StorageError> {
        self.0.set_alarm(Some(at)).await
    }

    /// Removes the alarm, if one is set.
    ///
    /// # Errors
    /// When the host can't store the removal.
    pub async fn delete_alarm(&self) -> Result<(), StorageError> {
        self.0.set_alarm(None).await
    }

    /// The time of the alarm that is set.
    ///
    /// # Errors
    /// When the host can't read it.
    pub async fn alarm(&self) -> Result<Option<SystemTime>, StorageError> {
        self.0.alarm().await
    }

    /// Waits, by the host's timer. In a hook it holds up the room, so spawn the work
    /// that must happen later.
    pub async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }

    /// Runs a future beside the room. It is dropped when the server stops, and
    /// on Workers when the object is evicted.
    pub fn spawn(&self, future: impl Future<Output = ()> + MaybeSend + 'static) {
        self.0.spawn(Box::pin(future));
    }

    /// Queues an event to the room itself: `on_event` runs with it, in turn. Queued
    /// events are in memory, and their number has no limit.
    ///
    /// # Errors
    /// When the value cannot be written as JSON.
    pub fn post(&self, event: &impl Serialize) -> Result<()> {
        self.0.post(serde_json::to_value(event)?);
        Ok(())
    }

    /// The props that the party was registered with. `None` when there are
    /// none, or when they are not a `T`.
    pub fn props<T: DeserializeOwned>(&self) -> Option<T> {
        T::deserialize(self.0.props()?).ok()
    }

    /// Values of the room in memory, by type: for wrappers.
    pub fn locals(&self) -> &Locals {
        self.0.locals()
    }

    /// For hosts: the room behind a port.
    pub fn from_port(port: Arc<dyn RoomPort>) -> Self {
        Self(port)
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room")
            .field("party", &self.party())
            .field("name", &self.name())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Context, Handshake, Server, testing::TestRoom};

    /// Tags each connection with the path of its upgrade.
    struct Tagging;

    impl Server for Tagging {
        async fn connection_tags(&mut self, _: &Context, h: &Handshake) -> Result<Vec<String>> {
            Ok(vec![h.uri().path().to_owned()])
        }
    }

    #[tokio::test]
    async fn an_id_that_looks_like_a_tag_is_none() {
        let mut room = TestRoom::new("tagging", "a", || Tagging);
        room.connect("/alice").await.unwrap();
        let forger = room.connect("/mallory?_pk=/alice").await.unwrap();
        let forger = forger.connection().unwrap();
        assert_eq!(forger.tags(), ["/alice", "/mallory"]);
        let found = |tag| room.room().connections_tagged(tag);
        assert_eq!(found("/alice").len(), 1);
        assert!(!found("/alice").contains(&forger));
        assert!(found("/mallory").contains(&forger));
        assert_eq!(room.room().connection("/alice"), Some(forger));
    }
}
