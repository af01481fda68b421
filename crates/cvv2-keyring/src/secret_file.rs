//! Files that hold keys: read only if nobody else can, and never into memory that grows.
//!
//! What is judged is the open file, so that nothing can be exchanged between the look and the
//! reading. The last part of a path may not be a symbolic link: a link would let a key be kept in
//! one place under the rights that an auditor sees in another.

use core::fmt;
use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::secret_text::{SecretText, SecretTextError};

/// Reads a file that only its owner may open.
///
/// # Errors
///
/// [`SecretFileError`] for a file that others may read or write, a file of another user (but
/// root's), a symbolic link, what is not a regular file, more than [`SecretText::LEN_MAX`] bytes,
/// and text that is not UTF-8.
pub fn read(path: &Path) -> Result<SecretText, SecretFileError> {
    read_for(Readers::Owner, path)
}

/// Reads a file as the service manager leaves it in `$CREDENTIALS_DIRECTORY`.
///
/// systemd gives it to root with an access list that lets the service's user read it; the mask of
/// that list is what shows as the group's right to read (mode 0440). Where the file system has no
/// access lists the file is the user's own, mode 0400.
///
/// # Errors
///
/// As [`read`], but for a file of root's that its group may read.
pub fn read_credential(path: &Path) -> Result<SecretText, SecretFileError> {
    read_for(Readers::AccessList, path)
}

/// Writes a new key file that only its owner may read, and a line feed after the text.
///
/// An existing file is never touched. The text is written under another name beside it, so that
/// after a failure there is no part of a key in the way of the next try. When this returns, text and
/// name are on disk.
///
/// # Errors
///
/// [`SecretFileError`] as the file system refuses, and for a text that [`read`] would refuse: one
/// that is longer than [`SecretText::LEN_MAX`] with its line feed.
pub fn create(path: &Path, text: &str) -> Result<(), SecretFileError> {
    let create = || {
        if text.len() >= SecretText::LEN_MAX {
            return Err(SecretFileFault::TooLong);
        }
        create_with(path, |file| {
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")
        })
        .map_err(SecretFileFault::Io)
    };
    create().map_err(|fault| SecretFileError::new(path, fault))
}

/// The folder that a path is in.
pub(crate) fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Why a key file was not read or written.
#[derive(Debug)]
pub struct SecretFileError {
    path: PathBuf,
    fault: SecretFileFault,
}

impl SecretFileError {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong with it.
    #[must_use]
    pub fn fault(&self) -> &SecretFileFault {
        &self.fault
    }

    pub(crate) fn new(path: &Path, fault: SecretFileFault) -> Self {
        Self { path: path.to_owned(), fault }
    }
}

/// What is wrong with a key file.
#[derive(Debug)]
#[non_exhaustive]
pub enum SecretFileFault {
    /// It belongs to a user who is neither root nor the one that this process runs as.
    ForeignOwner,
    /// The system could not open, read or write it.
    Io(io::Error),
    /// The path ends in a symbolic link.
    Link,
    /// It is a directory, a pipe or a device.
    NotRegular,
    /// It is not UTF-8.
    NotText,
    /// Its mode lets other users read, write or execute it.
    OpenToOthers,
    /// It is longer than [`SecretText::LEN_MAX`].
    TooLong,
}

impl fmt::Display for SecretFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.fault {
            SecretFileFault::ForeignOwner => {
                f.write_str("this key file belongs to another user; copy it to one of your own")
            }
            SecretFileFault::Io(error) => error.fmt(f),
            SecretFileFault::Link => f.write_str(
                "a symbolic link; give the path of the key file itself, so that nobody mistakes \
                 where the key is",
            ),
            SecretFileFault::NotRegular => {
                f.write_str("not a regular file; keys are read from files only")
            }
            SecretFileFault::NotText => f.write_str("not text; give the key in hexadecimal"),
            SecretFileFault::OpenToOthers => f.write_str(
                "other users may open this key file; run `chmod 600` on it and consider the key \
                 known",
            ),
            SecretFileFault::TooLong => {
                f.write_str("longer than any key file; give the file that holds the key")
            }
        }
    }
}

impl core::error::Error for SecretFileError {}

impl From<SecretTextError> for SecretFileFault {
    fn from(error: SecretTextError) -> Self {
        match error {
            SecretTextError::Io(error) => Self::Io(error),
            SecretTextError::NotText => Self::NotText,
            SecretTextError::TooLong => Self::TooLong,
        }
    }
}

/// Who may read a file besides root.
#[derive(Clone, Copy)]
enum Readers {
    /// Its owner.
    Owner,
    /// Its owner, and where that is root those on its access list.
    AccessList,
}

fn read_for(readers: Readers, path: &Path) -> Result<SecretText, SecretFileError> {
    let read = || {
        let mut file = open(path)?;
        let meta = file.metadata().map_err(SecretFileFault::Io)?;
        judge(&meta, readers)?;
        Ok(SecretText::read(&mut file)?)
    };
    read().map_err(|fault| SecretFileError::new(path, fault))
}

/// Makes a file that has its name when it is whole.
fn create_with(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let folder = folder(path);
    let new = folder.join(temporary_name(path)?);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let named = write(&mut file)
        .and_then(|()| file.sync_all())
        .and_then(|()| Ok(renameat_with(CWD, &new, CWD, path, RenameFlags::NOREPLACE)?));
    if let Err(error) = named {
        // That of the two failures which the caller can do something about.
        let _ = fs::remove_file(&new);
        return Err(error);
    }
    // The name is durable when its directory is.
    File::open(folder)?.sync_all()
}

