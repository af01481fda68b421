//! The file of a keyring, and one of wrapped keys: read only if nobody else can change it, and
//! replaced as a whole or not at all.
//!
//! The file holds no secret, but who can write it can exchange one key of the issuer for another.
//!
//! A change of `NAME` takes these steps, under the lock of the folder:
//!
//! 1. the new text is written to `.NAME.new` and synced;
//! 2. `.NAME.swap` becomes a second name of it;
//! 3. `NAME` is compared with what was read before;
//! 4. `NAME` and `.NAME.swap` are exchanged;
//! 5. what came out, now `.NAME.swap`, is compared again: if somebody changed it after step 3, both
//!    are exchanged back;
//! 6. `.NAME.swap` is renamed to `NAME.previous`, `.NAME.new` is removed, and the folder is synced.
//!
//! So at every instant `NAME` is whole, the old text or the new, and whatever somebody else put
//! there is still in the folder. Of a process that is killed, one or two names with a dot may stay.
//! The next change finishes step 6 if `.NAME.swap` is another file than `.NAME.new`, which it is
//! from step 4 on, or takes them away.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;

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
        check_leftover(&new)?;
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
            for name in [&names.new, &names.swap, &names.previous] {
                check_leftover(name)?;
            }
            names.recover()?;
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
        self.replace_after(text, || ())
    }

    /// As [`replace`](Self::replace); what others do between the comparison and the exchange is
    /// `meanwhile`.
    fn replace_after(self, text: &str, meanwhile: impl FnOnce()) -> Result<(), FileError> {
        let names = Names::new(&self.folder, &self.path);
        let replaced = self.replace_under(&names, text, meanwhile);
        if replaced.is_err() {
            // What cannot be removed now is when the file is next opened for a change.
            let _ = names.recover();
        }
        replaced.map_err(|fault| FileError::new(&self.given, fault))
    }

    fn replace_under(
        &self,
        names: &Names,
        text: &str,
        meanwhile: impl FnOnce(),
    ) -> Result<(), FileFault> {
        write_new(&names.new, text, Some(&self.snapshot.meta))?;
        fs::hard_link(&names.new, &names.swap)?;
        // The exchange alone would find a change as well, but show the new text until it is undone.
        self.snapshot.refuse_changed(&self.path)?;
        meanwhile();
        exchange(&names.swap, &self.path)?;
        if let Err(fault) = self.snapshot.refuse_changed(&names.swap) {
            names.put_back(&self.path).map_err(FileFault::Unfinished)?;
            return Err(fault);
        }
        names.keep_previous().map_err(FileFault::Unfinished)?;
        self.folder.handle.sync_all().map_err(FileFault::Unfinished)
    }
}

/// The names beside a keyring's file.
struct Names {
    /// The new text.
    new: PathBuf,
    /// The new text too, until it is exchanged for what has the keyring's name.
    swap: PathBuf,
    previous: PathBuf,
}

impl Names {
    fn new(folder: &Folder, path: &Path) -> Self {
        let mut previous = path.as_os_str().to_owned();
        previous.push(".previous");
        Self {
            new: folder.path.join(hidden(path, ".new")),
            swap: folder.path.join(hidden(path, ".swap")),
            previous: previous.into(),
        }
    }

    /// Finishes or undoes the change of a process that was killed.
    fn recover(&self) -> io::Result<()> {
        if self.is_exchanged()? {
            return self.keep_previous();
        }
        remove_if_there(&self.swap)?;
        remove_if_there(&self.new)
    }

    /// Whether something else came out for the new text.
    fn is_exchanged(&self) -> io::Result<bool> {
        Ok(match (look(&self.swap)?, look(&self.new)?) {
            (Some(swap), Some(new)) => !is_same_file(&swap, &new),
            (swap, _) => swap.is_some(),
        })
    }

    /// Takes the new text out again.
    fn put_back(&self, path: &Path) -> io::Result<()> {
        exchange(&self.swap, path)?;
        // What somebody has put in place of the new text meanwhile is newer than what was there
        // before, which is kept as the previous file then.
        if self.is_exchanged()? { exchange(&self.swap, path) } else { Ok(()) }
    }

