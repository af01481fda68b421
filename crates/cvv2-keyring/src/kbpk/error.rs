//! Why there is no KBPK.

use core::error::Error;
use core::fmt;
use std::io;
use std::path::PathBuf;

use cvv2::key::KbpkError;

use super::FormError;
#[cfg(feature = "pkcs11")]
use super::Pkcs11Error;
use crate::SecretTextError;
use crate::ceremony::{CeremonyError, PromptError};
use crate::secret_file::SecretFileError;

/// Why a source gave no KBPK. Never holds or shows anything of one.
#[derive(Debug)]
#[non_exhaustive]
pub enum KbpkSourceError {
    /// The file lies in the keyring's folder or below.
    BesideKeyring {
        /// The file.
        path: PathBuf,
    },
    /// A credential has a name that none can have.
    CredentialName,
    /// The custodians came to no key.
    Custodians(CeremonyError<KbpkError>),
    /// A file or credential cannot be read or written.
    File(SecretFileError),
    /// The folder of a file is not there, or cannot be looked at.
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// What is there is no KBPK.
    Form {
        /// Where.
        place: String,
        /// Why it is none.
        error: FormError,
    },
    /// The system's generator gave nothing.
    Generator,
    /// The key is refused, or there is no memory to hold it.
    Key(KbpkError),
    /// The service manager has passed no credentials on.
    NoCredentials,
    /// Only files and tokens have keys made for them.
    NotMadeThere,
    /// An environment variable is not set.
    NotSet {
        /// The variable.
        name: String,
    },
    /// The token gave no key.
    #[cfg(feature = "pkcs11")]
    Pkcs11(Pkcs11Error),
    /// This program was built without the feature `pkcs11`.
    Pkcs11NotBuilt,
    /// Nobody could be asked for the PIN.
    Prompt(PromptError),
    /// An environment variable holds no text, or too much of it.
    Variable {
        /// The variable.
        name: String,
        /// What is wrong with it.
        error: SecretTextError,
    },
}

impl fmt::Display for KbpkSourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BesideKeyring { path } => write!(
                f,
                "{}: a KBPK in the folder of the keys that it opens, or below: whoever copies the \
                 folder has both; keep it elsewhere, or allow it with beside_keyring = true",
                path.display()
            ),
            Self::CredentialName => f.write_str(
                "a credential has the name of a file in one folder: printable ASCII without \
                 spaces, `/` or `:`",
            ),
            Self::Custodians(error) => error.fmt(f),
            Self::File(error) => error.fmt(f),
            Self::Folder { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Form { place, error } => write!(f, "{place}: {error}"),
            Self::Generator => {
                f.write_str("the system's generator of random numbers gave nothing; try again")
            }
            Self::Key(error) => error.fmt(f),
            Self::NoCredentials => f.write_str(
                "$CREDENTIALS_DIRECTORY is not set: start the service by systemd with \
                 LoadCredential= or LoadCredentialEncrypted= in its unit",
            ),
            Self::NotMadeThere => f.write_str(
                "a key is made in a file or in a token; the other sources bring theirs along",
            ),
            Self::NotSet { name } => write!(f, "the environment variable {name} is not set"),
            #[cfg(feature = "pkcs11")]
            Self::Pkcs11(error) => error.fmt(f),
            Self::Pkcs11NotBuilt => f.write_str(
                "this program was built without PKCS#11; build it with the feature `pkcs11`",
            ),
            Self::Prompt(error) => error.fmt(f),
            Self::Variable { name, error } => write!(f, "environment variable {name}: {error}"),
        }
    }
}

impl Error for KbpkSourceError {}

impl From<PromptError> for KbpkSourceError {
    fn from(error: PromptError) -> Self {
        Self::Prompt(error)
    }
}
