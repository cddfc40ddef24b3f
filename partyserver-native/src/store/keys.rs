//! A room's key-value storage.

use partyserver::host::{Change, StoragePort, UpdateStep};
use partyserver::{BoxFuture, StorageError};
use rusqlite::{Connection, OptionalExtension};

use super::error::Failure;
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
        Box::pin(
            self.store
                .0
                .readers
                .read(move |db| Ok(value(db, &room, &key)?)),
        )
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
                .read(move |db| Ok(keys(db, &room, &prefix, limit)?)),
        )
    }

    fn update<'a>(
        &'a self,
        key: &'a str,
        step: UpdateStep,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        let room = self.room.clone();
        let key = key.to_owned();
        let mut update = Update::Asked(step);
        Box::pin(self.store.0.writer.write(move |db| {
            let present = value(db, &room, &key)?;
            match update.decide(present)? {
                Change::Keep => {}
                Change::Put(text) => put(db, &room, &key, text)?,
                Change::Delete => delete(db, &room, &key)?,
            }
            Ok(())
        }))
    }
}

/// An update that can be carried out twice, though its step runs once.
enum Update {
    Asked(UpdateStep),
    Decided {
        present: Option<String>,
        change: Change,
    },
    /// The step panicked, or its decision does not stand any more.
    Failed,
}

impl Update {
    /// What is to happen to a key with this value.
    ///
    /// The second time, the decision stands only for the value that it was made
    /// for. When an earlier update in the lost transaction was the one that
    /// failed, there is another one, and this update fails with it.
    fn decide(&mut self, now: Option<String>) -> Result<&Change, Failure> {
        match std::mem::replace(self, Self::Failed) {
            Self::Asked(step) => {
                let change = step(now.as_deref());
                let present = now;
                *self = Self::Decided { present, change };
            }
            Self::Decided { present, change } if present == now => {
                *self = Self::Decided { present, change };
            }
            _ => {}
        }
        match self {
            Self::Decided { change, .. } => Ok(change),
            _ => Err(Failure(StorageError::Unavailable(
                "an earlier update of this key failed".into(),
            ))),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_stands_for_the_value_that_it_was_made_for() {
        let step = |present: Option<&str>| Change::Put(format!("{}+", present.unwrap_or_default()));
        let mut update = Update::Asked(Box::new(step));
        let decided = Change::Put("a+".into());
        assert_eq!(update.decide(Some("a".into())).ok(), Some(&decided));
        assert_eq!(update.decide(Some("a".into())).ok(), Some(&decided));
        assert!(update.decide(Some("b".into())).is_err());
        assert!(update.decide(None).is_err());
    }
}
