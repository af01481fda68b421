//! KBPKs that stay in a PKCS#11 token.
//!
//! The token holds an AES key that cannot be taken out of it. What key blocks of version D need
//! are two keys that are derived of it, by CMACs of a few constants; the token computes those
//! (`CKM_AES_CMAC`) when the KBPK is loaded, and is not needed again. The two derived keys are in
//! this process's secret memory then, and open what the KBPK opens: what the token adds is that the
//! KBPK itself is on no disk, in no backup and in no memory, and that nobody starts the service
//! without it.

#[cfg(feature = "pkcs11")]
mod error;
#[cfg(feature = "pkcs11")]
mod token;

#[cfg(feature = "pkcs11")]
pub use error::Pkcs11Error;

use std::path::PathBuf;

use cvv2::key::Kbpk;
use cvv2::secret::Protection;
use serde::Deserialize;

use super::KbpkSourceError;
use super::source::{check_value, no_key};
use crate::{CheckValue, SecretText};

/// A key in a PKCS#11 token.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Fields")]
#[non_exhaustive]
pub struct Pkcs11Source {
    /// The vendor's library, by its absolute path: it runs in this process.
    pub module: PathBuf,
    /// The label of the token.
    pub token: String,
    /// The label of the key.
    pub key: String,
    /// Where the user's PIN comes from.
    pub pin: PinSource,
    /// The check value that the key must have, so that no other one takes its place.
    pub kcv: Option<CheckValue>,
}

/// Where a PIN comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PinSource {
    /// It is typed at the terminal.
    Asked,
    /// A credential of this name, that the service manager passes on.
    Credential(String),
    /// An environment variable of this name.
    Environment(String),
    /// A file that only its owner may read.
    File(PathBuf),
}

/// Loads what key blocks need of the key.
pub(super) fn load(
    source: &Pkcs11Source,
    at_least: Protection,
    pin: impl FnOnce() -> Result<SecretText, KbpkSourceError>,
) -> Result<Kbpk, KbpkSourceError> {
    #[cfg(feature = "pkcs11")]
    return token::load(source, &pin()?, at_least).map_err(KbpkSourceError::Pkcs11);
    #[cfg(not(feature = "pkcs11"))]
    not_built(source, at_least, pin)
}

/// Makes a new AES-256 key in the token, and loads what key blocks need of it.
pub(super) fn generate(
    source: &Pkcs11Source,
    at_least: Protection,
    pin: impl FnOnce() -> Result<SecretText, KbpkSourceError>,
) -> Result<Kbpk, KbpkSourceError> {
    #[cfg(feature = "pkcs11")]
    return token::generate(source, &pin()?, at_least).map_err(KbpkSourceError::Pkcs11);
    #[cfg(not(feature = "pkcs11"))]
    not_built(source, at_least, pin)
}

/// Nobody is asked for a PIN that is good for nothing.
#[cfg(not(feature = "pkcs11"))]
fn not_built<Pin>(_: &Pkcs11Source, _: Protection, _: Pin) -> Result<Kbpk, KbpkSourceError> {
    Err(KbpkSourceError::Pkcs11NotBuilt)
}

/// The members of the configuration's table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    module: PathBuf,
    token: String,
    key: String,
    pin_credential: Option<String>,
    pin_environment: Option<String>,
    pin_file: Option<String>,
    kcv: Option<String>,
}

impl TryFrom<Fields> for Pkcs11Source {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let Fields { module, token, key, pin_credential, pin_environment, pin_file, kcv } = fields;
        if !module.is_absolute() {
            return Err(
                "module is an absolute path: a library is run, and must not depend on the \
                        folder that the process was started in"
                    .to_owned(),
            );
        }
        let pin = match (pin_credential, pin_environment, pin_file) {
            (None, None, None) => PinSource::Asked,
            (Some(name), None, None) => PinSource::Credential(no_key(name, "pin_credential")?),
            (None, Some(name), None) => PinSource::Environment(no_key(name, "pin_environment")?),
            (None, None, Some(path)) => PinSource::File(no_key(path, "pin_file")?.into()),
            _ => {
                return Err(
                    "give one of pin_credential, pin_environment and pin_file, or none to \
                            be asked for the PIN"
                        .to_owned(),
                );
            }
        };
        Ok(Self { module, token, key, pin, kcv: kcv.map(|text| check_value(&text)).transpose()? })
    }
}
