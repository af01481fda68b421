//! Why a keyring was not loaded or not changed.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::file_error::FileError;
use crate::load_error::LoadError;
use crate::state::State;

/// Why a keyring was not loaded or not changed.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeyringError {
    /// The change cannot be made of this keyring.
    Change(ChangeError),
    /// The file was not read or not written.
    File(FileError),
    /// The text of the file is not in order.
    Load {
        /// The keyring's file.
        path: PathBuf,
        /// Where and why.
        error: LoadError,
    },
    /// The text of the file would not be in order with the change; nothing was written.
    Refused {
        /// The keyring's file.
        path: PathBuf,
        /// Where in the text with the change, and why.
        error: LoadError,
    },
}

impl KeyringError {
    pub(crate) fn load(path: &Path, error: LoadError) -> Self {
        Self::Load { path: path.to_owned(), error }
    }

    pub(crate) fn refused(path: &Path, error: LoadError) -> Self {
        Self::Refused { path: path.to_owned(), error }
    }
}

impl fmt::Display for KeyringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change(error) => error.fmt(f),
            Self::File(error) => error.fmt(f),
            Self::Load { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Refused { path, error } => write!(
                f,
                "{}: nothing was written; with the change, it would be refused: {error}",
                path.display()
            ),
        }
    }
}

impl std::error::Error for KeyringError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Change(error) => Some(error),
            Self::File(error) => Some(error),
            Self::Load { error, .. } | Self::Refused { error, .. } => Some(error),
        }
    }
}

impl From<FileError> for KeyringError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl From<ChangeError> for KeyringError {
    fn from(error: ChangeError) -> Self {
        Self::Change(error)
    }
}

/// Why a change cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeError {
    /// The text is written in a form that the change does not know.
    Form,
    /// No key has this name.
    NoSuchKey,
    /// No key goes from the one state to the other.
    State {
        /// The state it is in.
        from: State,
        /// The state that was asked for.
        to: State,
    },
    /// A key that may still compute is not removed.
    StillUsed {
        /// The state it is in.
        state: State,
    },
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str(
                "the file is written in a form that cannot be changed by command; change it by hand",
            ),
            Self::NoSuchKey => f.write_str("the keyring has no key of this name; list its keys"),
            Self::State { from, to } => {
                write!(f, "a key in state {from} does not become {to}; list the keys")
            }
            Self::StillUsed { state } => {
                write!(f, "a key in state {state} is not removed; retire it first")
            }
        }
    }
}

impl std::error::Error for ChangeError {}
