//! The public keys of an issuer of tokens.

use std::fmt;

use cvv2_keyring::FileError;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use serde_json::Value;

use super::algorithm::Algorithm;
use super::error::AuthError;
use super::object;

/// Public keys, as a JSON Web Key Set has them (RFC 7517, 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeySet(Vec<Jwk>);

impl KeySet {
    /// The longest key set, in bytes.
    pub(super) const BYTES_MAX: u64 = 256 << 10;
    /// The most keys of a set.
    pub(super) const KEYS_MAX: usize = 64;

    /// Reads a key set. Keys for other purposes, and of types that we do not know, are left out.
    pub(super) fn parse(json: &[u8]) -> Result<Self, JwksError> {
        let set = object::parse(json).ok_or(JwksError::NoKeySet)?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or(JwksError::NoKeySet)?;
        if keys.len() > Self::KEYS_MAX {
            return Err(JwksError::TooMany);
        }
        let read = keys.iter().filter_map(|key| serde_json::from_value::<Jwk>(key.clone()).ok());
        let usable: Vec<_> = read.filter(is_for_signatures).collect();
        if usable.is_empty() { Err(JwksError::NoUsableKey) } else { Ok(Self(usable)) }
    }

    /// These keys.
    pub(super) fn of(keys: Vec<Jwk>) -> Self {
        Self(keys)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Verifies a signature by the one key of this id, or the only one there is if the token names
    /// none, that takes the algorithm.
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        key_id: Option<&str>,
        message: &[u8],
        signature: &str,
    ) -> Result<(), AuthError> {
        let named = |key: &&Jwk| key_id.is_none() || key.common.key_id.as_deref() == key_id;
        let mut candidates = self.0.iter().filter(|key| algorithm.takes(key)).filter(named);
        let (Some(key), None) = (candidates.next(), candidates.next()) else {
            return Err(AuthError::UnknownKey);
        };
        let key = DecodingKey::from_jwk(key).map_err(|_| AuthError::UnknownKey)?;
        let library = algorithm.to_library();
        match jsonwebtoken::crypto::verify(signature, message, &key, library) {
            Ok(true) => Ok(()),
            _ => Err(AuthError::Signature),
        }
    }
}

/// Why a provider's keys were not read or fetched.
#[derive(Debug)]
#[non_exhaustive]
pub enum JwksError {
    /// The address did not answer as it should.
    Fetch(ureq::Error),
    /// The file could not be read.
    File(FileError),
    /// It answered with another status than 200.
    Status(u16),
    /// It is no JSON Web Key Set, or is longer than 256 KiB.
    NoKeySet,
    /// No key of it is a public key for signatures.
    NoUsableKey,
    /// It has more than 64 keys.
    TooMany,
}

impl fmt::Display for JwksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetch(error) => write!(f, "the keys could not be fetched: {error}"),
            Self::File(error) => error.fmt(f),
            Self::Status(status) => write!(f, "the address of the keys answered with {status}"),
            Self::NoKeySet => f.write_str("no JSON Web Key Set of at most 256 KiB"),
            Self::NoUsableKey => f.write_str("the key set has no public key for signatures"),
            Self::TooMany => f.write_str("the key set has more than 64 keys"),
        }
    }
}

impl std::error::Error for JwksError {}

fn is_for_signatures(key: &Jwk) -> bool {
    let use_fits =
        key.common.public_key_use.as_ref().is_none_or(|it| *it == PublicKeyUse::Signature);
    use_fits && Algorithm::EVERY.into_iter().any(|algorithm| algorithm.takes(key))
}
