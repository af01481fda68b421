//! The source that a configuration names, and what comes of it.

use core::fmt;
use std::path::{Path, PathBuf};

use cvv2::key::{Kbpk, KbpkAlgorithm};
use cvv2::secret::Protection;
use serde::Deserialize;

use super::pkcs11::{PinSource, Pkcs11Source};
use super::{KbpkSourceError, credential, custodians, environment, file, form, pkcs11};
use crate::ceremony::{CUSTODIANS, Prompt};
use crate::{CheckValue, SecretText};

/// Where a KBPK comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Fields")]
#[non_exhaustive]
pub enum KbpkSource {
    /// A credential that the service manager passes on, in `$CREDENTIALS_DIRECTORY`.
    Credential {
        /// Its name.
        name: String,
    },
    /// Custodians who type full-length components one after the other, at every start.
    Custodians {
        /// Two or three.
        count: usize,
        /// What the components are of; AES-256 if left out.
        algorithm: KbpkAlgorithm,
        /// The check value that the key must have. Where it is left out it is shown, and has to be
        /// confirmed.
        kcv: Option<CheckValue>,
    },
    /// An environment variable: the weakest, because it cannot be taken back.
    Environment {
        /// Its name.
        name: String,
    },
    /// A file that only its owner may read.
    File {
        /// Its path.
        path: PathBuf,
        /// Whether it may lie in the keyring's folder or below; false if left out.
        beside_keyring: bool,
    },
    /// A key that stays in a PKCS#11 token, which derives what is needed of it.
    Pkcs11(Pkcs11Source),
}

/// A KBPK, and what the operator should know about where it came from.
#[derive(Debug)]
#[non_exhaustive]
pub struct LoadedKbpk {
    /// The key.
    pub kbpk: Kbpk,
    /// To be shown or logged.
    pub warnings: Vec<KbpkWarning>,
}

/// What is not as it should be with a source that was used all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KbpkWarning {
    /// The file lies in the keyring's folder or below, as the configuration allows.
    BesideKeyring {
        /// The file.
        path: PathBuf,
    },
    /// A secret was in the environment.
    Environment {
        /// The variable.
        name: String,
    },
}

impl KbpkSource {
    /// Loads the key into memory that is at least so well protected.
    ///
    /// `keyring` is the keyring's file, or another file of keys that the KBPK opens, which a key file
    /// has to keep away from. `prompt` is asked
    /// only for components, and for a PIN that comes from nowhere else.
    ///
    /// # Errors
    ///
    /// [`KbpkSourceError`], which never shows anything of the key.
    pub fn load(
        &self,
        keyring: &Path,
        at_least: Protection,
        prompt: &mut dyn Prompt,
    ) -> Result<LoadedKbpk, KbpkSourceError> {
        let mut warnings = Vec::new();
        let kbpk = match self {
            Self::Credential { name } => {
                form::parse(&credential::read(name)?, at_least).map_err(|error| {
                    KbpkSourceError::Form { place: format!("credential {name}"), error }
                })?
            }
            Self::Custodians { count, algorithm, kcv } => {
                custodians::load(*count, *algorithm, *kcv, at_least, prompt)?
            }
            Self::Environment { name } => {
                let text = environment::read(name, &mut warnings)?;
                form::parse(&text, at_least).map_err(|error| KbpkSourceError::Form {
                    place: format!("environment variable {name}"),
                    error,
                })?
            }
            Self::File { path, beside_keyring } => {
                file::keep_apart(path, keyring, *beside_keyring, &mut warnings)?;
                file::load(path, at_least)?
            }
            Self::Pkcs11(source) => {
                pkcs11::load(source, at_least, || pin(source, prompt, &mut warnings))?
            }
        };
        Ok(LoadedKbpk { kbpk, warnings })
    }

    /// Makes a new AES-256 key where this source will find it, and loads it: a file that does not
    /// exist yet, or a key of a token that cannot be taken out of it.
    ///
    /// # Errors
    ///
    /// [`KbpkSourceError::NotMadeThere`] for other sources, which bring their key along, and as
    /// [`load`](Self::load).
    pub fn generate(
        &self,
        keyring: &Path,
        at_least: Protection,
        prompt: &mut dyn Prompt,
    ) -> Result<LoadedKbpk, KbpkSourceError> {
        let mut warnings = Vec::new();
        let kbpk = match self {
            Self::Credential { .. } | Self::Custodians { .. } | Self::Environment { .. } => {
                return Err(KbpkSourceError::NotMadeThere);
            }
            Self::File { path, beside_keyring } => {
                file::keep_apart(path, keyring, *beside_keyring, &mut warnings)?;
                file::generate(path, at_least)?
            }
            Self::Pkcs11(source) => {
                pkcs11::generate(source, at_least, || pin(source, prompt, &mut warnings))?
            }
        };
        Ok(LoadedKbpk { kbpk, warnings })
    }

    /// Refuses a key file that lies in the folder of a file of keys or below, unless that is allowed:
    /// what [`load`](Self::load) does for the one file that it is given, for one more that the same
    /// key opens.
    ///
    /// # Errors
    ///
    /// [`KbpkSourceError::BesideKeyring`], and [`KbpkSourceError::Folder`] for a folder that is not
    /// there.
    pub fn keep_apart(&self, keys: &Path) -> Result<Vec<KbpkWarning>, KbpkSourceError> {
        let mut warnings = Vec::new();
        if let Self::File { path, beside_keyring } = self {
            file::keep_apart(path, keys, *beside_keyring, &mut warnings)?;
        }
        Ok(warnings)
    }

