//! The alarms of all rooms: they survive a restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use partyserver::StorageError;
use rusqlite::{Connection, OptionalExtension, Row};

use super::error::Failure;
use super::{RoomName, Store, checksum, from_millis, to_millis};

/// The id of an alarm. An alarm that is set again has another id, even for the same
/// time. An id has no meaning after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AlarmId(pub(crate) u64);

/// An alarm as it was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alarm {
    pub(crate) id: AlarmId,
    pub(crate) room: RoomName,
    pub(crate) at: SystemTime,
}

impl Store {
    /// Sets or removes the alarm of a room. Returns the id of the alarm that is now
    /// set.
    pub(crate) async fn set_alarm(
        &self,
        room: RoomName,
        at: Option<SystemTime>,
    ) -> Result<Option<AlarmId>, StorageError> {
        // A write runs again when its group fails, so the last id counts.
        let set = Arc::new(AtomicI64::new(0));
        let id = Arc::clone(&set);
        self.0
            .writer
            .write(move |db| {
                let (party, name) = (&*room.party, &*room.room);
                let Some(at) = at.map(to_millis) else {
                    db.prepare_cached("DELETE FROM alarms WHERE party = ?1 AND room = ?2")?
                        .execute((party, name))?;
                    return Ok(());
                };
                // Replacing makes a new row, with an id that was never used.
                let row = db
                    .prepare_cached(
                        "INSERT OR REPLACE INTO alarms (party, room, at, checksum)
                         VALUES (?1, ?2, ?3, ?4)",
                    )?
                    .insert((party, name, at, checksum_of(&room, at)))?;
                id.store(row, Ordering::Release);
                Ok(())
            })
            .await?;
        Ok(at.map(|_| AlarmId::of(set.load(Ordering::Acquire))))
    }

    /// Removes an alarm, unless the room has another one now.
    pub(crate) async fn clear_alarm(&self, alarm: &Alarm) -> Result<(), StorageError> {
        let id = alarm.id.row();
        self.0
            .writer
            .write(move |db| {
                db.prepare_cached("DELETE FROM alarms WHERE id = ?1")?
                    .execute([id])?;
                Ok(())
            })
            .await
    }

    /// Moves an alarm, unless it was removed or the room has another one.
    pub(crate) async fn move_alarm(
        &self,
        alarm: &Alarm,
        to: SystemTime,
    ) -> Result<(), StorageError> {
        let (id, to) = (alarm.id.row(), to_millis(to));
        let checksum = checksum_of(&alarm.room, to);
        self.0
            .writer
            .write(move |db| {
                db.prepare_cached("UPDATE alarms SET at = ?2, checksum = ?3 WHERE id = ?1")?
                    .execute((id, to, checksum))?;
                Ok(())
            })
            .await
    }

    /// The alarm of a room.
    pub(crate) async fn alarm(&self, room: RoomName) -> Result<Option<Alarm>, StorageError> {
        self.0
            .readers
            .read(move |db| {
                let found = db
                    .prepare_cached(
                        "SELECT id, at, checksum FROM alarms WHERE party = ?1 AND room = ?2",
                    )?
                    .query_row((&*room.party, &*room.room), |row| {
                        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                    })
                    .optional()?;
                found
                    .map(|(id, at, stored)| Alarm::checked(id, room, at, stored))
                    .transpose()
            })
            .await
    }

    /// The earliest alarms, at most `limit`.
    pub(crate) async fn next_alarms(&self, limit: usize) -> Result<Vec<Alarm>, StorageError> {
        self.0
            .readers
            .read(move |db| {
                let mut statement = db.prepare_cached(
                    "SELECT id, party, room, at, checksum FROM alarms ORDER BY at LIMIT ?1",
                )?;
                let mut rows = statement.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
                let mut found = Vec::new();
                while let Some(row) = rows.next()? {
                    found.push(Alarm::of(row)?);
                }
                Ok(found)
            })
            .await
    }
}

/// Fails when an alarm is different from what was written.
pub(super) fn check_all(db: &Connection) -> Result<(), Failure> {
    let mut statement = db.prepare("SELECT id, party, room, at, checksum FROM alarms")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        Alarm::of(row)?;
    }
    Ok(())
}

impl AlarmId {
    fn of(row: i64) -> Self {
        Self(row.cast_unsigned())
    }

    fn row(self) -> i64 {
        self.0.cast_signed()
    }
}

impl Alarm {
    /// A whole row, with the columns in the order of the table.
    fn of(row: &Row<'_>) -> Result<Self, Failure> {
        let room = RoomName {
            party: row.get::<_, String>(1)?.into(),
            room: row.get::<_, String>(2)?.into(),
        };
        Self::checked(row.get(0)?, room, row.get(3)?, row.get(4)?)
    }

    fn checked(id: i64, room: RoomName, at: i64, stored: i64) -> Result<Self, Failure> {
        checksum::check(stored, &columns(&room, &at.to_le_bytes()))?;
        Ok(Self {
            id: AlarmId::of(id),
            room,
            at: from_millis(at),
        })
    }
}

fn checksum_of(room: &RoomName, at: i64) -> i64 {
    checksum::of(&columns(room, &at.to_le_bytes()))
}

/// The columns that the checksum of an alarm covers: all but its id.
fn columns<'a>(room: &'a RoomName, at: &'a [u8]) -> [&'a [u8]; 3] {
    [room.party.as_bytes(), room.room.as_bytes(), at]
}
