//! The errors of opening the store and of its statements.

use std::io;
use std::path::PathBuf;

use partyserver::StorageError;
use rusqlite::ErrorCode;

/// Why a store can't be opened. The operator is at fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The folder can't be made or used. Make it, or correct its permissions.
    #[error("the data folder {} can't be used: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file of the store can't be read and written. Correct its permissions, or put
    /// the folder on a file system that SQLite's write-ahead log works on (most network
    /// file systems do not work).
    #[error("the store {} can't be used: {source}", path.display())]
    File {
        /// The file.
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

impl StoreError {
    /// A stable name of the cause, for logs and scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Folder { .. } => "store_folder",
            Self::File { .. } => "store_file",
            Self::InUse { .. } => "store_in_use",
            Self::Newer { .. } => "store_newer",
            Self::Damaged { .. } => "store_damaged",
        }
    }
}

/// The error of a query or a write. It is a [`StorageError`], and `?` converts SQLite's
/// own errors into it.
pub(super) struct Failure(pub(super) StorageError);

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self(storage_error(&error))
    }
}

pub(super) fn storage_error(error: &rusqlite::Error) -> StorageError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StorageError::Full,
        // Damage is named as damage, because a room must not mistake it for missing
        // data.
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StorageError::Unavailable(format!("the file is damaged: {error}"))
        }
        _ => StorageError::Unavailable(error.to_string()),
    }
}

pub(super) fn closed() -> StorageError {
    StorageError::Unavailable("the store is closed".into())
}
