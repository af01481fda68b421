//! Why limits cannot be kept.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::policy::PolicyError;

/// Why limits cannot be kept. Whoever gets one lets nothing through.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LimitError {
    /// The disk does not keep up: more charges wait for it than may.
    Behind,
    /// The name of a caller is empty or has more than this many bytes.
    CallerName {
        /// The most bytes of a name.
        bytes_max: usize,
    },
    /// A journal is not as it was written.
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it, in bytes from its beginning.
        offset: u64,
    },
    /// The database failed, or has something that was not written by us.
    #[cfg(feature = "postgres")]
    Database(Arc<super::postgres::DatabaseError>),
    /// Others than the owner have access to the journal.
    Exposed {
        /// The directory or file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// As many entries are in use as there may be.
    Full {
        /// The setting that limits them.
        setting: &'static str,
    },
    /// Another process has the journal.
    InUse {
        /// Its directory.
        directory: PathBuf,
    },
    /// The disk failed. Charges are refused until the journal could be written anew, which is tried
    /// every second.
    Io(Arc<io::Error>),
    /// A number of the policy is out of range.
    Policy(PolicyError),
    /// The journal is of another version of this program.
    Version {
        /// The file.
        path: PathBuf,
        /// The version of its format.
        found: u32,
    },
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Behind => {
                f.write_str("the disk of the limits does not keep up with the requests")
            }
            Self::CallerName { bytes_max } => {
                write!(f, "the name of the caller has to have 1 to {bytes_max} bytes")
            }
            Self::Damaged { path, offset } => write!(
                f,
                "{} is damaged at byte {offset}: restore it, or take the directory away, which \
                 clears all limits",
                path.display()
            ),
            #[cfg(feature = "postgres")]
            Self::Database(error) => write!(f, "the database of the limits: {error}"),
            Self::Exposed { path, mode } => write!(
                f,
                "{} has mode {mode:04o}: take all access of group and others away",
                path.display()
            ),
            Self::Full { setting } => {
                write!(f, "as many entries of the limits are in use as {setting} allows; raise it")
            }
            Self::InUse { directory } => {
                write!(f, "another process keeps its limits in {}", directory.display())
            }
            Self::Io(error) => write!(f, "the journal of the limits: {error}"),
            Self::Policy(error) => error.fmt(f),
            Self::Version { path, found } => {
                write!(f, "{} has format {found}, which this version does not know", path.display())
            }
        }
    }
}

impl std::error::Error for LimitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(&**error),
            Self::Policy(error) => Some(error),
            #[cfg(feature = "postgres")]
            Self::Database(error) => Some(&**error),
            _ => None,
        }
    }
}

impl From<io::Error> for LimitError {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

impl From<PolicyError> for LimitError {
    fn from(error: PolicyError) -> Self {
        Self::Policy(error)
    }
}
