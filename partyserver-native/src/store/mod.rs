//! Where rooms keep what must not be lost: one SQLite file for key-value data
//! and alarms, and a file of its own for each room that uses SQL.
//!
//! Writes go through one thread that commits in groups ([`writer`]), reads
//! through threads with connections of their own ([`reader`]): in WAL mode they
//! never wait for each other, and a read sees every write that was acknowledged.

mod alarms;
mod keys;
mod reader;
mod schema;
mod sql;
mod writer;

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use partyserver::StorageError;
use partyserver::host::{SqlPort, StoragePort};

use keys::RoomKeys;
use reader::Readers;
use sql::RoomSql;
use writer::Writer;

/// The name of a room within the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RoomName {
    pub(crate) party: Arc<str>,
    pub(crate) room: Arc<str>,
}

/// An open store. Clones share it.
#[derive(Clone)]
pub(crate) struct Store(Arc<Inner>);

struct Inner {
    writer: Writer,
    readers: Readers,
    folder: PathBuf,
    /// Held for as long as the store is open; the system lets go of it even
    /// when the process is killed.
    _lock: File,
    /// Removed with everything in it when a temporary store is dropped.
    _temporary: Option<tempfile::TempDir>,
}

/// Why a store can't be opened. The operator is at fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The folder can't be made or used. Make it, or mend its permissions.
    #[error("the data folder {} can't be used: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process serves from this folder. End it, or use another folder.
    #[error("the data folder {} is in use by another process", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The store was written by a newer version. Use that version.
    #[error("the store {} is from a newer version (schema {found}, this is {supported})", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that this version knows.
        supported: i64,
    },
    /// The file is not a store, or is damaged. Restore it from a backup.
    #[error("the store {} can't be opened: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        reason: String,
    },
}

impl Store {
    /// Opens the store in a folder, which is made where its parent exists.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::open_with(folder, None)
    }

    /// A store that is gone when it is dropped.
    pub(crate) fn temporary() -> Result<Self, StoreError> {
        let folder = tempfile::tempdir().map_err(|source| StoreError::Folder {
            path: std::env::temp_dir(),
            source,
        })?;
        let path = folder.path().to_owned();
        Self::open_with(&path, Some(folder))
    }

    fn open_with(folder: &Path, temporary: Option<tempfile::TempDir>) -> Result<Self, StoreError> {
        let unusable = |source| StoreError::Folder {
            path: folder.to_owned(),
            source,
        };
        make_folder(folder).map_err(unusable)?;
        let lock = File::create(folder.join("lock")).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse {
                    path: folder.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        let file = folder.join("rooms.sqlite3");
        let connection = schema::open(&file)?;
        let readers = Readers::start(&file)?;
        Ok(Self(Arc::new(Inner {
            writer: Writer::start(connection),
            readers,
            folder: folder.to_owned(),
            _lock: lock,
            _temporary: temporary,
        })))
    }

    /// The key-value storage of a room.
    pub(crate) fn storage(&self, room: RoomName) -> Arc<dyn StoragePort> {
        Arc::new(RoomKeys::new(self.clone(), room))
    }

    /// The SQL database of a room. Its file is made when it is first used and
    /// closed when this is dropped.
    pub(crate) fn sql(&self, room: &RoomName) -> Arc<dyn SqlPort> {
        Arc::new(RoomSql::new(&self.0.folder, room))
    }

    /// Whether the store can be read.
    pub(crate) async fn check(&self) -> Result<(), StorageError> {
        self.0
            .readers
            .read(|db| db.query_row("SELECT 1", [], |_| Ok(())))
            .await
    }

    /// Writes what is queued and ends the writer. Later writes fail.
    pub(crate) async fn close(&self) {
        self.0.writer.close().await;
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    // Rooms are private: nobody else on the machine reads them.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        outcome => outcome,
    }
}

fn storage_error(error: &rusqlite::Error) -> StorageError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => StorageError::Full,
        _ => StorageError::Unavailable(error.to_string()),
    }
}

fn to_millis(time: std::time::SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn from_millis(millis: i64) -> std::time::SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}

#[cfg(test)]
mod tests;
