//! A room's key-value storage.

use partyserver::host::{Change, StoragePort, UpdateStep};
use partyserver::{BoxFuture, StorageError};
use rusqlite::{Connection, OptionalExtension};

use super::error::Failure;
use super::{RoomName, Store, checksum};

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

/// An update that can be applied twice, although its step runs once.
enum Update {
    Asked(UpdateStep),
    Decided {
        present: Option<String>,
        change: Change,
    },
    /// The step panicked, or its decision is no longer valid.
    Failed,
}

impl Update {
    /// Decides what to do with a key that has this value.
    ///
    /// The second time, the decision is valid only if the value is the same. If an
    /// earlier update of the lost transaction was the one that failed, the value is
    /// different, and this update fails too.
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

fn value(db: &Connection, room: &RoomName, key: &str) -> Result<Option<String>, Failure> {
    let found = db
        .prepare_cached(
            "SELECT value, checksum FROM keys WHERE party = ?1 AND room = ?2 AND key = ?3",
        )?
        .query_row((&*room.party, &*room.room, key), |row| {
            Ok((row.get::<_, String>(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((value, stored)) = found else {
        return Ok(None);
    };
    checksum::check(stored, &row(room, key, &value))?;
    Ok(Some(value))
}

fn keys(
    db: &Connection,
    room: &RoomName,
    prefix: &str,
    limit: usize,
) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    let mut statement = db.prepare_cached(
        "SELECT key, value, checksum FROM keys
         WHERE party = ?1 AND room = ?2 AND key >= ?3 ORDER BY key",
    )?;
    let mut rows = statement.query((&*room.party, &*room.room, prefix))?;
    while let Some(present) = rows.next()? {
        let key: String = present.get(0)?;
        if found.len() == limit || !key.starts_with(prefix) {
            break;
        }
        let value = present
            .get_ref(1)?
            .as_str()
            .map_err(rusqlite::Error::from)?;
        checksum::check(present.get(2)?, &row(room, &key, value))?;
        found.push(key);
    }
    Ok(found)
}

fn put(db: &Connection, room: &RoomName, key: &str, text: &str) -> rusqlite::Result<()> {
    let checksum = checksum::of(&row(room, key, text));
    db.prepare_cached(
        "INSERT INTO keys (party, room, key, value, checksum) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET value = excluded.value, checksum = excluded.checksum",
    )?
    .execute((&*room.party, &*room.room, key, text, checksum))?;
    Ok(())
}

/// Fails when a row of any room is different from what was written.
pub(super) fn check_all(db: &Connection) -> Result<(), Failure> {
    let mut statement = db.prepare("SELECT party, room, key, value, checksum FROM keys")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        // A text that has become a blob would not be found by its key.
        let column =
            |index| -> rusqlite::Result<&[u8]> { Ok(row.get_ref(index)?.as_str()?.as_bytes()) };
        let columns = [column(0)?, column(1)?, column(2)?, column(3)?];
        checksum::check(row.get(4)?, &columns)?;
    }
    Ok(())
}

/// The columns that the checksum of a row covers.
fn row<'a>(room: &'a RoomName, key: &'a str, value: &'a str) -> [&'a [u8]; 4] {
    [
        room.party.as_bytes(),
        room.room.as_bytes(),
        key.as_bytes(),
        value.as_bytes(),
    ]
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
