//! The file's layout and its version.

use std::fs;
use std::io;
use std::path::Path;

use partyserver::StorageError;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::Failure;
use super::{StoreError, alarms, folder, keys, log};

/// Opens the file for writing. Makes it if it does not exist, else checks it: a damaged
/// store must not be taken for an empty one.
pub(super) fn open(file: &Path) -> Result<Connection, StoreError> {
    let unusable = |source| StoreError::File {
        path: file.to_owned(),
        source,
    };
    let damaged = |reason: String| StoreError::Damaged {
        path: file.to_owned(),
        reason,
    };
    let failed = |error| refused(file, error);
    if !file.try_exists().map_err(unusable)? {
        if log::beside(file).exists() {
            return Err(damaged("it is gone, but its write-ahead log is not".into()));
        }
        make(file).map_err(unusable)?;
    }
    if let Some(reason) = log::damage(file).map_err(unusable)? {
        return Err(damaged(reason.into()));
    }
    // SQLite would open a file that can't be written for reading alone.
    folder::open_private(file).map_err(unusable)?;
    let db = Connection::open(file).map_err(failed)?;
    let application: i64 = pragma(&db, "application_id").map_err(failed)?;
    if application != APPLICATION {
        return Err(damaged("it is not a store of rooms".into()));
    }
    let version: i64 = pragma(&db, "user_version").map_err(failed)?;
    if version > VERSION {
        return Err(StoreError::Newer {
            path: file.to_owned(),
            found: version,
            supported: VERSION,
        });
    }
    if version < VERSION {
        return Err(damaged("it is from before the first release".into()));
    }
    check(&db).map_err(|Failure(error)| match error {
        StorageError::Unavailable(reason) => damaged(reason),
        error => damaged(error.to_string()),
    })?;
    set_durable(&db).map_err(failed)?;
    Ok(db)
}

/// Opens the file for reading.
pub(super) fn open_reader(file: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let db = Connection::open_with_flags(file, flags)?;
        // SQLite opens the log with the first query. If that were later, no descriptor
        // might be left for it.
        db.query_row("SELECT count(*) FROM keys WHERE false", [], |_| Ok(()))?;
        Ok(db)
    };
    open().map_err(|error| refused(file, error))
}

/// Distinguishes a file that can't be used at present from a damaged one.
fn refused(file: &Path, error: rusqlite::Error) -> StoreError {
    let path = file.to_owned();
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::DatabaseBusy
            | ErrorCode::OutOfMemory,
        ) => StoreError::File {
            path,
            source: io::Error::other(error),
        },
        _ => StoreError::Damaged {
            path,
            reason: error.to_string(),
        },
    }
}

/// Reads everything in the file. Later each row is checked when it is read. But a row
/// whose key is damaged would not be found then, and would seem to be absent.
fn check(db: &Connection) -> Result<(), Failure> {
    let damaged = |reason: String| Err(Failure(StorageError::Unavailable(reason)));
    let verdict: String = pragma(db, "integrity_check(1)")?;
    if verdict != "ok" {
        return damaged(verdict);
    }
    let mut layout = db.prepare("SELECT sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite%'")?;
    let layout = layout.query_map([], |row| row.get(0))?;
    if layout.collect::<rusqlite::Result<Vec<String>>>()? != LAYOUT {
        return damaged("its tables are not those of a store".into());
    }
    keys::check_all(db)?;
    alarms::check_all(db)
}

/// Makes the commits of this connection durable: the write-ahead log is synced before a
/// commit ends.
///
/// The level is FULL, because in WAL mode NORMAL does not sync a commit: an
/// acknowledged write would be lost when the power fails. `fullfsync` is what a sync
/// needs on macOS, and has no effect elsewhere.
pub(super) fn set_durable(db: &Connection) -> rusqlite::Result<()> {
    let mode: String = pragma(db, "journal_mode = WAL")?;
    if mode != "wal" {
        let reason = "the file system can't hold a write-ahead log".into();
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
        return Err(rusqlite::Error::SqliteFailure(code, Some(reason)));
    }
    db.execute_batch(&format!(
        "PRAGMA synchronous = FULL;
         PRAGMA fullfsync = ON;
         PRAGMA journal_size_limit = {MAX_IDLE_LOG_BYTES};"
    ))
}

/// Makes an empty store under another name, then renames it. Whatever interrupts this,
/// a file with the final name is a complete store.
fn make(file: &Path) -> io::Result<()> {
    let unnamed = file.with_added_extension("new");
    match fs::remove_file(&unnamed) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    folder::open_private(&unnamed)?;
    make_tables(&unnamed).map_err(io::Error::other)?;
    fs::rename(&unnamed, file)?;
    file.parent().map_or(Ok(()), folder::sync)
}

fn make_tables(file: &Path) -> rusqlite::Result<()> {
    let db = Connection::open(file)?;
    // A rollback journal on disk would be useless, because the file is thrown away if
    // this fails.
    db.execute_batch(&format!(
        "PRAGMA journal_mode = MEMORY;
         PRAGMA synchronous = FULL;
         BEGIN;
         {};
         PRAGMA application_id = {APPLICATION};
         PRAGMA user_version = {VERSION};
         COMMIT;",
        LAYOUT.join(";")
    ))
}

fn pragma<T: rusqlite::types::FromSql>(db: &Connection, name: &str) -> rusqlite::Result<T> {
    db.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
}

/// "room": SQLite's mark for the application that owns the file.
const APPLICATION: i64 = 0x726f_6f6d;
const VERSION: i64 = 2;
/// The tables. The file itself has the same text.
const LAYOUT: [&str; 3] = [
    "CREATE TABLE keys (
        party TEXT NOT NULL, room TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
        checksum INTEGER NOT NULL,
        PRIMARY KEY (party, room, key)
    ) WITHOUT ROWID",
    "CREATE TABLE alarms (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        party TEXT NOT NULL, room TEXT NOT NULL, at INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        UNIQUE (party, room)
    )",
    "CREATE INDEX alarms_by_time ON alarms (at)",
];
/// How large the log on disk may stay after a burst of writes.
const MAX_IDLE_LOG_BYTES: u32 = 16 * 1024 * 1024;
