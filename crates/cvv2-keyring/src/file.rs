//! The keyring's file: read only if nobody else can change it, and replaced as a whole or not at
//! all.
//!
//! The file holds no secret, but who can write it can exchange one key of the issuer for another.
//!
//! A change of `NAME` takes these steps, under a lock on the folder:
//!
//! 1. the new text is written to `.NAME.new` and synced;
//! 2. `.NAME.old` becomes a second name of the old file;
//! 3. that file is compared with what was read before;
//! 4. `.NAME.new` is renamed to `NAME`, over the old one;
//! 5. `.NAME.old` is renamed to `NAME.previous`, and the folder is synced.
//!
//! So at every instant `NAME` is whole, the old text or the new. Of a process that is killed, one or
//! two names with a dot may stay; the next change finishes step 5 or takes them away.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::file_error::{FileError, FileFault};
use crate::secret_file::folder;

/// The longest file of a keyring, in bytes.
pub const FILE_BYTES_MAX: u64 = 32 << 20;

/// Reads the text of a keyring's file.
pub(crate) fn read(path: &Path) -> Result<String, FileError> {
    let read = || {
        let path = fs::canonicalize(path)?;
        check_folder(&File::open(folder(&path))?)?;
        Ok(Snapshot::read(&path)?.text)
    };
    read().map_err(|fault| FileError::new(path, fault))
}

/// Creates a keyring's file with this text; an existing one is never touched.
pub(crate) fn create(path: &Path, text: &str) -> Result<(), FileError> {
    let create = || {
        let folder = Folder::lock(folder(path))?;
        let new = folder.path.join(hidden(path, ".new"));
        remove_if_there(&new)?;
        // A link, as a rename would take the place of a file that is there.
        let created = write_new(&new, text, None).and_then(|()| fs::hard_link(&new, path));
        let removed = remove_if_there(&new);
        match created {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Err(FileFault::Exists),
            created => created?,
        }
        removed.and_then(|()| folder.handle.sync_all()).map_err(FileFault::Unfinished)
    };
    create().map_err(|fault| FileError::new(path, fault))
}

/// A keyring's file that nobody else can change by way of this crate.
#[derive(Debug)]
pub(crate) struct LockedFile {
    /// As the caller gave it, for errors.
    given: PathBuf,
    /// Without symbolic links: the file that is replaced, rather than a link to it.
    path: PathBuf,
    folder: Folder,
    snapshot: Snapshot,
}

impl LockedFile {
    /// Locks the file's folder, finishes or undoes what a killed process left, and reads the file.
    pub(crate) fn open(given: &Path) -> Result<Self, FileError> {
        let open = || {
            let path = fs::canonicalize(given)?;
            let folder = Folder::lock(folder(&path))?;
            let names = Names::new(&folder, &path);
            names.recover(&path)?;
            let snapshot = Snapshot::read(&path)?;
            Ok(Self { given: given.to_owned(), path, folder, snapshot })
        };
        open().map_err(|fault| FileError::new(given, fault))
    }

    /// The text as it was read.
    pub(crate) fn text(&self) -> &str {
        &self.snapshot.text
    }

    /// The path that the caller gave.
    pub(crate) fn given_path(&self) -> &Path {
        &self.given
    }

    /// Replaces the file by one with this text, of the same owner and mode.
    pub(crate) fn replace(self, text: &str) -> Result<(), FileError> {
        let names = Names::new(&self.folder, &self.path);
        let replaced = self.replace_under(&names, text);
        if replaced.is_err() {
            // What cannot be removed now is when the file is next opened for a change.
            let _ = names.recover(&self.path);
        }
        replaced.map_err(|fault| FileError::new(&self.given, fault))
    }

    fn replace_under(&self, names: &Names, text: &str) -> Result<(), FileFault> {
        write_new(&names.new, text, Some(&self.snapshot.meta))?;
        fs::hard_link(&self.path, &names.old)?;
        self.snapshot.refuse_changed(&names.old)?;
        fs::rename(&names.new, &self.path)?;
        names.keep_previous().map_err(FileFault::Unfinished)?;
        self.folder.handle.sync_all().map_err(FileFault::Unfinished)
    }
}

/// The names beside a keyring's file.
struct Names {
    new: PathBuf,
    old: PathBuf,
    previous: PathBuf,
}

