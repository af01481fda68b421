//! Why a file of clients was not read or changed.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use cvv2_keyring::{FileError, FileFault, TokenError};
use cvv2_resolver::BankIdError;

use super::{Client, Clients};
use crate::auth::client_secret::SecretHashError;
use crate::auth::settings::LIFETIME_SECONDS;

/// Why a file of clients was not read or changed. It quotes nothing of the text: there may be a
/// secret in it.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientsError {
    /// The file could not be read or written.
    File(FileError),
    /// The text is wrong, or would be with the change.
    Text {
        /// The file, where it is one.
        path: Option<PathBuf>,
        /// The line, counted from 1.
        line: usize,
        /// The column in characters, counted from 1.
        column: usize,
        /// What is wrong there.
        cause: ClientsCause,
    },
    /// The file has no client of this id.
    NoSuchClient,
    /// There is a client of this id.
    SuchAClient,
    /// The client has two secrets already.
    Rotating,
    /// The client has but one secret.
    NotRotating,
    /// The entry is written in a way that a command cannot change.
    Form,
}

impl ClientsError {
    pub(super) fn file(error: FileError) -> Self {
        Self::File(error)
    }

    pub(super) fn at(text: &str, at: usize, cause: ClientsCause) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        Self::Text { path: None, line, column, cause }
    }

    pub(super) fn in_file(self, file: &Path) -> Self {
        match self {
            Self::Text { line, column, cause, .. } => {
                Self::Text { path: Some(file.to_owned()), line, column, cause }
            }
            other => other,
        }
    }
}

impl Display for ClientsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => file(f, error),
            Self::Text { path, line, column, cause } => {
                if let Some(path) = path {
                    write!(f, "{}: ", path.display())?;
                }
                write!(f, "line {line}, column {column}: {cause}")
            }
            Self::NoSuchClient => {
                f.write_str("the file has no client of this id; see `cvv2 client list`")
            }
            Self::SuchAClient => f.write_str("the file has a client of this id; give another"),
            Self::Rotating => f.write_str(
                "the client has two secrets already; when it uses the newer one, take the older away \
                 with `cvv2 client rotate --finish`",
            ),
            Self::NotRotating => {
                f.write_str("the client has but one secret; `cvv2 client rotate` makes another")
            }
            Self::Form => f.write_str(
                "the entry is written in a way that no command changes; write it as `cvv2 client \
                 add` does, or change it by hand",
            ),
        }
    }
}

impl std::error::Error for ClientsError {}

/// The words of a keyring's file, without what is true of keyrings only.
fn file(f: &mut fmt::Formatter<'_>, error: &FileError) -> fmt::Result {
    write!(f, "{}: ", error.path.display())?;
    match &error.fault {
        FileFault::Busy => f.write_str(
            "another process is changing a file in this folder; try again when it has ended",
        ),
        FileFault::Exists => f.write_str("there is such a file, and it was left as it is"),
        FileFault::NotAFile => f.write_str("not a regular file; give the file of clients"),
        FileFault::NotText => f.write_str("not UTF-8 text; give the file of clients"),
        FileFault::Owner => f.write_str(
            "the file belongs to another user; use one that belongs to you or to root",
        ),
        FileFault::Writable => f.write_str(
            "other users may change this file; run `chmod 600` on it, and look at every client in it",
        ),
        fault => fault.fmt(f),
    }
}

/// What is wrong with the text of a file of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientsCause {
    /// A field is missing, unknown or of the wrong type, or the text is no TOML.
    NotUnderstood,
    /// The format is none that this version reads.
    Format,
    /// A text is no id.
    Id(TokenError),
    /// Two clients have the same id, or a list has the same value twice.
    Repeated,
    /// A text is no hash of a secret.
    Secret(SecretHashError),
    /// The hashes of one client have not the same salt.
    Salts,
    /// A text is no scope.
    Scope,
    /// A text is no bank's code.
    Bank(BankIdError),
    /// A text is no fingerprint of a certificate.
    Certificate,
    /// A lifetime is out of range.
    Lifetime,
    /// A list is empty.
    Empty,
    /// There are more of them than the limit.
    TooMany {
        /// The limit.
        max: usize,
    },
}

impl Display for ClientsCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUnderstood => f.write_str(
                "not understood: a field that is missing, unknown or of the wrong type, or no TOML; \
                 compare what `cvv2 client add` writes",
            ),
            Self::Format => f.write_str("`format`: not understood; write 1"),
            Self::Id(error) => write!(f, "`id`: {error}"),
            Self::Repeated => f.write_str("there is another of this name; remove one of them"),
            Self::Secret(error) => write!(f, "`secrets`: {error}"),
            Self::Salts => f.write_str(
                "`secrets`: not the salt of this client's other secret; make the second one with \
                 `cvv2 client rotate`",
            ),
            Self::Scope => f.write_str(
                "`scopes`: not understood; write \"cvv2:generate\", \"cvv2:verify\" or \
                 \"cvv2:administer\"",
            ),
            Self::Bank(error) => write!(f, "`banks`: {error}"),
            Self::Certificate => f.write_str(
                "`certificates`: no SHA-256 fingerprint; write 64 hexadecimal digits, as `openssl \
                 x509 -fingerprint -sha256` prints them",
            ),
            Self::Lifetime => write!(
                f,
                "`token_lifetime_seconds`: write {} to {}",
                LIFETIME_SECONDS.start(),
                LIFETIME_SECONDS.end()
            ),
            Self::Empty => f.write_str("empty; give at least one"),
            Self::TooMany { max } => write!(
                f,
                "more than {max}; a file has at most {} clients, and a client at most {} secrets, {} \
                 banks and {} certificates",
                Clients::MAX,
                Client::SECRETS_MAX,
                Client::BANKS_MAX,
                Client::CERTIFICATES_MAX
            ),
        }
    }
}
