//! The alarms of all rooms: they survive a restart.

use std::time::SystemTime;

use partyserver::StorageError;
use rusqlite::OptionalExtension;

use super::error::Failure;
use super::{RoomName, Store, from_millis, to_millis};

/// An alarm as it was set: one that is set anew, even for the same time, is
/// another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alarm {
    pub(crate) id: i64,
    pub(crate) room: RoomName,
    pub(crate) at: SystemTime,
}

impl Store {
    /// Sets or removes the alarm of a room.
    pub(crate) async fn set_alarm(
        &self,
        room: RoomName,
        at: Option<SystemTime>,
    ) -> Result<(), StorageError> {
        self.0
            .writer
            .write(move |db| {
                let (party, name) = (&*room.party, &*room.room);
                match at {
                    // Replacing makes a new row, with an id that no row had.
                    Some(at) => db
                        .prepare_cached(
                            "INSERT OR REPLACE INTO alarms (party, room, at) VALUES (?1, ?2, ?3)",
                        )?
                        .execute((party, name, to_millis(at)))?,
                    None => db
                        .prepare_cached("DELETE FROM alarms WHERE party = ?1 AND room = ?2")?
                        .execute((party, name))?,
                };
                Ok(())
            })
            .await
    }

    /// Removes an alarm, unless the room has another one by now.
    pub(crate) async fn clear_alarm(&self, alarm: &Alarm) -> Result<(), StorageError> {
        let id = alarm.id;
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
        let id = alarm.id;
        self.0
            .writer
            .write(move |db| {
                db.prepare_cached("UPDATE alarms SET at = ?2 WHERE id = ?1")?
                    .execute((id, to_millis(to)))?;
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
                    .prepare_cached("SELECT id, at FROM alarms WHERE party = ?1 AND room = ?2")?
                    .query_row((&*room.party, &*room.room), |row| {
                        Ok((row.get(0)?, from_millis(row.get(1)?)))
                    })
                    .optional()?;
                Ok(found.map(|(id, at)| Alarm { id, room, at }))
            })
            .await
    }

    /// The earliest alarms, at most `limit`.
    pub(crate) async fn next_alarms(&self, limit: usize) -> Result<Vec<Alarm>, StorageError> {
        self.0
            .readers
            .read(move |db| {
                let mut statement = db.prepare_cached(
                    "SELECT id, party, room, at FROM alarms ORDER BY at LIMIT ?1",
                )?;
                let rows =
                    statement.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
                        let party: String = row.get(1)?;
                        let room: String = row.get(2)?;
                        Ok(Alarm {
                            id: row.get(0)?,
                            room: RoomName {
                                party: party.into(),
                                room: room.into(),
                            },
                            at: from_millis(row.get(3)?),
                        })
                    })?;
                rows.map(|row| row.map_err(Failure::from)).collect()
            })
            .await
    }
}
