//! The connections of one room, in the order in which they joined.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::SystemTime;

use partyserver::host::ConnectionPort;
use partyserver::host::life::Rest;
use partyserver::{Close, Connection, Message};

use super::connection::{Conn, Queued};

/// The table of a room.
#[derive(Default)]
pub(crate) struct Connections(RwLock<Table>);

#[derive(Default)]
struct Table {
    by_key: BTreeMap<u64, Arc<Conn>>,
    /// Keys by public id, so that joining needs no search.
    by_id: HashMap<String, Vec<u64>>,
}

impl Connections {
    pub(crate) fn join(&self, conn: Arc<Conn>) {
        let mut table = self.write();
        let record = conn.as_record();
        table
            .by_id
            .entry(record.id.clone())
            .or_default()
            .push(record.key);
        table.by_key.insert(record.key, conn);
    }

    pub(crate) fn leave(&self, conn: &Conn) {
        let mut table = self.write();
        let record = conn.as_record();
        if table.by_key.remove(&record.key).is_none() {
            return;
        }
        if let Some(keys) = table.by_id.get_mut(&record.id) {
            keys.retain(|key| *key != record.key);
            if keys.is_empty() {
                table.by_id.remove(&record.id);
            }
        }
        if table.by_key.is_empty() {
            *table = Table::default();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.read().by_key.len()
    }

    pub(crate) fn all(&self) -> Vec<Connection> {
        self.read()
            .by_key
            .values()
            .map(|conn| conn.handle())
            .collect()
    }

    /// The connections with a public id.
    pub(crate) fn with_id(&self, id: &str) -> Vec<Connection> {
        let table = self.read();
        let keys = table.by_id.get(id).map(Vec::as_slice).unwrap_or_default();
        keys.iter()
            .filter_map(|key| table.by_key.get(key))
            .map(|conn| conn.handle())
            .collect()
    }

    /// Queues a message to all connections, except those with these ids. Nothing is
    /// copied or encoded per connection.
    pub(crate) fn broadcast(&self, message: &Message, without: &[&str], now: SystemTime) {
        let mut slow = Vec::new();
        {
            let table = self.read();
            for conn in table.by_key.values() {
                if without.contains(&conn.as_record().id.as_str()) {
                    continue;
                }
                if conn.queue(message, now) == Queued::Full {
                    slow.push(Arc::clone(conn));
                }
            }
        }
        // Closing changes the table, so it waits until the table is unlocked.
        for conn in slow {
            conn.close_slow();
        }
    }

    /// Closes each connection after its queued messages.
    pub(crate) fn close_all(&self, close: &Close) {
        let all: Vec<_> = self.read().by_key.values().map(Arc::clone).collect();
        for conn in all {
            conn.close(close.clone(), Rest::Sent);
        }
    }

    /// Each change of the table is complete before anything could panic, so a poisoned
    /// lock is harmless.
    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
