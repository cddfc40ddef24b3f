//! The file's layout and its version.

use std::fs;
use std::io;
use std::path::Path;

use partyserver::StorageError;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::Failure;
use super::{StoreError, alarms, folder, keys, log};

/// Opens the file for writing. Makes it where there is none, else checks it: a
/// damaged store must not pass for an empty one.
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
    // SQLite would open what can't be written for reading alone.
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
        // SQLite opens the log with the first query, and later there may be no
        // descriptor left for it.
        db.query_row("SELECT count(*) FROM keys WHERE false", [], |_| Ok(()))?;
        Ok(db)
    };
    open().map_err(|error| refused(file, error))
}

/// Tells a file that can't be used here and now from one that is damaged.
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

/// Looks at everything in the file. Later each row is checked as it is read, but one
/// whose key is damaged is not found then, and would pass for absent.
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

/// Makes a commit of this connection a durable one: the write-ahead log is
/// synced before a commit ends.
///
/// FULL, because in WAL mode NORMAL does not sync a commit: a write that was
/// acknowledged would be lost with the machine's power. `fullfsync` is what a
/// sync takes on macOS, and nothing elsewhere.
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

/// Makes an empty store under another name, then gives it its own: whatever
/// interrupts this, a file of that name is a whole store.
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
    // A rollback journal on disk would be of no use to a file that is thrown
    // away when this fails.
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

/// "room", as SQLite's mark of whose file this is.
const APPLICATION: i64 = 0x726f_6f6d;
const VERSION: i64 = 2;
/// The tables, as the file itself describes them too.
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
/// What a burst of writes may leave of the log on disk.
const MAX_IDLE_LOG_BYTES: u32 = 16 * 1024 * 1024;
