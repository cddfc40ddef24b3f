//! The data folder: who may read the files in it, and which process uses it.
//!
//! Rooms are private, so files that are made here are for this user alone (0700 and
//! 0600 on Unix). Existing files keep the permissions that the operator gave them.
//! SQLite gives a database's permissions to the files beside it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::StoreError;

/// Makes the folder, unless it exists. Its parent must exist.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        // Without this, a power failure could lose the folder itself.
        Ok(()) => folder.parent().map_or(Ok(()), sync),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Locks the folder for this process. The system releases the lock when the file is
/// closed, even if the process is killed.
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

/// Opens a file for reading and writing. Makes it, unless it exists.
pub(super) fn open_private(file: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}

/// Makes the names of new files in a folder durable.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    // On other systems a folder can't be opened as a file, and that is not necessary
    // there.
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// The absolute path of the folder. Files that are opened later must not depend on the
/// process's working directory, and SQLite must not read a name such as `file:x` as a
/// URI.
pub(super) fn absolute(folder: &Path) -> Result<PathBuf, StoreError> {
    std::path::absolute(folder).map_err(|source| StoreError::Folder {
        path: folder.to_owned(),
        source,
    })
}
