//! The two keys of a store.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// The keys of a store: one that seals its rows (AES-256), one that finds them (HMAC-SHA-256).
///
/// They live in one heap allocation, are written there directly, and are zeroized when dropped. One
/// pair of keys serves one store: see the limit on the number of sealed rows, which a store counts
/// for itself.
///
/// ```
/// use cvv2_resolver::StoreKeys;
///
/// let keys = StoreKeys::generate()?;
/// let again = StoreKeys::from_hex(&keys.to_hex())?;
/// assert_eq!(keys.id(), again.id());
/// # Ok::<(), cvv2_resolver::StoreKeysError>(())
/// ```
pub struct StoreKeys {
    bytes: Box<[u8; StoreKeys::LEN]>,
}

impl StoreKeys {
    /// Bytes of both keys together.
    pub const LEN: usize = 64;
    /// Hexadecimal digits of both keys together: the content of a key file.
    pub const HEX_DIGITS: usize = 2 * Self::LEN;

    /// New keys from the operating system's generator.
    ///
    /// # Errors
    ///
    /// [`StoreKeysError::Generator`] where the generator fails.
    pub fn generate() -> Result<Self, StoreKeysError> {
        let mut keys = Self::zeros();
        getrandom::fill(&mut *keys.bytes).map_err(|_| StoreKeysError::Generator)?;
        Ok(keys)
    }

    /// Reads the content of a key file: 128 hexadecimal digits in either case, the sealing key
    /// first; white space around them is ignored.
    ///
    /// The digits are decoded without secret-dependent branches or look-ups, straight to where the
    /// keys stay. `content` stays the caller's to wipe.
    ///
    /// # Errors
    ///
    /// [`StoreKeysError`] for any other text, and for two equal keys.
    pub fn from_hex(content: &str) -> Result<Self, StoreKeysError> {
        let hex = content.trim_ascii();
        let characters = hex.chars().count();
        if characters != Self::HEX_DIGITS {
            return Err(StoreKeysError::Length { characters });
        }
        let mut keys = Self::zeros();
        // Looking for the culprit branches on the text, but only once it is known to be no key.
        base16ct::mixed::decode(hex, &mut *keys.bytes).map_err(|_| {
            let at = hex.chars().position(|c| !c.is_ascii_hexdigit());
            StoreKeysError::NotHex { at: at.expect("refused for a character that is no digit") }
        })?;
        if keys.sealing().ct_eq(keys.index()).into() {
            return Err(StoreKeysError::Equal);
        }
        Ok(keys)
    }

    /// The content of a key file, without a line end.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        let mut hex = Zeroizing::new(String::with_capacity(Self::HEX_DIGITS));
        let mut pair = Zeroizing::new([0; 2]);
        for byte in self.bytes.chunks_exact(1) {
            hex.push_str(base16ct::lower::encode_str(byte, &mut *pair).expect("room for one byte"));
        }
        hex
    }

    /// What the keys may be named by in messages and files: it does not tell them.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let mac = Hmac::<Sha256>::new_from_slice(&*self.bytes)
            .expect("HMAC takes keys of any length")
            .chain_update(b"cvv2 card store key id")
            .finalize()
            .into_bytes();
        KeyId([mac[0], mac[1], mac[2], mac[3]])
    }

    /// The AES-256 key.
    pub(super) fn sealing(&self) -> &[u8; 32] {
        self.bytes.first_chunk().expect("64 bytes")
    }

    /// The HMAC-SHA-256 key.
    pub(super) fn index(&self) -> &[u8; 32] {
        self.bytes.last_chunk().expect("64 bytes")
    }

    fn zeros() -> Self {
        Self { bytes: Box::new([0; Self::LEN]) }
    }
}

impl fmt::Debug for StoreKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreKeys({} [redacted])", self.id())
    }
}

impl Drop for StoreKeys {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

/// The name of a pair of [`StoreKeys`]: four bytes of a keyed hash, shown as eight digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub(crate) [u8; KeyId::LEN]);

impl KeyId {
    pub(crate) const LEN: usize = 4;
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08X}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// Why there are no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreKeysError {
    /// There are not exactly 128 characters.
    Length {
        /// How many there were.
        characters: usize,
    },
    /// A character is no hexadecimal digit.
    NotHex {
        /// Its position, counted in characters from zero.
        at: usize,
    },
    /// The two keys are equal.
    Equal,
    /// The operating system's random generator failed.
    Generator,
}

impl fmt::Display for StoreKeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { characters } => write!(
                f,
                "the store's key file has {characters} characters; it must hold 128 hexadecimal \
                 digits"
            ),
            Self::NotHex { at } => {
                write!(f, "character {} of the store's key file is no hexadecimal digit", at + 1)
            }
            Self::Equal => f.write_str("the two keys in the store's key file are equal"),
            Self::Generator => f.write_str("the operating system's random generator failed"),
        }
    }
}

impl std::error::Error for StoreKeysError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_read_as_it_was_written() {
        let keys = StoreKeys::generate().unwrap();
        let hex = keys.to_hex();
        assert_eq!((hex.len(), hex.capacity()), (128, 128));
        for content in
            [hex.to_string(), format!("{}\n", hex.to_uppercase()), format!(" {}\r\n", *hex)]
        {
            let again = StoreKeys::from_hex(&content).unwrap();
            assert!(again.bytes == keys.bytes && again.id() == keys.id());
        }
    }

    #[test]
    fn what_is_no_key_file() {
        let hex = StoreKeys::generate().unwrap().to_hex();
        let error = |content: &str| StoreKeys::from_hex(content).unwrap_err();
        assert_eq!(error(""), StoreKeysError::Length { characters: 0 });
        assert_eq!(error(&hex[1..]), StoreKeysError::Length { characters: 127 });
        assert_eq!(error(&format!("{}0", *hex)), StoreKeysError::Length { characters: 129 });
        assert_eq!(
            error(&format!("{}g{}", &hex[..64], &hex[65..])),
            StoreKeysError::NotHex { at: 64 }
        );
        assert_eq!(
            error(&format!("{}ä{}", &hex[..9], &hex[10..])),
            StoreKeysError::NotHex { at: 9 }
        );
        assert_eq!(error(&"00".repeat(64)), StoreKeysError::Equal);
        assert_eq!(error(&hex[..64].repeat(2)), StoreKeysError::Equal);
    }

    #[test]
    fn the_id_depends_on_both_keys_and_debug_shows_only_the_id() {
        let keys = StoreKeys::from_hex(&format!("{}{}", "00".repeat(32), "11".repeat(32))).unwrap();
        for at in [0, 31, 32, 63] {
            let mut other = StoreKeys { bytes: keys.bytes.clone() };
            other.bytes[at] ^= 1;
            assert_ne!(other.id(), keys.id(), "byte {at}");
        }
        assert_eq!(format!("{keys:?}"), format!("StoreKeys({} [redacted])", keys.id()));
    }
}
