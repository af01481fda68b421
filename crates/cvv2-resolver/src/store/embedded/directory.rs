//! The directory of a store: who may enter it, and who writes.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::store::StoreError;

const DATA: &str = "data.mdb";
const READERS: &str = "lock.mdb";
const WRITER: &str = "writer.lock";

/// The one permission to write, given back when dropped or when the process ends in any way.
pub(super) struct WriterLock {
    held: File,
}

impl WriterLock {
    /// Takes the permission, or fails at once where somebody has it.
    pub(super) fn take(directory: &Path) -> Result<Self, StoreError> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(directory.join(WRITER))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { held: file }),
            Err(TryLockError::WouldBlock) => {
                Err(StoreError::InUse { directory: directory.to_owned() })
            }
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}

impl Drop for WriterLock {
    /// Closing the file is not enough: a program that this process is starting has a copy of the
    /// open file for a moment, between fork and exec, and with it the lock.
    fn drop(&mut self) {
        // Nothing can be done about a failure, and the lock ends with the process at the latest.
        let _ = self.held.unlock();
    }
}

/// Makes the directory for its owner alone, unless it is there.
pub(super) fn make(directory: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

/// Whether a store was made here, as far as one can see from outside.
pub(super) fn holds_store(directory: &Path) -> bool {
    directory.join(DATA).is_file()
}

/// Refuses a directory or a file that others than the owner have any access to.
pub(super) fn check_private(directory: &Path) -> Result<(), StoreError> {
    let files = [DATA, READERS, WRITER].map(|name| directory.join(name));
    for path in files.into_iter().chain([directory.to_owned()]) {
        let mode = match fs::metadata(&path) {
            Ok(metadata) => metadata.permissions().mode() & 0o7777,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        if mode & 0o077 != 0 {
            return Err(StoreError::Exposed { path, mode });
        }
    }
    Ok(())
}

/// Makes the names of new files, and of the directory itself, survive a power loss.
pub(super) fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()?;
    match directory.canonicalize()?.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