impl Names {
    fn new(folder: &Folder, path: &Path) -> Self {
        let mut previous = path.as_os_str().to_owned();
        previous.push(".previous");
        Self {
            new: folder.path.join(hidden(path, ".new")),
            old: folder.path.join(hidden(path, ".old")),
            previous: previous.into(),
        }
    }

    /// Finishes or undoes the change of a process that was killed.
    fn recover(&self, path: &Path) -> io::Result<()> {
        remove_if_there(&self.new)?;
        match fs::symlink_metadata(&self.old) {
            Ok(old) if is_same_file(&old, &fs::metadata(path)?) => fs::remove_file(&self.old),
            Ok(_) => self.keep_previous(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        }
    }

    fn keep_previous(&self) -> io::Result<()> {
        fs::rename(&self.old, &self.previous)?;
        // Both names stay where they were two names of one file before.
        remove_if_there(&self.old)
    }
}

/// A folder in which nobody else can rename files, locked until it is dropped.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    handle: File,
}

impl Folder {
    fn lock(path: &Path) -> Result<Self, FileFault> {
        let handle = File::open(path)?;
        check_folder(&handle)?;
        match handle.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), handle }),
            Err(TryLockError::WouldBlock) => Err(FileFault::Busy),
            Err(TryLockError::Error(e)) => Err(e.into()),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A child that another thread is just starting has the handle as well until it executes
        // its program, so closing it here would not be the end of the lock.
        let _ = self.handle.unlock();
    }
}

/// A file as it was read.
#[derive(Debug)]
struct Snapshot {
    text: String,
    meta: Metadata,
}

impl Snapshot {
    fn read(path: &Path) -> Result<Self, FileFault> {
        let mut file = open(path)?;
        let meta = file.metadata()?;
        check_file(&meta)?;
        Ok(Self { text: read_text(&mut file)?, meta })
    }

    /// Refuses to go on if the file is another by now, or has another text.
    fn refuse_changed(&self, path: &Path) -> Result<(), FileFault> {
        let mut file = open(path)?;
        let same =
            is_same_file(&file.metadata()?, &self.meta) && read_text(&mut file)? == self.text;
        if same { Ok(()) } else { Err(FileFault::Changed) }
    }
}

fn open(path: &Path) -> io::Result<File> {
    // To open a pipe waits for its writer, which may never come.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path)
}

fn read_text(file: &mut File) -> Result<String, FileFault> {
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(FileFault::TooLong);
    }
    String::from_utf8(bytes).map_err(|_| FileFault::NotText)
}

/// Writes a file that was not there, of the owner and mode of `like`, and syncs it.
fn write_new(path: &Path, text: &str, like: Option<&Metadata>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    if let Some(like) = like {
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
            fchown(&file, Some(like.uid()), Some(like.gid()))?;
        }
        file.set_permissions(fs::Permissions::from_mode(like.mode() & 0o777))?;
    }
    file.sync_all()
}

fn check_file(meta: &Metadata) -> Result<(), FileFault> {
    if !meta.is_file() {
        return Err(FileFault::NotAFile);
    }
    if meta.mode() & WRITABLE_BY_OTHERS != 0 {
        return Err(FileFault::Writable);
    }
    if is_trusted(meta) { Ok(()) } else { Err(FileFault::Owner) }
}

fn check_folder(folder: &File) -> Result<(), FileFault> {
    let meta = folder.metadata()?;
    // In a sticky folder nobody else can rename a file of ours.
    let others_write = meta.mode() & WRITABLE_BY_OTHERS != 0 && meta.mode() & STICKY == 0;
    if others_write || !is_trusted(&meta) {
        return Err(FileFault::FolderWritable);
    }
    Ok(())
}

/// Whether it belongs to root or to the user that this process acts as.
fn is_trusted(meta: &Metadata) -> bool {
    [ROOT, rustix::process::geteuid().as_raw()].contains(&meta.uid())
}

fn is_same_file(a: &Metadata, b: &Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// `.NAME` and a suffix.
fn hidden(path: &Path, suffix: &str) -> OsString {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or(OsStr::new("")));
    name.push(suffix);
    name
}

const ROOT: u32 = 0;
const WRITABLE_BY_OTHERS: u32 = 0o022;
const STICKY: u32 = 0o1000;
