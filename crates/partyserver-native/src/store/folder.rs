//! The data folder: who may read what is in it, and which process has it.
//!
//! Rooms are private, so what is made here is for this user alone (0700 and
//! 0600 on Unix). What was there before keeps the permissions that the operator
//! gave it. SQLite gives a database's permissions to the files beside it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::StoreError;

/// Makes the folder unless it is there; its parent must be.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        // Without this a power failure could take away the folder itself.
        Ok(()) => folder.parent().map_or(Ok(()), sync),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Takes the folder for this process. The system lets go of it with the file,
/// also when the process is killed.
pub(super) fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = || folder.to_owned();
    let unusable = |source| StoreError::Folder {
        path: path(),
        source,
    };
    let file = open_private(&folder.join("lock")).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: path() }),
        Err(TryLockError::Error(source)) => Err(unusable(source)),
    }
}

/// Opens a file for reading and writing; makes it unless it is there.
pub(super) fn open_private(file: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}

/// Makes the names of new files in a folder durable.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    // Elsewhere a folder can't be opened as a file, and need not be.
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// The folder by its absolute path: files that are opened later must not
/// depend on the process's working directory, and SQLite must not take a name
/// such as `file:x` for a URI.
pub(super) fn absolute(folder: &Path) -> Result<PathBuf, StoreError> {
    std::path::absolute(folder).map_err(|source| StoreError::Folder {
        path: folder.to_owned(),
        source,
    })
}
