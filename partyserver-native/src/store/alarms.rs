//! The alarms of all rooms: they survive a restart.

use std::time::SystemTime;

use partyserver::StorageError;
use rusqlite::OptionalExtension;

use super::{RoomName, Store, from_millis, to_millis};

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
                    Some(at) => db
                        .prepare_cached(
                            "INSERT INTO alarms (party, room, at) VALUES (?1, ?2, ?3)
                             ON CONFLICT DO UPDATE SET at = excluded.at",
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

    /// Removes the alarm of a room, unless it was set anew meanwhile.
    pub(crate) async fn clear_alarm(
        &self,
        room: RoomName,
        was_at: SystemTime,
    ) -> Result<(), StorageError> {
        self.0
            .writer
            .write(move |db| {
                db.prepare_cached("DELETE FROM alarms WHERE party = ?1 AND room = ?2 AND at = ?3")?
                    .execute((&*room.party, &*room.room, to_millis(was_at)))?;
                Ok(())
            })
            .await
    }

    /// The alarm of a room.
    pub(crate) async fn alarm(&self, room: RoomName) -> Result<Option<SystemTime>, StorageError> {
        self.0
            .readers
            .read(move |db| {
                db.prepare_cached("SELECT at FROM alarms WHERE party = ?1 AND room = ?2")?
                    .query_row((&*room.party, &*room.room), |row| {
                        row.get(0).map(from_millis)
                    })
                    .optional()
            })
            .await
    }

    /// The earliest alarms, at most `limit`.
    pub(crate) async fn next_alarms(
        &self,
        limit: usize,
    ) -> Result<Vec<(RoomName, SystemTime)>, StorageError> {
        self.0
            .readers
            .read(move |db| {
                let mut statement =
                    db.prepare_cached("SELECT party, room, at FROM alarms ORDER BY at LIMIT ?1")?;
                let rows =
                    statement.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
                        let party: String = row.get(0)?;
                        let room: String = row.get(1)?;
                        let name = RoomName {
                            party: party.into(),
                            room: room.into(),
                        };
                        Ok((name, from_millis(row.get(2)?)))
                    })?;
                rows.collect()
            })
            .await
    }
}
