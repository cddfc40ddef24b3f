//! The file's layout and its version.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::StoreError;

/// Opens the file for writing; makes or checks its layout.
pub(super) fn open(file: &Path) -> Result<Connection, StoreError> {
    let damaged = |error: rusqlite::Error| StoreError::Damaged {
        path: file.to_owned(),
        reason: error.to_string(),
    };
    let db = Connection::open(file).map_err(damaged)?;
    let version: i64 = pragma(&db, "user_version").map_err(damaged)?;
    let application: i64 = pragma(&db, "application_id").map_err(damaged)?;
    if version > VERSION {
        return Err(StoreError::Newer {
            path: file.to_owned(),
            found: version,
            supported: VERSION,
        });
    }
    if version == 0 {
        make(&db).map_err(damaged)?;
    } else if application != APPLICATION {
        let reason = "it is another application's database".into();
        return Err(StoreError::Damaged {
            path: file.to_owned(),
            reason,
        });
    } else {
        let verdict: String = pragma(&db, "quick_check(1)").map_err(damaged)?;
        if verdict != "ok" {
            return Err(StoreError::Damaged {
                path: file.to_owned(),
                reason: verdict,
            });
        }
    }
    // FULL, because in WAL mode NORMAL does not sync a commit: a write that was
    // acknowledged would be lost with the machine's power.
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
        .map_err(damaged)?;
    Ok(db)
}

/// Opens the file for reading.
pub(super) fn open_reader(file: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(file, flags).map_err(|error| StoreError::Damaged {
        path: file.to_owned(),
        reason: error.to_string(),
    })
}

fn pragma<T: rusqlite::types::FromSql>(db: &Connection, name: &str) -> rusqlite::Result<T> {
    db.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
}

fn make(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(&format!(
        "BEGIN;
         CREATE TABLE keys (
             party TEXT NOT NULL, room TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
             PRIMARY KEY (party, room, key)
         ) WITHOUT ROWID;
         CREATE TABLE alarms (
             party TEXT NOT NULL, room TEXT NOT NULL, at INTEGER NOT NULL,
             PRIMARY KEY (party, room)
         ) WITHOUT ROWID;
         CREATE INDEX alarms_by_time ON alarms (at);
         PRAGMA application_id = {APPLICATION};
         PRAGMA user_version = {VERSION};
         COMMIT;"
    ))
}

/// "room", as SQLite's mark of whose file this is.
const APPLICATION: i64 = 0x726f_6f6d;
const VERSION: i64 = 1;
