//! A room's key-value storage.

use partyserver::host::{Change, StoragePort, UpdateStep};
use partyserver::{BoxFuture, StorageError};
use rusqlite::{Connection, OptionalExtension};

use super::{RoomName, Store};

pub(super) struct RoomKeys {
    store: Store,
    room: RoomName,
}

impl RoomKeys {
    pub(super) fn new(store: Store, room: RoomName) -> Self {
        Self { store, room }
    }
}

impl StoragePort for RoomKeys {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<String>, StorageError>> {
        let room = self.room.clone();
        let key = key.to_owned();
        Box::pin(self.store.0.readers.read(move |db| value(db, &room, &key)))
    }

    fn keys<'a>(
        &'a self,
        prefix: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<String>, StorageError>> {
        let room = self.room.clone();
        let prefix = prefix.to_owned();
        Box::pin(
            self.store
                .0
                .readers
                .read(move |db| keys(db, &room, &prefix, limit)),
        )
    }

    fn update<'a>(
        &'a self,
        key: &'a str,
        step: UpdateStep,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        let room = self.room.clone();
        let key = key.to_owned();
        Box::pin(self.store.0.writer.write(move |db| {
            let present = value(db, &room, &key)?;
            match step(present.as_deref()) {
                Change::Keep => Ok(()),
                Change::Put(text) => put(db, &room, &key, &text),
                Change::Delete => delete(db, &room, &key),
            }
        }))
    }
}

fn value(db: &Connection, room: &RoomName, key: &str) -> rusqlite::Result<Option<String>> {
    db.prepare_cached("SELECT value FROM keys WHERE party = ?1 AND room = ?2 AND key = ?3")?
        .query_row((&*room.party, &*room.room, key), |row| row.get(0))
        .optional()
}

fn keys(
    db: &Connection,
    room: &RoomName,
    prefix: &str,
    limit: usize,
) -> rusqlite::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut statement = db.prepare_cached(
        "SELECT key FROM keys WHERE party = ?1 AND room = ?2 AND key >= ?3 ORDER BY key",
    )?;
    let mut rows = statement.query((&*room.party, &*room.room, prefix))?;
    while let Some(row) = rows.next()? {
        let key: String = row.get(0)?;
        if found.len() == limit || !key.starts_with(prefix) {
            break;
        }
        found.push(key);
    }
    Ok(found)
}

fn put(db: &Connection, room: &RoomName, key: &str, text: &str) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO keys (party, room, key, value) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET value = excluded.value",
    )?
    .execute((&*room.party, &*room.room, key, text))?;
    Ok(())
}

fn delete(db: &Connection, room: &RoomName, key: &str) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM keys WHERE party = ?1 AND room = ?2 AND key = ?3")?
        .execute((&*room.party, &*room.room, key))?;
    Ok(())
}
