//! How custodians are asked.

use core::fmt;
use std::io;

use crate::{SecretText, SecretTextError};

/// Somebody who can be told and asked: a person at a terminal, or a script in a test.
pub trait Prompt {
    /// Shows a line.
    ///
    /// # Errors
    ///
    /// [`PromptError`] where it cannot be shown.
    fn say(&mut self, line: &str) -> Result<(), PromptError>;

    /// Asks for a line that may be seen while it is typed. People type secrets in the wrong place.
    ///
    /// # Errors
    ///
    /// [`PromptError`], [`PromptError::Aborted`] among them.
    fn ask(&mut self, question: &str) -> Result<SecretText, PromptError>;

    /// Asks for a line that is not shown while it is typed.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask).
    fn ask_hidden(&mut self, question: &str) -> Result<SecretText, PromptError>;
}

/// Why there is no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum PromptError {
    /// The person asked has ended it, by Ctrl-C or Ctrl-D.
    Aborted,
    /// The terminal failed.
    Io(io::Error),
    /// There is no terminal to ask at.
    NoTerminal,
    /// The answer is too long, or no text.
    Text(SecretTextError),
}

impl fmt::Display for PromptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aborted => f.write_str("aborted at the terminal"),
            Self::Io(error) => write!(f, "the terminal failed: {error}"),
            Self::NoTerminal => f.write_str(
                "there is no terminal to ask at; run it in a terminal session, not as a service or \
                 in a pipe",
            ),
            Self::Text(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for PromptError {}

impl From<io::Error> for PromptError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<SecretTextError> for PromptError {
    fn from(error: SecretTextError) -> Self {
        match error {
            SecretTextError::Io(error) => Self::Io(error),
            error => Self::Text(error),
        }
    }
}