    fn keep_previous(&self) -> io::Result<()> {
        fs::rename(&self.swap, &self.previous)?;
        // Both names stay where they were two names of one file before.
        remove_if_there(&self.swap)?;
        // The last, as without it nothing tells what `swap` is.
        remove_if_there(&self.new)
    }
}

/// A folder in which nobody else can rename files, locked until it is dropped.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    handle: File,
    /// A file of its own, that only its owner may open: whoever can open a file can lock it, and
    /// many may read the folder. It stays, as to remove it could take it from the next one.
    lock: File,
}

impl Folder {
    fn lock(path: &Path) -> Result<Self, FileFault> {
        let handle = File::open(path)?;
        check_folder(&handle)?;
        let lock = open_lock(&path.join(LOCK), &handle.metadata()?)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), handle, lock }),
            Err(TryLockError::WouldBlock) => Err(FileFault::Busy),
            Err(TryLockError::Error(e)) => Err(e.into()),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A child that another thread is just starting has the handle as well until it executes
        // its program, so closing it here would not be the end of the lock.
        let _ = self.lock.unlock();
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
    open_with(OpenOptions::new().read(true), path)
}

/// Opens the file to lock in a folder, and makes it if it is not there.
fn open_lock(path: &Path, folder: &Metadata) -> Result<File, FileFault> {
    let mut options = OpenOptions::new();
    let lock = open_with(options.read(true).write(true).create(true).mode(0o600), path)?;
    let meta = lock.metadata()?;
    if !meta.is_file() || !is_trusted(&meta) || meta.mode() & OPEN_TO_OTHERS != 0 {
        return Err(FileFault::Lock(path.to_owned()));
    }
    if meta.uid() != folder.uid() && rustix::process::geteuid().is_root() {
        // The folder's owner could not change a keyring any more if root did once.
        fchown(&lock, Some(folder.uid()), None)?;
    }
    Ok(lock)
}

fn open_with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    // To open a pipe waits for its writer, which may never come.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    options.custom_flags(flags.cast_signed()).open(path)
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
    // Nor in a sticky one: others cannot rename a file of ours there, but make one before us.
    if meta.mode() & WRITABLE_BY_OTHERS != 0 || !is_trusted(&meta) {
        return Err(FileFault::FolderWritable);
    }
    Ok(())
}

/// Refuses what no change of a keyring has left under this name.
fn check_leftover(path: &Path) -> Result<(), FileFault> {
    match look(path)? {
        Some(meta) if !meta.is_file() || !is_trusted(&meta) => {
            Err(FileFault::Leftover(path.to_owned()))
        }
        _ => Ok(()),
    }
}

/// Whether it belongs to root or to the user that this process acts as.
fn is_trusted(meta: &Metadata) -> bool {
    [ROOT, rustix::process::geteuid().as_raw()].contains(&meta.uid())
}

fn is_same_file(a: &Metadata, b: &Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// Exchanges what two names stand for, in one step.
fn exchange(a: &Path, b: &Path) -> io::Result<()> {
    renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).map_err(|error| match error {
        Errno::INVAL | Errno::NOSYS => io::Error::new(
            io::ErrorKind::Unsupported,
            "the file system cannot exchange two files; keep the keyring on a local one, such as \
             ext4, xfs or btrfs",
        ),
        error => error.into(),
    })
}

