//! Why a keyring's file, or a file of wrapped keys, was not read or not written.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use crate::file::FILE_BYTES_MAX;

/// Which file, and why not.
#[derive(Debug)]
#[non_exhaustive]
pub struct FileError {
    /// The keyring's file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: FileFault,
}

impl FileError {
    pub(crate) fn new(path: &Path, fault: FileFault) -> Self {
        Self { path: path.to_owned(), fault }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.fault)
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            FileFault::Io(error) | FileFault::Unfinished(error) => Some(error),
            _ => None,
        }
    }
}

/// What is wrong with a keyring's file. Only after [`Unfinished`](Self::Unfinished) is it another
/// than before.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileFault {
    /// Another process is changing a keyring in this folder.
    Busy,
    /// Somebody changed the file between reading and writing.
    Changed,
    /// There is a file of this name.
    Exists,
    /// Others may make or rename files in the folder, sticky or not.
    FolderWritable,
    /// The system refused.
    Io(io::Error),
    /// This name, which a change of the keyring uses, is no regular file of root or of this user.
    Leftover(PathBuf),
    /// This file, which processes lock that change a keyring in the folder, is not the owner's
    /// alone, so that others could keep it locked.
    Lock(PathBuf),
    /// It is no regular file.
    NotAFile,
    /// It is not UTF-8.
    NotText,
    /// Others may open it, and it is not for them to read.
    OpenToOthers,
    /// It belongs to another user, who is not root.
    Owner,
    /// It is longer than any keyring.
    TooLong,
    /// The new text is in place, and the system refused to keep the previous file or to make the
    /// change durable.
    Unfinished(io::Error),
    /// Others may write it.
    Writable,
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str(
                "another process is changing a file of keys in this folder; try again when it has ended",
            ),
            Self::Changed => f.write_str(
                "somebody changed the file meanwhile, and nothing was written; look at it and \
                 repeat the command",
            ),
            Self::Exists => f.write_str(
                "there is such a file, and it was left as it is; give another name for a new one",
            ),
            Self::FolderWritable => f.write_str(
                "other users may make or exchange files in its folder; let the folder belong to you or \
                 to root and run `chmod go-w` on it, or use a folder of its own",
            ),
            Self::Io(error) => error.fmt(f),
            Self::Leftover(path) => write!(
                f,
                "{} is no file that a change of this one left; find out who made it, and remove it",
                path.display()
            ),
            Self::Lock(lock) => write!(
                f,
                "others may lock {}; remove it when nobody changes a file of keys in this folder",
                lock.display()
            ),
            Self::NotAFile => f.write_str("not a regular file; give the file of keys"),
            Self::NotText => f.write_str("not UTF-8 text; give the file of keys"),
            Self::OpenToOthers => f.write_str(
                "other users may open this file; run `chmod 600` on it, and consider what is in it \
                 known",
            ),
            Self::Owner => f.write_str(
                "the file belongs to another user; use one that belongs to you or to root",
            ),
            Self::TooLong => write!(
                f,
                "longer than {} MiB; give the file of keys, or split it",
                FILE_BYTES_MAX >> 20
            ),
            Self::Unfinished(error) => write!(
                f,
                "the change is in place, but may not survive a power failure, or the previous file \
                 was not kept: {error}; look at the folder and at the disk"
            ),
            Self::Writable => f.write_str(
                "other users may change this file; run `chmod go-w` on it, and compare its check values \
                 with your papers",
            ),
        }
    }
}

impl From<io::Error> for FileFault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
