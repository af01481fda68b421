//! How a command ends: with an answer, or with one sentence for the person who ran it.

use std::fmt::Display;
use std::io;
use std::path::Path;

use cvv2::key::{KbpkError, KeyBlockError};
use cvv2_keyring::ceremony::{CeremonyError, PromptError};
use cvv2_keyring::kbpk::{FormError, KbpkSourceError};
use cvv2_keyring::secret_file::{SecretFileError, SecretFileFault};
use cvv2_keyring::wrapped::WrappedError;
use cvv2_keyring::{FileError, FileFault, KeyringError, LoadCause};
use cvv2_service::auth::{ClientsError, SigningKeysError};

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

    /// The text alone.
    pub(crate) fn into_text(self) -> String {
        match self {
            Self::BadInput(text) | Self::System(text) => text,
            Self::ClosedPipe => String::new(),
        }
    }

    /// The same, with what it is about in front: the configuration's key.
    pub(crate) fn about(self, key: &str) -> Self {
        match self {
            Self::BadInput(text) => Self::BadInput(format!("{key}: {text}")),
            Self::System(text) => Self::System(format!("{key}: {text}")),
            Self::ClosedPipe => Self::ClosedPipe,
        }
    }

    /// An input or output error on a named file: one that is missing, forbidden or not whole is the
    /// caller's to mend.
    pub(crate) fn file(path: &Path, error: &io::Error) -> Self {
        let text = format!("{}: {error}", path.display());
        match error.kind() {
            io::ErrorKind::AlreadyExists
            | io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::NotFound
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::UnexpectedEof => Self::BadInput(text),
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

    /// A KBPK that was not loaded or made.
    pub(crate) fn kbpk(error: &KbpkSourceError) -> Self {
        match error {
            KbpkSourceError::Custodians(error) => Self::ceremony(error),
            KbpkSourceError::File(error) => Self::key_file(error),
            KbpkSourceError::Folder { path, error } => Self::file(path, error),
            KbpkSourceError::Prompt(error) => Self::prompt(error),
            KbpkSourceError::Form { error: FormError::Key(KbpkError::Secret(_)), .. }
            | KbpkSourceError::Generator
            | KbpkSourceError::Key(KbpkError::Secret(_)) => Self::system(error),
            _ => Self::bad_input(error),
        }
    }

    /// A keyring that was not loaded or changed.
    pub(crate) fn keyring(error: &KeyringError) -> Self {
        match error {
            KeyringError::File(error) => Self::file_of_keys(error),
            KeyringError::Load { error: load, .. } | KeyringError::Refused { error: load, .. }
                if matches!(load.cause, LoadCause::Block(KeyBlockError::Secret(_))) =>
            {
                Self::system(error)
            }
            _ => Self::bad_input(error),
        }
    }

    /// A file of clients that was not read or changed.
    pub(crate) fn clients(error: &ClientsError) -> Self {
        match error {
            ClientsError::File(file) => Self::file_of_keys(file),
            _ => Self::bad_input(error),
        }
    }

    /// A file of wrapped keys that was not read or changed.
    pub(crate) fn wrapped(error: &WrappedError) -> Self {
        match error {
            WrappedError::File(error) => Self::file_of_keys(error),
            WrappedError::Generator
            | WrappedError::Key(KbpkError::Secret(_))
            | WrappedError::Seal(KeyBlockError::Secret(_)) => Self::system(error),
            WrappedError::Load { error: load, .. }
                if matches!(load.cause, LoadCause::Block(KeyBlockError::Secret(_))) =>
            {
                Self::system(error)
            }
            _ => Self::bad_input(error),
        }
    }

    /// A key that signs tokens, and was not read or made.
    pub(crate) fn signing_keys(error: &SigningKeysError) -> Self {
        match error {
            SigningKeysError::File(file) => Self::key_file(file),
            SigningKeysError::Folder(path, io) => Self::file(path, io),
            SigningKeysError::Generator(_) => Self::system(error),
            _ => Self::bad_input(error),
        }
    }

    fn file_of_keys(error: &FileError) -> Self {
        match &error.fault {
            FileFault::Io(io) => Self::file(&error.path, io),
            FileFault::Busy | FileFault::Unfinished(_) => Self::system(error),
            _ => Self::bad_input(error),
        }
    }

    /// A key block that was not opened or made.
    pub(crate) fn key_block(place: &str, error: &KeyBlockError) -> Self {
        let text = format!("{place}: {error}");
        match error {
            KeyBlockError::Secret(_) => Self::System(text),
            _ => Self::BadInput(text),
        }
    }

    /// A name that no key of the keyring has.
    pub(crate) fn no_such_key() -> Self {
        Self::bad_input("the keyring has no key of this name; see `cvv2 key list`")
    }

    /// A ceremony that came to no key.
    pub(crate) fn ceremony<E: Display>(error: &CeremonyError<E>) -> Self {
        match error {
            CeremonyError::File(error) => Self::key_file(error),
            CeremonyError::Prompt(error) => Self::prompt(error),
            _ => Self::bad_input(error),
        }
    }

    /// A question that nobody answered.
    pub(crate) fn prompt(error: &PromptError) -> Self {
        match error {
            PromptError::Io(_) => Self::system(error),
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