/// What has this name, if anything.
fn look(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
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
const OPEN_TO_OTHERS: u32 = 0o077;
/// One for all keyrings of a folder.
const LOCK: &str = ".keyring.lock";

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keyring.toml");
        create(&path, "old").unwrap();
        (folder, path)
    }

    fn hidden_names(folder: &Path) -> usize {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        names
            .filter(|name| {
                [".new", ".swap"].iter().any(|end| name.display().to_string().ends_with(end))
            })
            .count()
    }

    #[test]
    fn an_edit_right_before_the_exchange_is_not_lost() {
        let (folder, path) = folder();
        let in_place = || fs::write(&path, "edited").unwrap();
        let by_rename = || {
            let other = folder.path().join("other");
            fs::write(&other, "edited").unwrap();
            fs::rename(other, &path).unwrap();
        };
        for edit in [&in_place as &dyn Fn(), &by_rename] {
            fs::write(&path, "old").unwrap();
            let changed = LockedFile::open(&path).unwrap().replace_after("new", edit);
            assert!(matches!(changed.unwrap_err().fault, FileFault::Changed));
            assert_eq!(fs::read_to_string(&path).unwrap(), "edited");
            assert_eq!(hidden_names(folder.path()), 0);
            assert!(!folder.path().join("keyring.toml.previous").exists());
        }
        let gone = || fs::remove_file(&path).unwrap();
        let gone = LockedFile::open(&path).unwrap().replace_after("new", gone);
        assert!(matches!(gone.unwrap_err().fault, FileFault::Io(_)));
        assert!(!path.exists());
        assert_eq!(hidden_names(folder.path()), 0);
    }

    #[test]
    fn what_no_change_left_is_not_touched() {
        let (folder, path) = folder();
        let other = folder.path().join("other");
        fs::write(&other, "mine").unwrap();
        let refused = |name: &Path| {
            let refused = LockedFile::open(&path).unwrap_err();
            assert!(
                matches!(&refused.fault, FileFault::Leftover(path) if path == name),
                "{refused}"
            );
        };
        for name in [".keyring.toml.new", ".keyring.toml.swap", "keyring.toml.previous"] {
            let name = folder.path().join(name);
            std::os::unix::fs::symlink(&other, &name).unwrap();
            refused(&name);
            fs::remove_file(&name).unwrap();
            fs::create_dir(&name).unwrap();
            refused(&name);
            fs::remove_dir(&name).unwrap();
            // Only root can give a file away.
            if rustix::process::geteuid().is_root() {
                fs::write(&name, "").unwrap();
                std::os::unix::fs::chown(&name, Some(4321), None).unwrap();
                refused(&name);
                fs::remove_file(&name).unwrap();
            }
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        LockedFile::open(&path).unwrap().replace("new").unwrap();

        let link = folder.path().join(".second.toml.new");
        std::os::unix::fs::symlink(&other, &link).unwrap();
        let refused = create(&folder.path().join("second.toml"), "text").unwrap_err();
        assert!(matches!(refused.fault, FileFault::Leftover(_)), "{refused}");
        assert_eq!(fs::read_to_string(&other).unwrap(), "mine");
    }

    #[test]
    fn the_lock_is_private_and_who_reads_the_folder_cannot_block_it() {
        let (folder, path) = folder();
        let lock = folder.path().join(LOCK);
        assert_eq!(fs::metadata(&lock).unwrap().mode() & 0o7777, 0o600);

        let by_a_reader = File::open(folder.path()).unwrap();
        by_a_reader.lock().unwrap();
        let locked = LockedFile::open(&path).unwrap();
        assert!(matches!(LockedFile::open(&path).unwrap_err().fault, FileFault::Busy));
        drop(locked);
        drop(LockedFile::open(&path).unwrap());

        fs::set_permissions(&lock, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = LockedFile::open(&path).unwrap_err();
        assert!(matches!(&refused.fault, FileFault::Lock(path) if *path == lock), "{refused}");
        fs::remove_file(&lock).unwrap();
        std::os::unix::fs::symlink(&path, &lock).unwrap();
        assert!(LockedFile::open(&path).is_err());
    }

    /// Of two edits, one before the exchange and one after it, the later one stays in place.
    #[test]
    fn an_edit_between_exchange_and_return_is_not_lost() {
        let (folder, path) = folder();
        let locked = LockedFile::open(&path).unwrap();
        let names = Names::new(&locked.folder, &path);
        write_new(&names.new, "new", None).unwrap();
        fs::hard_link(&names.new, &names.swap).unwrap();
        fs::write(&path, "first edit").unwrap();
        exchange(&names.swap, &path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "second edit").unwrap();
        names.put_back(&path).unwrap();
        names.recover().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "second edit");
        assert_eq!(fs::read_to_string(&names.previous).unwrap(), "first edit");
        assert_eq!(hidden_names(folder.path()), 0);
    }
}
