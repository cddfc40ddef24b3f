//! The ports that a host implements, and what hosts have in common. Users of rooms
//! never need them.

mod answer;
pub mod inbound;
pub mod upgrade;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;

pub use self::answer::{failed, failed_upgrade, failure_text, misrouted, own};
use crate::close::Close;
pub use crate::connection::ConnectionRecord;
use crate::connection::{Connection, SendError};
pub use crate::connection_id::{may_share, requested_id};
pub use crate::maybe_send::UpdateStep;
pub use crate::storage::{Change, RESERVED};
pub use crate::stream_end::ending;

use crate::locals::Locals;
use crate::maybe_send::{BoxFuture, MaybeSend, MaybeSync};
use crate::message::Message;
use crate::sql::{Rows, SqlError, SqlValue};
use crate::storage::StorageError;

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
    /// The record's state was replaced: store it where that is needed.
    fn record_changed(&self);
    /// Whether a frame of it may still be handled: it has not ended and is not
    /// past its deadline.
    fn is_admitted(&self) -> bool;
    /// Queues a message.
    ///
    /// # Errors
    /// When the connection has ended or is past its deadline.
    fn send(&self, message: &Message) -> Result<(), SendError>;
    /// Closes after what is queued.
    fn close(&self, close: Close);
    /// Closes at a time of the wall clock, ahead of what is queued. The
    /// earliest deadline counts.
    fn close_at(&self, deadline: SystemTime, close: Close);
    /// Closes now, ahead of what is queued.
    fn revoke(&self, close: Close);
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
    /// Reads and changes a key atomically; durable when it returns.
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
