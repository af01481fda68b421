//! The directory of a journal: what is in it, who may enter it, and who writes.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::limits::error::LimitError;

const WRITER: &str = "writer.lock";
const JOURNAL: &str = "journal.";

/// A directory that this process alone writes in, until this is dropped or the process ends in any
/// way.
pub(super) struct Directory {
    path: PathBuf,
    lock: File,
}

impl Directory {
    /// Makes the directory if it is not there, and takes the permission to write in it.
    pub(super) fn open(path: &Path) -> Result<Self, LimitError> {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => {
                made?;
                if let Some(parent) = path.canonicalize()?.parent() {
                    File::open(parent)?.sync_all()?;
                }
            }
        }
        check_private(path)?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join(WRITER))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LimitError::InUse { directory: path.to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let directory = Self { path: path.to_owned(), lock };
        for number in directory.journals()? {
            check_private(&directory.journal(number))?;
        }
        Ok(directory)
    }

    /// Where the journal with this number is.
    pub(super) fn journal(&self, number: u64) -> PathBuf {
        self.path.join(format!("{JOURNAL}{number}"))
    }

    /// The numbers of the journals that are there, ascending.
    pub(super) fn journals(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(JOURNAL));
            let number = number.and_then(|number| number.parse::<u64>().ok());
            numbers.extend(number);
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Makes an empty journal for its owner alone, in place of one that was not finished.
    pub(super) fn create(&self, number: u64) -> io::Result<File> {
        let path = self.journal(number);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            removed => removed?,
        }
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
    }

    /// Opens a journal for writing, if it is there.
    pub(super) fn open_journal(&self, number: u64) -> io::Result<Option<File>> {
        match OpenOptions::new().write(true).open(self.journal(number)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// Takes journals away that nobody needs any more. What cannot be taken away is harmless.
    pub(super) fn remove_before(&self, number: u64) {
        for before in self.journals().unwrap_or_default() {
            if before < number {
                let _ = fs::remove_file(self.journal(before));
            }
        }
        let _ = self.sync();
    }

    /// Makes the names in it survive a power loss.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

impl Drop for Directory {
    /// Closing the file is not enough: a program that this process is starting has a copy of the
    /// open file for a moment, between fork and exec, and with it the lock.
    fn drop(&mut self) {
        // Nothing can be done about a failure, and the lock ends with the process at the latest.
        let _ = self.lock.unlock();
    }
}

fn check_private(path: &Path) -> Result<(), LimitError> {
    let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(LimitError::Exposed { path: path.to_owned(), mode });
    }
    Ok(())
}