    /// The same source with relative paths of files counted from `folder`, as a configuration file
    /// means them.
    #[must_use]
    pub fn relative_to(mut self, folder: &Path) -> Self {
        if let Self::File { path, .. }
        | Self::Pkcs11(Pkcs11Source { pin: PinSource::File(path), .. }) = &mut self
        {
            *path = folder.join(&*path);
        }
        self
    }
}

impl fmt::Display for KbpkWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BesideKeyring { path } => write!(
                f,
                "{}: this key lies with the keys that it opens: whoever copies or restores the folder \
                 has both",
                path.display()
            ),
            Self::Environment { name } => write!(
                f,
                "the environment variable {name} holds a secret that cannot be taken back: it \
                 stays readable in /proc/PID/environ for this user and root, children inherit it, \
                 and core dumps and crash reports hold it; use a file, a credential or a token"
            ),
        }
    }
}

/// The PIN of the token's user.
fn pin(
    source: &Pkcs11Source,
    prompt: &mut dyn Prompt,
    warnings: &mut Vec<KbpkWarning>,
) -> Result<SecretText, KbpkSourceError> {
    match &source.pin {
        PinSource::Asked => {
            let question = format!("PIN of the token {} (hidden): ", source.token);
            Ok(prompt.ask_hidden(&question)?)
        }
        PinSource::Credential(name) => credential::read(name),
        PinSource::Environment(name) => environment::read(name, warnings),
        PinSource::File(path) => file::read(path),
    }
}

/// The members of the configuration's table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    credential: Option<String>,
    custodians: Option<usize>,
    environment: Option<String>,
    file: Option<String>,
    pkcs11: Option<Pkcs11Source>,
    // Of custodians.
    algorithm: Option<String>,
    kcv: Option<String>,
    // Of a file.
    beside_keyring: Option<bool>,
}

impl TryFrom<Fields> for KbpkSource {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let Fields { credential, custodians, environment, file, pkcs11, .. } = &fields;
        let sources = [
            credential.is_some(),
            custodians.is_some(),
            environment.is_some(),
            file.is_some(),
            pkcs11.is_some(),
        ];
        if sources.into_iter().filter(|given| *given).count() != 1 {
            return Err("give one source of the KBPK: file, credential, environment, custodians \
                        or pkcs11"
                .to_owned());
        }
        if custodians.is_none() && (fields.algorithm.is_some() || fields.kcv.is_some()) {
            return Err("algorithm and kcv are for custodians; a file, credential or variable \
                        states both with the key, and pkcs11 has a kcv of its own"
                .to_owned());
        }
        if file.is_none() && fields.beside_keyring.is_some() {
            return Err("beside_keyring is for a file".to_owned());
        }
        Ok(match fields {
            Fields { credential: Some(name), .. } => {
                Self::Credential { name: no_key(name, "credential")? }
            }
            Fields { custodians: Some(count), algorithm, kcv, .. } => {
                if !CUSTODIANS.contains(&count) {
                    return Err("custodians are two or three".to_owned());
                }
                Self::Custodians {
                    count,
                    algorithm: algorithm.map_or(Ok(KbpkAlgorithm::Aes256), |a| algorithm_of(&a))?,
                    kcv: kcv.map(|text| check_value(&text)).transpose()?,
                }
            }
            Fields { environment: Some(name), .. } => {
                Self::Environment { name: no_key(name, "environment")? }
            }
            Fields { file: Some(path), beside_keyring, .. } => Self::File {
                path: no_key(path, "file")?.into(),
                beside_keyring: beside_keyring.unwrap_or(false),
            },
            Fields { pkcs11, .. } => Self::Pkcs11(pkcs11.expect("the only source that is left")),
        })
    }
}

fn algorithm_of(name: &str) -> Result<KbpkAlgorithm, String> {
    KbpkAlgorithm::by_name(name).ok_or_else(|| {
        let names = KbpkAlgorithm::ALL.map(KbpkAlgorithm::name).join(", ");
        format!("algorithm is one of {names}")
    })
}

pub(super) fn check_value(text: &str) -> Result<CheckValue, String> {
    CheckValue::parse(text).ok_or_else(|| "kcv is six hexadecimal digits".to_owned())
}

/// Refuses a name or path that a key was pasted into: an error or a log would show it later.
pub(super) fn no_key(text: String, field: &str) -> Result<String, String> {
    let mut run = 0;
    let longest = text.chars().map(|c| {
        run = if c.is_ascii_hexdigit() { run + 1 } else { 0 };
        run
    });
    // A path may have a digest for the name of a folder.
    if text.contains('/') || longest.max().unwrap_or(0) < KEY_DIGITS_MIN {
        Ok(text)
    } else {
        Err(format!("{field} names where the secret is; it does not hold the secret itself"))
    }
}

/// Hexadecimal digits of the shortest key.
const KEY_DIGITS_MIN: usize = 32;

#[cfg(test)]
mod tests;
