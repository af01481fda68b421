//! Why a file of wrapped keys was not read or not written.

use std::fmt;
use std::path::PathBuf;

use cvv2::key::{KbpkError, KeyBlockError};

use crate::file_error::FileError;
use crate::load_error::LoadError;

/// Why a file of wrapped keys was not read or not written. Never holds or shows anything of a key.
#[derive(Debug)]
#[non_exhaustive]
pub enum WrappedError {
    /// The file was not read or not written.
    File(FileError),
    /// The system's generator gave nothing.
    Generator,
    /// A key is none, or there is no memory that is as protected as was asked for.
    Key(KbpkError),
    /// The text of the file is not in order.
    Load {
        /// The file.
        path: PathBuf,
        /// Where and why.
        error: LoadError,
    },
    /// No file can have these keys.
    Refused(LoadError),
    /// The KBPK cannot wrap a key.
    Seal(KeyBlockError),
}

impl fmt::Display for WrappedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Generator => {
                f.write_str("the system's generator of random numbers gave nothing; try again")
            }
            Self::Key(error) => error.fmt(f),
            Self::Load { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Refused(error) => write!(f, "these keys cannot be one file: {error}"),
            Self::Seal(error) => write!(
                f,
                "the KBPK cannot wrap these keys: {error}; they are of 256 bits, which takes a KBPK \
                 of aes-256"
            ),
        }
    }
}

impl std::error::Error for WrappedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File(error) => Some(error),
            Self::Generator => None,
            Self::Key(error) => Some(error),
            Self::Load { error, .. } | Self::Refused(error) => Some(error),
            Self::Seal(error) => Some(error),
        }
    }
}

impl From<FileError> for WrappedError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}
