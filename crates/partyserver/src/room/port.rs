//! The ports that a host implements for a room and its connections.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::record::ConnectionRecord;
use super::storage::UpdateStep;
use crate::close::{Close, Rest};
use crate::maybe_send::{BoxFuture, MaybeSend, MaybeSync};
use crate::message::Message;
use crate::room::connection::{Connection, SendError};
use crate::room::locals::Locals;
use crate::room::sql::{Rows, SqlError, SqlValue};
use crate::room::storage::StorageError;

/// A room's host. See [`Room`](crate::Room) for what each method promises.
pub trait RoomPort: MaybeSend + MaybeSync {
    /// The party, in kebab-case.
    fn party(&self) -> &str;
    /// The raw name.
    fn name(&self) -> &str;
    /// The wall clock.
    fn now(&self) -> SystemTime;
    /// Values in memory, for wrappers.
    fn locals(&self) -> &Locals;
    /// Props of the party.
    fn props(&self) -> Option<&Value>;
    /// Open connections, oldest first.
    fn connections(&self) -> Vec<Connection>;
    /// Queues a message to every open connection whose id is not listed.
    fn broadcast(&self, message: &Message, without: &[&str]);
    /// Key-value storage.
    fn storage(&self) -> Arc<dyn StoragePort>;
    /// SQL storage.
    fn sql(&self) -> Arc<dyn SqlPort>;
    /// Sets or removes the alarm, durably.
    fn set_alarm(&self, at: Option<SystemTime>) -> BoxFuture<'_, Result<(), StorageError>>;
    /// The alarm that is set.
    fn alarm(&self) -> BoxFuture<'_, Result<Option<SystemTime>, StorageError>>;
    /// Waits.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
    /// Runs a future beside the room.
    fn spawn(&self, future: BoxFuture<'static, ()>);
    /// Queues an event for `on_event`.
    fn post(&self, event: Value);
}

/// A connection's host. See [`Connection`] for what each method promises.
pub trait ConnectionPort: MaybeSend + MaybeSync {
    /// What must survive hibernation.
    fn record(&self) -> &ConnectionRecord;
    /// Whether a frame of the connection may still be handled: the connection has not
    /// ended and is not past its deadline.
    fn is_open(&self) -> bool;
    /// Queues a message.
    ///
    /// # Errors
    /// When the connection has ended or is past its deadline.
    fn send(&self, message: &Message) -> Result<(), SendError>;
    /// Closes it. `rest` says whether queued messages are sent first or dropped.
    fn close(&self, close: Close, rest: Rest);
    /// Closes it at a time of the wall clock, ahead of queued messages. The earliest
    /// such time counts.
    fn close_at(&self, deadline: SystemTime, close: Close);
    /// The identity is valid until this time:
    /// [`Life::renew`](crate::host::life::Life::renew).
    fn renew(&self, until: SystemTime, close: Close) -> bool;
}

/// A room's key-value storage.
pub trait StoragePort: MaybeSend + MaybeSync {
    /// The JSON text under a key.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<String>, StorageError>>;
    /// Keys with a prefix, in byte order.
    fn keys<'a>(
        &'a self,
        prefix: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<String>, StorageError>>;
    /// Reads and changes a key atomically. The change is durable when this returns.
    fn update<'a>(
        &'a self,
        key: &'a str,
        step: UpdateStep,
    ) -> BoxFuture<'a, Result<(), StorageError>>;
}

/// A room's SQL database.
pub trait SqlPort: MaybeSend + MaybeSync {
    /// Runs one statement.
    fn execute<'a>(
        &'a self,
        statement: &'a str,
        parameters: Vec<SqlValue>,
    ) -> BoxFuture<'a, Result<Rows, SqlError>>;
}
