//! How a command ends: with an answer, or with one sentence for the person who ran it.

use std::fmt::Display;
use std::io;
use std::path::Path;

use cvv2_keyring::secret_file::{SecretFileError, SecretFileFault};

/// How a command ended; `main` turns it into the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Done, match, success: 0.
    Done,
    /// Mismatch, failed vector, refused row, no such card: 1.
    Negative,
    /// The input was wrong: 2.
    BadInput,
    /// The system failed: 3.
    SystemFault,
}

/// Why a command has no answer. The text says what was wrong, where, and what to do.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Wrong use or bad input: 2.
    BadInput(String),
    /// Standard output was closed by its reader.
    ClosedPipe,
    /// A fault of the system: 3.
    System(String),
}

impl Failure {
    /// Bad input, in the words of the error that found it.
    pub(crate) fn bad_input(error: impl Display) -> Self {
        Self::BadInput(error.to_string())
    }

    /// A fault of the system, in the words of the error that reported it.
    pub(crate) fn system(error: impl Display) -> Self {
        Self::System(error.to_string())
    }

    /// An input or output error on a named file: a missing or forbidden file is the caller's to
    /// mend.
    pub(crate) fn file(path: &Path, error: &io::Error) -> Self {
        let text = format!("{}: {error}", path.display());
        match error.kind() {
            io::ErrorKind::AlreadyExists
            | io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::NotFound
            | io::ErrorKind::PermissionDenied => Self::BadInput(text),
            _ => Self::System(text),
        }
    }

    /// A key file that was not read or written.
    pub(crate) fn key_file(error: &SecretFileError) -> Self {
        match error.fault() {
            SecretFileFault::Io(io) => Self::file(error.path(), io),
            _ => Self::bad_input(error),
        }
    }

    /// A failure to write to standard output.
    pub(crate) fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::System(format!("standard output: {error}")),
        }
    }
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::BadInput(_) => Self::BadInput,
            // Whoever read our output has closed it: nothing is wrong, and nobody listens.
            Failure::ClosedPipe => Self::Done,
            Failure::System(_) => Self::SystemFault,
        }
    }
}
