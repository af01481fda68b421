//! Secrets in environment variables.
//!
//! They cannot be taken back: `/proc/PID/environ` shows the memory that the process was started
//! with, and overwriting that, or taking a variable out of it, is not safe while other threads may
//! read it. So this source works, and warns.

use std::env;
use std::os::unix::ffi::OsStringExt;

use super::{KbpkSourceError, KbpkWarning};
use crate::SecretText;

/// Reads the variable of this name.
pub(super) fn read(
    name: &str,
    warnings: &mut Vec<KbpkWarning>,
) -> Result<SecretText, KbpkSourceError> {
    let value =
        env::var_os(name).ok_or_else(|| KbpkSourceError::NotSet { name: name.to_owned() })?;
    warnings.push(KbpkWarning::Environment { name: name.to_owned() });
    SecretText::try_from(value.into_vec())
        .map_err(|error| KbpkSourceError::Variable { name: name.to_owned(), error })
}