/// A name that no other process takes, nor one that was killed has left.
fn temporary_name(path: &Path) -> io::Result<OsString> {
    let mut number = [0; 8];
    getrandom::fill(&mut number).map_err(io::Error::other)?;
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{:016x}.new", u64::from_ne_bytes(number)));
    Ok(name)
}

fn open(path: &Path) -> Result<File, SecretFileFault> {
    // To open a pipe waits for its writer, which may never come.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path).map_err(|error| {
        match Errno::from_io_error(&error) {
            Some(Errno::LOOP) => SecretFileFault::Link,
            _ => SecretFileFault::Io(error),
        }
    })
}

fn judge(meta: &Metadata, readers: Readers) -> Result<(), SecretFileFault> {
    if !meta.is_file() {
        return Err(SecretFileFault::NotRegular);
    }
    // Not the owner of /proc/self, which is root's once a process may not be dumped.
    let own = rustix::process::geteuid().as_raw();
    judge_rights(meta.uid(), own, meta.mode(), readers)
}

fn judge_rights(owner: u32, own: u32, mode: u32, readers: Readers) -> Result<(), SecretFileFault> {
    const ROOT: u32 = 0;
    let forbidden = match readers {
        Readers::AccessList if owner == ROOT => 0o037,
        Readers::AccessList | Readers::Owner => 0o077,
    };
    if mode & forbidden != 0 {
        return Err(SecretFileFault::OpenToOthers);
    }
    if ![ROOT, own].contains(&owner) {
        return Err(SecretFileFault::ForeignOwner);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn file(mode: u32, content: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    fn refused(mode: u32, content: &[u8]) -> String {
        let (_dir, path) = file(mode, content);
        let text = read(&path).unwrap_err().to_string();
        assert!(text.starts_with(path.to_str().unwrap()), "{text}");
        text
    }

    #[test]
    fn a_private_file_is_read() {
        for mode in [0o600, 0o400] {
            let (_dir, path) = file(mode, b"\n 00FF \r\n");
            assert_eq!(read(&path).unwrap().as_str(), "00FF");
        }
    }

    #[test]
    fn what_others_can_open_is_refused() {
        for mode in [0o640, 0o604, 0o620, 0o666] {
            assert!(refused(mode, b"00FF").contains("chmod 600"));
        }
    }

    #[test]
    fn what_is_no_key_file_is_refused() {
        let longer = vec![b'0'; SecretText::LEN_MAX + 1];
        assert!(refused(0o600, &longer).contains("longer than any key file"));
        assert!(refused(0o600, &[0xFF, 0xFE]).contains("not text"));
        let dir = tempfile::tempdir().unwrap();
        let fault = |path: &Path| read(path).unwrap_err().fault;
        assert!(matches!(fault(dir.path()), SecretFileFault::NotRegular));
        assert!(matches!(fault(Path::new("/dev/null")), SecretFileFault::NotRegular));
        assert!(matches!(fault(&dir.path().join("absent")), SecretFileFault::Io(_)));
    }

    #[test]
    fn a_link_is_refused_and_a_pipe_is_not_waited_for() {
        let (dir, path) = file(0o600, b"00FF");
        let link = dir.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(matches!(read(&link).unwrap_err().fault, SecretFileFault::Link));

        let pipe = dir.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert!(matches!(read(&pipe).unwrap_err().fault, SecretFileFault::NotRegular));
    }

    #[test]
    fn rights_are_judged_by_owner_and_mode() {
        const SELF: u32 = 1000;
        const OTHER: u32 = 1001;
        let judged = |owner, mode, readers| match judge_rights(owner, SELF, mode, readers) {
            Ok(()) => "read",
            Err(SecretFileFault::ForeignOwner) => "foreign",
            Err(SecretFileFault::OpenToOthers) => "open",
            Err(_) => "something else",
        };
        for (owner, mode, key_file, credential) in [
            (SELF, 0o100_600, "read", "read"),
            (SELF, 0o100_400, "read", "read"),
            (SELF, 0o100_440, "open", "open"),
            (0, 0o100_400, "read", "read"),
            (0, 0o100_440, "open", "read"), // the mask of systemd's access list
            (0, 0o100_460, "open", "open"),
            (0, 0o100_444, "open", "open"),
            (OTHER, 0o100_600, "foreign", "foreign"),
            (OTHER, 0o100_440, "open", "open"),
        ] {
            assert_eq!(judged(owner, mode, Readers::Owner), key_file, "{owner} {mode:o}");
            assert_eq!(judged(owner, mode, Readers::AccessList), credential, "{owner} {mode:o}");
        }
    }

    #[test]
    fn a_created_file_is_private_and_an_existing_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        create(&path, "00FF").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(create(&path, "1122").is_err());
        assert_eq!(read(&path).unwrap().as_str(), "00FF");
    }

    #[test]
    fn a_failed_creation_leaves_nothing_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let full = create_with(&path, |file| {
            file.write_all(b"00")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert_eq!(full.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        create(&path, "00FF").unwrap();
        assert!(create(&path, "1122").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(read(&path).unwrap().as_str(), "00FF");
    }

    #[test]
    fn what_is_created_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let longest = "0".repeat(SecretText::LEN_MAX - 1);
        let longer = format!("{longest}0");
        assert!(matches!(create(&path, &longer).unwrap_err().fault, SecretFileFault::TooLong));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        create(&path, &longest).unwrap();
        assert_eq!(read(&path).unwrap().as_str(), longest);
    }
}
