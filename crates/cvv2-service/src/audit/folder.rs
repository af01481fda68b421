//! The directory of a log: private, of one writer, and full of files that are whole.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};

use super::error::{AuditError, WriteFault};
use super::file_name::FileName;

/// The files of a log that are in a directory, in the order of the chain.
///
/// # Errors
///
/// As the directory cannot be read.
pub fn log_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let names = names(directory)?;
    Ok(names.into_iter().map(|name| directory.join(name.to_string())).collect())
}

/// A directory that nobody else writes a log to, until it is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    handle: File,
    /// A file of its own, that stays: to remove it could take it from the next one.
    lock: File,
}

impl Folder {
    /// Opens the directory, which is made if it is not there, and takes it for this writer.
    pub(crate) fn open(path: &Path) -> Result<Self, AuditError> {
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => sync_folder_of(path).map_err(AuditError::io(path))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(AuditError::io(path)(error)),
        }
        let handle = File::open(path).map_err(AuditError::io(path))?;
        let meta = handle.metadata().map_err(AuditError::io(path))?;
        check(path, &meta, OPEN_TO_OTHERS)?;

        let lock_path = path.join(LOCK);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).mode(0o600);
        let lock = open_regular(&mut options, &lock_path, OPEN_TO_OTHERS)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), handle, lock }),
            Err(TryLockError::WouldBlock) => Err(AuditError::Busy { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(AuditError::io(&lock_path)(error)),
        }
    }

    /// The newest file of the log.
    pub(crate) fn newest(&self) -> Result<Option<FileName>, AuditError> {
        Ok(names(&self.path).map_err(AuditError::io(&self.path))?.pop())
    }

    /// The file with this number.
    pub(crate) fn numbered(&self, number: u64) -> io::Result<Option<FileName>> {
        Ok(names(&self.path)?.into_iter().find(|name| u64::from(name.number) == number))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where a file is.
    pub(crate) fn path_of(&self, name: FileName) -> PathBuf {
        self.path.join(name.to_string())
    }

    /// Opens a file that is there.
    pub(crate) fn open_file(&self, name: FileName) -> Result<File, AuditError> {
        let mut options = OpenOptions::new();
        open_regular(options.read(true).write(true), &self.path_of(name), OPEN_TO_OTHERS)
    }

    /// Makes a file that has its name when its first line is on disk. The name is when the directory
    /// was [synced](Self::sync).
    pub(crate) fn create(&self, name: FileName, first: &[u8]) -> Result<File, WriteFault> {
        let new = self.path.join(NEXT);
        let create = || {
            remove_if_there(&new)?;
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(first)?;
            file.sync_all()?;
            renameat_with(CWD, &new, CWD, self.path_of(name), RenameFlags::NOREPLACE)?;
            Ok(file)
        };
        create().map_err(|error| {
            // It takes up room that may be short.
            let _ = remove_if_there(&new);
            WriteFault::new(self.path_of(name), error)
        })
    }

    /// Has the names of all files on disk.
    pub(crate) fn sync(&self) -> Result<(), WriteFault> {
        self.handle.sync_all().map_err(|error| WriteFault::new(self.path.clone(), error))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A child that another thread is just starting has the handle as well until it executes its
        // program, so closing it here would not be the end of the lock.
        let _ = self.lock.unlock();
    }
}

/// Has on disk that there is something of this name.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Opens a file of the trail's, and refuses what others could have a hand in.
pub(crate) fn open_regular(
    options: &mut OpenOptions,
    path: &Path,
    forbidden: u32,
) -> Result<File, AuditError> {
    // To open a pipe waits for its other end, which may never come.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let file = options.custom_flags(flags.cast_signed()).open(path).map_err(|error| {
        match rustix::io::Errno::from_io_error(&error) {
            Some(rustix::io::Errno::LOOP) => AuditError::NotRegular { path: path.to_owned() },
            _ => AuditError::io(path)(error),
        }
    })?;
    let meta = file.metadata().map_err(AuditError::io(path))?;
    if !meta.is_file() {
        return Err(AuditError::NotRegular { path: path.to_owned() });
    }
    check(path, &meta, forbidden)?;
    Ok(file)
}

fn check(path: &Path, meta: &Metadata, forbidden: u32) -> Result<(), AuditError> {
    if meta.mode() & forbidden != 0 {
        return Err(AuditError::OpenToOthers { path: path.to_owned() });
    }
    if ![ROOT, rustix::process::geteuid().as_raw()].contains(&meta.uid()) {
        return Err(AuditError::ForeignOwner { path: path.to_owned() });
    }
    Ok(())
}

fn names(directory: &Path) -> io::Result<Vec<FileName>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        names.extend(FileName::of(&entry?.path()));
    }
    names.sort_by_key(|name| name.number);
    Ok(names)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

const ROOT: u32 = 0;
const OPEN_TO_OTHERS: u32 = 0o077;
const LOCK: &str = ".audit.lock";
/// The file that is about to get a name.
const NEXT: &str = ".audit-next";

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use time::macros::date;

    use super::*;

    const NAME: FileName = FileName { day: date!(2026 - 01 - 02), number: 1 };

    fn directory() -> (tempfile::TempDir, PathBuf) {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("audit");
        (parent, path)
    }

    #[test]
    fn what_is_made_is_private_and_of_one_writer() {
        let (_parent, path) = directory();
        let folder = Folder::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        assert!(matches!(Folder::open(&path).unwrap_err(), AuditError::Busy { .. }));
        drop(folder.create(NAME, b"first\n").unwrap());
        folder.sync().unwrap();
        let file = path.join("audit-20260102-00000001.jsonl");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read(&file).unwrap(), b"first\n");
        assert_eq!(log_files(&path).unwrap(), [file]);
        drop(folder);
        assert_eq!(Folder::open(&path).unwrap().newest().unwrap(), Some(NAME));
    }

    #[test]
    fn a_file_that_is_there_is_never_replaced() {
        let (_parent, path) = directory();
        let folder = Folder::open(&path).unwrap();
        drop(folder.create(NAME, b"first\n").unwrap());
        let refused = folder.create(NAME, b"other\n").unwrap_err();
        assert_eq!(refused.error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(folder.path_of(NAME)).unwrap(), b"first\n");
        assert!(!path.join(NEXT).exists());
        fs::write(path.join(NEXT), "left by a process that was killed").unwrap();
        drop(folder.create(FileName { number: 2, ..NAME }, b"second\n").unwrap());
    }

    #[test]
    fn what_others_can_open_or_is_no_file_is_refused() {
        let (_parent, path) = directory();
        let folder = Folder::open(&path).unwrap();
        drop(folder.create(NAME, b"first\n").unwrap());
        let file = folder.path_of(NAME);
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            folder.open_file(NAME).unwrap_err(),
            AuditError::OpenToOthers { path } if path == file
        ));
        fs::remove_file(&file).unwrap();
        symlink("/dev/null", &file).unwrap();
        assert!(matches!(folder.open_file(NAME).unwrap_err(), AuditError::NotRegular { .. }));
        drop(folder);
        fs::set_permissions(&path, Permissions::from_mode(0o750)).unwrap();
        assert!(matches!(Folder::open(&path).unwrap_err(), AuditError::OpenToOthers { .. }));
        // Only root can give a file away.
        if rustix::process::geteuid().is_root() {
            fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
            std::os::unix::fs::chown(&path, Some(4321), None).unwrap();
            assert!(matches!(Folder::open(&path).unwrap_err(), AuditError::ForeignOwner { .. }));
        }
    }
}
