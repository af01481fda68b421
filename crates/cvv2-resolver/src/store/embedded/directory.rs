//! The directory of a store: what is in it, who may enter it, and who writes.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::store::StoreError;

const DATA: &str = "data.mdb";
const READERS: &str = "lock.mdb";
const WRITER: &str = "writer.lock";
const IMPORT: &str = "import";

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

/// Where the generation with this number is.
pub(super) fn generation(directory: &Path, number: u32) -> PathBuf {
    directory.join(number.to_string())
}

/// The numbers of the generations that have a file, ascending. None where there is no directory.
pub(super) fn generations(directory: &Path) -> io::Result<Vec<u32>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.parse().ok());
        if let Some(number) = number
            && generation(directory, number).join(DATA).is_file()
        {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The generation that the way to the current one starts from, if there is a store here.
pub(super) fn oldest_generation(directory: &Path) -> io::Result<Option<u32>> {
    Ok(generations(directory)?.first().copied())
}

/// Takes the generation with this number away, if it is there.
pub(super) fn remove_generation(directory: &Path, number: u32) -> io::Result<()> {
    remove(&generation(directory, number))
}

/// Where an import keeps what it has not stored yet.
pub(super) fn import(directory: &Path) -> PathBuf {
    directory.join(IMPORT)
}

/// Takes away what an import has left behind, if there is something.
pub(super) fn remove_import(directory: &Path) -> io::Result<()> {
    remove(&import(directory))
}

fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Makes the directory for its owner alone, unless it is there.
pub(super) fn make(directory: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

/// Refuses a directory or a file that others than the owner have any access to.
pub(super) fn check_private(directory: &Path) -> Result<(), StoreError> {
    let mut paths = vec![directory.to_owned(), directory.join(WRITER), import(directory)];
    for number in generations(directory)? {
        let generation = generation(directory, number);
        paths.extend([DATA, READERS].map(|name| generation.join(name)));
        paths.push(generation);
    }
    for path in paths {
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

/// Makes the names in a directory, and its own, survive a power loss.
pub(super) fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()?;
    match directory.canonicalize()?.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
