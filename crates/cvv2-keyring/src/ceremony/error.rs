//! Why a ceremony came to no key.

use core::error::Error;
use core::fmt;
use std::path::PathBuf;

use super::{CUSTODIANS, PromptError, TRIES_MAX};
use crate::CheckValue;
use crate::secret_file::SecretFileError;

/// Why a ceremony came to no key. Never holds or shows anything of a component.
///
/// `E` says why a text is no component, or components are no key.
#[derive(Debug)]
#[non_exhaustive]
pub enum CeremonyError<E> {
    /// The component of a file is none.
    Component {
        /// Which one, counted from one.
        number: usize,
        /// Why.
        error: E,
    },
    /// The component of a file has another check value than the file says.
    ComponentKcv {
        /// Which one, counted from one.
        number: usize,
        /// What the file says.
        stated: CheckValue,
        /// What it is.
        computed: CheckValue,
    },
    /// It takes two or three custodians.
    Custodians {
        /// How many there were.
        given: usize,
    },
    /// Two components are the same, and cancel out.
    Equal {
        /// The one, counted from one.
        first: usize,
        /// The other.
        second: usize,
    },
    /// A file with a component cannot be read.
    File(SecretFileError),
    /// A file does not hold a component and its check value.
    Form {
        /// The file.
        path: PathBuf,
    },
    /// The key has another check value than was expected.
    Kcv {
        /// What was expected.
        expected: CheckValue,
        /// What it is.
        computed: CheckValue,
    },
    /// The components make no good key.
    Key(E),
    /// A name that was given is none, or that of an earlier custodian.
    Name {
        /// Whose, counted from one.
        number: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The check value of the key was not confirmed.
    NotConfirmed,
    /// Nobody could be asked, or the one who was asked has ended it.
    Prompt(PromptError),
    /// A custodian has answered wrongly too often.
    Tries {
        /// Which one, counted from one.
        number: usize,
    },
    /// A component is all zeros.
    Zero {
        /// Which one, counted from one.
        number: usize,
    },
}

impl<E: fmt::Display> fmt::Display for CeremonyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Component { number, error } => write!(f, "component {number}: {error}"),
            Self::ComponentKcv { number, stated, computed } => write!(
                f,
                "component {number} has the check value {computed}, and its file says {stated}; \
                 compare both with the custodian's form"
            ),
            Self::Custodians { given } => write!(
                f,
                "{given} custodians were named; a key has {} or {}",
                CUSTODIANS.start(),
                CUSTODIANS.end()
            ),
            Self::Equal { first, second } => write!(
                f,
                "components {first} and {second} have the same check value: they cancel out, and \
                 who holds the rest holds the key; have one replaced"
            ),
            Self::File(error) => error.fmt(f),
            Self::Form { path } => write!(
                f,
                "{}: not a component; give its hexadecimal digits, a space, and its check value of \
                 six digits",
                path.display()
            ),
            Self::Kcv { expected, computed } => write!(
                f,
                "the key has the check value {computed}, and {expected} was expected; a component \
                 is not the one it should be"
            ),
            Self::Key(error) => write!(f, "the components make no good key: {error}"),
            Self::Name { number, why } => {
                write!(f, "the name of custodian {number} is not a name: {why}")
            }
            Self::NotConfirmed => {
                f.write_str("the check value was not confirmed; nothing was kept, start again")
            }
            Self::Prompt(error) => error.fmt(f),
            Self::Tries { number } => write!(
                f,
                "custodian {number} has answered wrongly {TRIES_MAX} times; nothing was kept, \
                 start again with the form at hand"
            ),
            Self::Zero { number } => write!(
                f,
                "component {number} is all zeros: it hides nothing of the key; have it replaced"
            ),
        }
    }
}

impl<E: Error + 'static> Error for CeremonyError<E> {}

impl<E> From<PromptError> for CeremonyError<E> {
    fn from(error: PromptError) -> Self {
        Self::Prompt(error)
    }
}
