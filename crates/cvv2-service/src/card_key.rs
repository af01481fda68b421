//! A card's name where its PAN must not stand.

use std::fmt;

use cvv2::Pan;
use cvv2::secret::SecretError;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::message_key::MessageKey;
use crate::service_key::{Purpose, ServiceKey};

/// The keyed hash of a PAN: the same for every reference, expiry and service code of a card.
///
/// It names a card to limits and in audit records. Without the service's key nobody can tell which
/// PAN it stands for, or try PANs until one fits (PCI DSS 3.5.1.1). 128 bits of HMAC-SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CardKey([u8; CardKey::LEN]);

impl CardKey {
    /// Its bytes.
    pub const LEN: usize = 16;

    /// The hash with these bytes, as it was kept.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        self.0
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for CardKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for CardKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CardKey({self})")
    }
}

/// Makes the [`CardKey`]s of a service, and its [`MessageKey`]s.
pub struct CardHasher(Hmac<Sha256>);

impl CardHasher {
    /// Hashes under the key that is derived for it.
    ///
    /// # Errors
    ///
    /// [`SecretError`] where there is no memory for the key.
    pub fn new(key: &ServiceKey) -> Result<Self, SecretError> {
        let key = key.derive(Purpose::Cards)?;
        Ok(Self(Hmac::new_from_slice(&*key).expect("HMAC takes keys of any length")))
    }

    /// The name of the card with this PAN.
    #[must_use]
    pub fn hash(&self, pan: &Pan) -> CardKey {
        CardKey(first_half(self.0.clone().chain_update(pan.expose())))
    }

    /// The name of a message that a source has sent through a caller.
    #[must_use]
    pub fn hash_message(&self, caller: &str, source: &str, msg_id: &str) -> MessageKey {
        // No PAN begins with a zero byte: never is it the hash of a card.
        let mut hash = self.0.clone().chain_update([0]);
        for part in [caller, source, msg_id] {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        MessageKey::from_bytes(first_half(hash))
    }
}

impl fmt::Debug for CardHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardHasher([redacted])")
    }
}

fn first_half(hash: Hmac<Sha256>) -> [u8; 16] {
    *hash.finalize().into_bytes().first_chunk().expect("a hash has 32 bytes")
}

#[cfg(test)]
mod tests {
    use cvv2::secret::{Protection, Secret};

    use super::*;

    #[test]
    fn a_card_is_named_as_the_text_says() {
        let key = ServiceKey::new(Secret::new([7; 32], Protection::Wiped).unwrap());
        let pan = Pan::parse("4123456789012345").unwrap();
        // python3: hmac.new(CARDS_KEY, b"4123456789012345", "sha256").hexdigest()[:32], with the key
        // that `service_key` tests.
        let named = CardHasher::new(&key).unwrap().hash(&pan);
        assert_eq!(named.to_string(), "f86fc8ee9554a9eff5c67aec434dc062");
        assert_eq!(CardKey::from_bytes(named.to_bytes()), named);
    }

    #[test]
    fn a_message_is_named_by_all_three_and_where_each_ends() {
        let key = ServiceKey::new(Secret::new([7; 32], Protection::Wiped).unwrap());
        let hasher = CardHasher::new(&key).unwrap();
        let named = hasher.hash_message("ivr", "IVR", "223001");
        assert_eq!(hasher.hash_message("ivr", "IVR", "223001"), named);
        for (caller, source, msg_id) in [
            ("app", "IVR", "223001"),
            ("ivr", "SSP", "223001"),
            ("ivr", "IVR", "223002"),
            ("ivrI", "VR", "223001"),
            ("ivr", "IVR2", "23001"),
            ("ivr", "", "IVR223001"),
        ] {
            assert_ne!(hasher.hash_message(caller, source, msg_id), named);
        }
    }
}
