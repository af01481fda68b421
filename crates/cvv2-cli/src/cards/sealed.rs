//! Exports in their seal: age (age-encryption.org/v1) to X25519 recipients.

use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::{io, iter};

use age::stream::{StreamReader, StreamWriter};
use age::x25519::{Identity, Recipient};
use age::{DecryptError, Decryptor, Encryptor};
use cvv2_keyring::secret_file;

use crate::failure::Failure;

/// The recipients of the command line.
pub(super) fn recipients(texts: &[String]) -> Result<Vec<Recipient>, Failure> {
    let recipient = |text: &String| {
        text.parse().map_err(|_| {
            Failure::bad_input(
                "--recipient: not an X25519 recipient of age, age1…; if it was an identity, \
                 AGE-SECRET-KEY-1…, consider it known",
            )
        })
    };
    texts.iter().map(recipient).collect()
}

/// Seals what is written into the result, which has to be finished.
pub(super) fn seal<W: Write>(out: W, recipients: &[Recipient]) -> io::Result<StreamWriter<W>> {
    let recipients = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
    Encryptor::with_recipients(recipients).map_err(io::Error::other)?.wrap_output(out)
}

/// Opens the seal of `input`, which is called `name`, by the identity in a file.
pub(super) fn open(
    name: &Path,
    input: Box<dyn Read>,
    identity: &Path,
) -> Result<Box<dyn Read>, Failure> {
    let identity = read_identity(identity)?;
    let open = || -> Result<StreamReader<_>, DecryptError> {
        let decryptor = Decryptor::new_buffered(BufReader::new(input))?;
        decryptor.decrypt(iter::once(&identity as &dyn age::Identity))
    };
    let refused = |why: &str| Failure::BadInput(format!("{}: {why}", name.display()));
    match open() {
        Ok(opened) => Ok(Box::new(opened)),
        Err(DecryptError::Io(error)) => Err(Failure::file(name, &error)),
        Err(DecryptError::NoMatchingKeys) => {
            Err(refused("sealed to other recipients; give the identity of one of them"))
        }
        Err(_) => Err(refused("not a file that age has sealed, or one that was changed")),
    }
}

/// The identity in a file, as `age-keygen` writes it: comments, and one line with the key.
fn read_identity(path: &Path) -> Result<Identity, Failure> {
    let text = secret_file::read(path).map_err(|e| Failure::key_file(&e))?;
    let mut lines = text.as_str().lines().map(str::trim);
    let mut keys = lines.by_ref().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let identity = keys.next().and_then(|line| line.parse().ok());
    match (identity, keys.next()) {
        (Some(identity), None) => Ok(identity),
        _ => Err(Failure::BadInput(format!(
            "{}: not a file with one X25519 identity of age, AGE-SECRET-KEY-1…",
            path.display()
        ))),
    }
}
