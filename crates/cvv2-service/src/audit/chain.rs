//! What ties a line to the one before it.

use std::fmt;

use cvv2::secret::SecretError;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::service_key::{Purpose, ServiceKey};

/// A message authentication code of the chain: HMAC-SHA-256 over the code of the line before and
/// this line's text up to its own. No secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainMac([u8; ChainMac::LEN]);

impl ChainMac {
    /// Its bytes.
    pub const LEN: usize = 32;

    /// What the first line of a chain has before it.
    pub(crate) const NONE: Self = Self([0; Self::LEN]);

    /// Reads 64 hexadecimal digits as [`Display`](fmt::Display) writes them: no other text stands
    /// for the same code.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        lower_hex(text).map(Self)
    }

    /// 64 lower-case hexadecimal digits.
    pub(crate) fn to_digits(self) -> [u8; 2 * Self::LEN] {
        let mut digits = [0; 2 * Self::LEN];
        hex::encode_to_slice(self.0, &mut digits).expect("there is room for two digits a byte");
        digits
    }
}

/// 64 lower-case hexadecimal digits.
impl fmt::Display for ChainMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.to_digits()).expect("digits are text"))
    }
}

impl fmt::Debug for ChainMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainMac({self})")
    }
}

/// Where a chain ends at a moment: what has to be kept elsewhere for a truncation to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Head {
    /// The number of the last line, from 1; 0 where there is none.
    pub sequence: u64,
    /// Its code.
    pub mac: ChainMac,
}

impl Head {
    /// Before the first line.
    pub(crate) const NONE: Self = Self::new(0, ChainMac::NONE);

    pub(crate) const fn new(sequence: u64, mac: ChainMac) -> Self {
        Self { sequence, mac }
    }
}

/// Which chain a file belongs to: drawn at random when its first file is made, so that the logs of
/// two machines that share a service key cannot stand in for each other.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainId([u8; ChainId::LEN]);

impl ChainId {
    const LEN: usize = 16;

    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut id = [0; Self::LEN];
        getrandom::fill(&mut id)?;
        Ok(Self(id))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        lower_hex(text.as_bytes()).map(Self)
    }
}

/// 32 lower-case hexadecimal digits.
impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainId({self})")
    }
}

/// The key of chains.
pub(crate) struct ChainKey {
    mac: Hmac<Sha256>,
    check_value: String,
}

impl ChainKey {
    pub(crate) fn new(key: &ServiceKey) -> Result<Self, SecretError> {
        let key = key.derive(Purpose::Audit)?;
        let mac = Hmac::<Sha256>::new_from_slice(&*key).expect("HMAC takes keys of any length");
        // No line is so short, so this is the code of none.
        let check = mac.clone().chain_update("check value").finalize().into_bytes();
        Ok(Self { mac, check_value: hex::encode(&check[..4]) })
    }

    /// Eight hexadecimal digits by which a file tells under which key it is.
    pub(crate) fn check_value(&self) -> &str {
        &self.check_value
    }

    /// The code of a line that follows the one with the code `previous`.
    pub(crate) fn seal(&self, previous: &ChainMac, body: &[u8]) -> ChainMac {
        let mac = self.mac.clone().chain_update(previous.0).chain_update(body);
        ChainMac(mac.finalize().into_bytes().into())
    }

    /// Whether a line follows the one with the code `previous` and is as it was written; compared
    /// in constant time.
    pub(crate) fn is_next(&self, previous: &ChainMac, body: &[u8], mac: &ChainMac) -> bool {
        let sealed = self.mac.clone().chain_update(previous.0).chain_update(body);
        sealed.verify_slice(&mac.0).is_ok()
    }
}

impl fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChainKey([redacted])")
    }
}

/// Lower-case digits only: a letter in the other case would be a changed byte that nobody sees.
fn lower_hex<const LEN: usize>(text: &[u8]) -> Option<[u8; LEN]> {
    let mut bytes = [0; LEN];
    if text.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use cvv2::secret::{Protection, Secret};

    use super::*;

    #[test]
    fn codes_are_computed_as_the_text_says() {
        let key = ServiceKey::new(Secret::new([7; 32], Protection::Wiped).unwrap());
        let key = ChainKey::new(&key).unwrap();
        // python3: hmac.new(AUDIT_KEY, bytes(32) + b"first", "sha256").hexdigest(), and so on, with
        // the key that `service_key` tests.
        let first = key.seal(&ChainMac::NONE, b"first");
        let second = key.seal(&first, b"second");
        assert_eq!(
            [first.to_string(), second.to_string(), key.check_value().to_owned()],
            [
                "0de49b4d1ff2ea22848c36b9c66e06433d00a520a8ba91118a0d9e40fc5259c7",
                "8ccafe20dfdb00dc389ee5feba008471c612a3b5f4b447bd5a008d93f6ccfab3",
                "2155e5df"
            ]
        );
        assert!(key.is_next(&first, b"second", &second));
        assert!(!key.is_next(&second, b"second", &second));
        assert!(!key.is_next(&first, b"secone", &second));
    }

    #[test]
    fn one_text_stands_for_a_code() {
        let text = "0123456789abcdef".repeat(4);
        let mac = ChainMac::parse(text.as_bytes()).unwrap();
        assert_eq!(mac.to_string(), text);
        assert!(ChainMac::parse(text.to_uppercase().as_bytes()).is_none());
        assert!(ChainMac::parse(&text.as_bytes()[1..]).is_none());
        assert!(ChainMac::parse(format!("{text}0").as_bytes()).is_none());
        assert!(ChainMac::parse(text.replace('0', "g").as_bytes()).is_none());
        let id = "00112233445566778899aabbccddeeff";
        assert_eq!(ChainId::parse(id).unwrap().to_string(), id);
    }
}
