//! Where rooms keep data that must not be lost: one SQLite file for key-value data and
//! alarms, and one more file for each room that uses SQL.
//!
//! Writes go through one thread that commits in groups ([`writer`]). Reads go through
//! threads with connections of their own ([`reader`]). In WAL mode they never wait for
//! each other, and a read sees every acknowledged write.

mod alarms;
mod checksum;
mod error;
mod folder;
mod keys;
mod log;
mod reader;
mod schema;
mod sql;
mod statement;
mod threads;
mod writer;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use partyserver::StorageError;
use partyserver::host::{SqlPort, StoragePort};

use error::closed;
use keys::RoomKeys;
use reader::Readers;
use sql::{Databases, RoomSql};
use writer::Writer;

pub(crate) use alarms::{Alarm, AlarmId};
pub use error::StoreError;

/// The name of a room within the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RoomName {
    pub(crate) party: Arc<str>,
    pub(crate) room: Arc<str>,
}

/// An open store. Clones share it.
#[derive(Clone)]
pub(crate) struct Store(Arc<Inner>);

/// The fields end in this order: the folder is unlocked when nothing uses it any more.
struct Inner {
    readers: Readers,
    /// It ends after the readers, because only then is its final checkpoint complete.
    writer: Writer,
    databases: Databases,
    /// Held for as long as the store is open.
    lock: tokio::sync::Mutex<Option<File>>,
    /// Removed with everything in it when a temporary store is dropped.
    _temporary: Option<tempfile::TempDir>,
}

impl Store {
    /// Opens the store in a folder. The folder is made if its parent exists.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::open_with(folder, None)
    }

    /// A store that is deleted when it is dropped.
    pub(crate) fn temporary() -> Result<Self, StoreError> {
        let folder = tempfile::tempdir().map_err(|source| StoreError::Folder {
            path: std::env::temp_dir(),
            source,
        })?;
        tracing::info!("there is no data folder: nothing outlives this server");
        let path = folder.path().to_owned();
        Self::open_with(&path, Some(folder))
    }

    fn open_with(folder: &Path, temporary: Option<tempfile::TempDir>) -> Result<Self, StoreError> {
        let folder = folder::absolute(folder)?;
        folder::make(&folder).map_err(|source| StoreError::Folder {
            path: folder.clone(),
            source,
        })?;
        let lock = folder::lock(&folder)?;
        let file = folder.join("rooms.sqlite3");
        let connection = schema::open(&file)?;
        let readers = Readers::start(&file)?;
        let writer =
            Writer::start(connection).map_err(|source| StoreError::File { path: file, source })?;
        Ok(Self(Arc::new(Inner {
            writer,
            readers,
            databases: Databases::new(folder.join("sql")),
            lock: Some(lock).into(),
            _temporary: temporary,
        })))
    }

    /// The key-value storage of a room.
    pub(crate) fn storage(&self, room: RoomName) -> Arc<dyn StoragePort> {
        Arc::new(RoomKeys::new(self.clone(), room))
    }

    /// The SQL database of a room. Its file is made at the first use and closed when
    /// this is dropped.
    pub(crate) fn sql(&self, room: &RoomName) -> Arc<dyn SqlPort> {
        Arc::new(RoomSql::new(&self.0.databases, room))
    }

    /// Whether the store can be read and accepts writes.
    pub(crate) async fn check(&self) -> Result<(), StorageError> {
        // The query must read the file: SQLite answers some queries without it.
        let query = "SELECT count(*) FROM sqlite_schema";
        self.0
            .readers
            .read(|db| Ok(db.query_row(query, [], |_| Ok(()))?))
            .await?;
        if self.0.writer.is_open() {
            Ok(())
        } else {
            Err(closed())
        }
    }

    /// Writes what is queued, then unlocks the folder. Every later call to the store
    /// fails.
    pub(crate) async fn close(&self) {
        // Held until the end, so that a second call does not return before the first.
        let mut lock = self.0.lock.lock().await;
        self.0.databases.close().await;
        self.0.readers.close().await;
        self.0.writer.close().await;
        *lock = None;
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
