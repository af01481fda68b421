//! The one secret of the service itself, and what is derived of it.

use std::fmt;

use cvv2::secret::{Protection, Secret, SecretError};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The key of the service: 32 random bytes, of which every purpose gets a key of its own.
///
/// Whoever has it can continue the audit chain and tell which card a keyed reference stands for. It
/// is of no use for computing or verifying a CVV2. Replicas that share limits share it.
pub struct ServiceKey(Secret<[u8; ServiceKey::LEN]>);

impl ServiceKey {
    /// Bytes of the key, and of every key that is derived.
    pub const LEN: usize = 32;

    /// Makes the key of a secret, as it came out of its file.
    #[must_use]
    pub fn new(secret: Secret<[u8; Self::LEN]>) -> Self {
        Self(secret)
    }

    /// The key for a purpose: HMAC-SHA-256 of the purpose's name under this key.
    ///
    /// # Errors
    ///
    /// [`SecretError`] where there is no memory for it.
    pub fn derive(&self, purpose: Purpose) -> Result<Secret<[u8; Self::LEN]>, SecretError> {
        let mut derived = Secret::new([0; Self::LEN], Protection::Wiped)?;
        let mac = Hmac::<Sha256>::new_from_slice(&*self.0)
            .expect("HMAC takes keys of any length")
            .chain_update(purpose.name());
        let bytes = Zeroizing::new(<[u8; Self::LEN]>::from(mac.finalize().into_bytes()));
        derived.copy_from_slice(&*bytes);
        Ok(derived)
    }
}

impl fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceKey([redacted])")
    }
}

/// What a derived key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// Chaining audit records.
    Audit,
    /// Hashing PANs, so that limits and audit records can name a card that nobody can read.
    Cards,
}

impl Purpose {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Audit => b"cvv2 service key: audit chain",
            Self::Cards => b"cvv2 service key: keyed card references",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_derived_as_the_text_says_and_differ() {
        let key = ServiceKey::new(Secret::new([7; 32], Protection::Wiped).unwrap());
        // python3: hmac.new(bytes([7]) * 32, b"cvv2 service key: audit chain", "sha256").hexdigest()
        assert_eq!(
            hex::encode(*key.derive(Purpose::Audit).unwrap()),
            "5395f3ca7fb8de048aac1b254a3427d33ec247e1a4189a11fd90a551346c8a9a"
        );
        assert_eq!(
            hex::encode(*key.derive(Purpose::Cards).unwrap()),
            "fbff4debe6313a4259cde2312d695ed2b8d8d02ed18c8c7b5d40bee6b888d971"
        );
    }
}
