//! Secrets that the service manager passes on.

use std::env;
use std::path::Path;

use super::KbpkSourceError;
use crate::{SecretText, secret_file};

/// Reads the credential of this name from `$CREDENTIALS_DIRECTORY`.
pub(super) fn read(name: &str) -> Result<SecretText, KbpkSourceError> {
    if !is_name(name) {
        return Err(KbpkSourceError::CredentialName);
    }
    let folder = env::var_os("CREDENTIALS_DIRECTORY").ok_or(KbpkSourceError::NoCredentials)?;
    secret_file::read_credential(&Path::new(&folder).join(name)).map_err(KbpkSourceError::File)
}

/// Whether systemd would take it for a credential's name: the name of a file in one folder.
fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() <= 255
        && name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_in_its_folder() {
        for name in ["kbpk", "cvv2.kbpk", "..."] {
            assert!(is_name(name), "{name}");
        }
        let too_long = "k".repeat(256);
        for name in ["", ".", "..", "../kbpk", "/etc/passwd", "a b", "a:b", "ü", &too_long] {
            assert!(matches!(read(name), Err(KbpkSourceError::CredentialName)), "{name}");
        }
    }
}
