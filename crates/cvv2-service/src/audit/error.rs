//! Why there is no log, and why a record is not in it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cvv2::secret::SecretError;

use super::options::OptionsError;

/// Why a log was not opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum AuditError {
    /// The anchor is of another log.
    AnchorOfAnother {
        /// The anchor's file.
        path: PathBuf,
    },
    /// Another process, or another [`AuditLog`](super::AuditLog) of this one, writes the log.
    Busy {
        /// The directory.
        path: PathBuf,
    },
    /// The newest file is not as it was written, and no crash leaves it so.
    Damaged {
        /// The file.
        path: PathBuf,
        /// The first line that is wrong.
        line: u64,
    },
    /// It belongs to a user who is neither root nor the one that this process runs as.
    ForeignOwner {
        /// The file or directory.
        path: PathBuf,
    },
    /// The newest file is under another key.
    ForeignKey {
        /// The file.
        path: PathBuf,
    },
    /// The operating system's generator failed.
    Generator,
    /// The system could not open, read or write it.
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// There is no memory for the key.
    Key(SecretError),
    /// It is something else than the log or the anchor needs there: a link, a pipe.
    NotRegular {
        /// Where.
        path: PathBuf,
    },
    /// Other users may read the log or write the anchor.
    OpenToOthers {
        /// The file or directory.
        path: PathBuf,
    },
    /// An option is out of range.
    Options(OptionsError),
    /// The log ends before what its anchor knows: records were taken from its end.
    Shortened {
        /// The anchor's file.
        path: PathBuf,
        /// The last line that the anchor knows.
        anchored: u64,
        /// The last line of the log.
        last: u64,
    },
}

impl AuditError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { path, error }
    }
}

impl fmt::Display for AuditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnchorOfAnother { path } => write!(
                f,
                "{}: the anchor is of another audit log; give every log an anchor of its own, and \
                 find out who has exchanged this one",
                path.display()
            ),
            Self::Busy { path } => write!(
                f,
                "{}: another process writes this audit log; stop it, or give this one a directory \
                 of its own",
                path.display()
            ),
            Self::Damaged { path, line } => write!(
                f,
                "{}: line {line} is not as it was written; run `cvv2 audit verify`, keep the \
                 directory as evidence and begin a log in another one",
                path.display()
            ),
            Self::ForeignOwner { path } => {
                write!(f, "{}: it belongs to another user; give the log its own", path.display())
            }
            Self::ForeignKey { path } => write!(
                f,
                "{}: it is under another service key; give the key that it was begun with, or \
                 begin a log in another directory",
                path.display()
            ),
            Self::Generator => {
                f.write_str("the operating system's generator of random numbers failed")
            }
            Self::Io { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Key(error) => error.fmt(f),
            Self::NotRegular { path } => write!(
                f,
                "{}: neither a link nor a pipe nor a device can be part of the audit trail; give \
                 the path itself",
                path.display()
            ),
            Self::OpenToOthers { path } => write!(
                f,
                "{}: other users may open it; run `chmod go=` on it and find out who did",
                path.display()
            ),
            Self::Options(error) => error.fmt(f),
            Self::Shortened { path, anchored, last } => write!(
                f,
                "{}: the anchor knows line {anchored} of the audit log, which ends with line \
                 {last}; records are missing: keep the directory as evidence and begin a log and an \
                 anchor in other places",
                path.display()
            ),
        }
    }
}

impl std::error::Error for AuditError {}

impl From<OptionsError> for AuditError {
    fn from(error: OptionsError) -> Self {
        Self::Options(error)
    }
}

impl From<SecretError> for AuditError {
    fn from(error: SecretError) -> Self {
        Self::Key(error)
    }
}

/// Why a record is not in the log. Whatever it is about must not be answered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AppendError {
    /// The log could not be written or synced. It is tried again once a second.
    Failed(Arc<WriteFault>),
    /// As many records as may wait do.
    Full {
        /// How many.
        records_max: usize,
    },
    /// The log was closed.
    Stopped,
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(fault) => write!(f, "the audit log cannot be written: {fault}"),
            Self::Full { records_max } => write!(
                f,
                "{records_max} audit records are waiting to be written; the disk is too slow for \
                 this load"
            ),
            Self::Stopped => f.write_str("the audit log is closed"),
        }
    }
}

impl std::error::Error for AppendError {}

/// What failed when the log or its anchor was written.
#[derive(Debug)]
#[non_exhaustive]
pub struct WriteFault {
    /// The file or directory.
    pub path: PathBuf,
    /// What the system says.
    pub error: io::Error,
}

impl WriteFault {
    pub(crate) fn new(path: PathBuf, error: io::Error) -> Self {
        Self { path, error }
    }
}

impl fmt::Display for WriteFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.error)
    }
}
