//! From a key to a key block.

use alloc::string::String;

use super::cipher::BlockCipher;
use super::field::{KeyAlgorithm, KeyBlockVersion};
use super::header::KeyBlockHeader;
use super::kbpk::Kbpk;
use super::open::{LENGTH, check_key_length};
use super::{KeyBlock, KeyBlockError, PAYLOAD_BYTES_MAX, check_value};
use crate::secret::Secret;

impl Kbpk {
    /// Makes a block of version B or D of a key.
    ///
    /// `padding` is random and fills up what precedes it (two bytes, and the key) to whole cipher
    /// blocks; the library has no generator. More of it hides the length of the key:
    /// [`padding_len`](Self::padding_len) gives the number.
    ///
    /// ```
    /// use cvv2::key::{
    ///     Exportability, Kbpk, KbpkAlgorithm, KeyAlgorithm, KeyBlockHeader, KeyBlockVersion,
    ///     KeyUsage, ModeOfUse,
    /// };
    /// use cvv2::secret::Protection;
    ///
    /// let hex = "88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6";
    /// let kbpk = Kbpk::from_hex(KbpkAlgorithm::Aes256, hex, Protection::Wiped)?;
    /// let header = KeyBlockHeader::new(
    ///     KeyBlockVersion::D,
    ///     KeyUsage::DATA_ENCRYPTION,
    ///     KeyAlgorithm::Aes,
    ///     ModeOfUse::EncryptAndDecrypt,
    ///     Exportability::NonExportable,
    /// );
    /// let key = [0x5A; 32]; // from the system's generator in life
    /// let mut padding = [0; 14];
    /// assert_eq!(kbpk.padding_len(32, 32), padding.len());
    /// padding.fill(0xC3); // likewise
    ///
    /// let block = kbpk.seal(&header, &key, &padding)?;
    /// assert!(block.as_str().starts_with("D0144D0AB00N0000"));
    /// assert_eq!(kbpk.open(&block, KeyUsage::DATA_ENCRYPTION)?.expose(), key);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`KeyBlockError::ReadOnly`] for versions A and C, [`KeyBlockError::KbpkAlgorithm`] for the
    /// version of another cipher, [`KeyBlockError::KeyLength`] for a key of no length of the
    /// header's algorithm or of more than [`KEY_BYTES_MAX`](Self::KEY_BYTES_MAX),
    /// [`KeyBlockError::WeakerKbpk`] for a key that is stronger than this one,
    /// [`KeyBlockError::Padding`] for padding that does not fill up,
    /// [`KeyBlockError::CheckValue`] for a header that states the check value of another key,
    /// [`KeyBlockError::TooLong`] for more optional blocks than a block holds.
    pub fn seal(
        &self,
        header: &KeyBlockHeader,
        key: &[u8],
        padding: &[u8],
    ) -> Result<KeyBlock, KeyBlockError> {
        let version = header.version();
        if matches!(version, KeyBlockVersion::A | KeyBlockVersion::C) {
            return Err(KeyBlockError::ReadOnly { version });
        }
        self.check_version(version)?;
        if key.is_empty() || key.len() > Self::KEY_BYTES_MAX {
            return Err(KeyBlockError::KeyLength { bytes: key.len() });
        }
        check_key_length(header.algorithm(), key.len())?;
        if strength(header.algorithm(), key.len()) > self.algorithm().strength() {
            return Err(KeyBlockError::WeakerKbpk { algorithm: self.algorithm() });
        }
        check_value::confirm(header, key)?;
        let payload_len = LENGTH + key.len() + padding.len();
        if !payload_len.is_multiple_of(version.block_len()) || payload_len > PAYLOAD_BYTES_MAX {
            return Err(KeyBlockError::Padding { bytes: padding.len() });
        }
        let mut text = header.text(2 * (payload_len + version.mac_len()))?;
        let header_chars = text.len();

        let mut payload = Secret::new([0; PAYLOAD_BYTES_MAX], self.at_least())?;
        let payload = &mut payload[..payload_len];
        let bits = u16::try_from(8 * key.len()).expect("at most 64 bytes");
        payload[..LENGTH].copy_from_slice(&bits.to_be_bytes());
        payload[LENGTH..][..key.len()].copy_from_slice(key);
        payload[LENGTH + key.len()..].copy_from_slice(padding);
        let mut mac = [0; BlockCipher::BLOCK_MAX];
        let mac = &mut mac[..version.mac_len()];
        self.authenticate(&text, payload, mac);
        self.algorithm().cipher().encrypt(self.encryption(), mac, payload);
        push_hex(payload, &mut text);
        push_hex(mac, &mut text);
        Ok(KeyBlock { text, header: header.clone(), header_chars })
    }

    /// How much padding a key of `key_len` bytes gets in a block of this protection key to look
    /// like one of up to `masked_len` bytes.
    ///
    /// X9.143 wants the longest key of the algorithm there: 24 bytes for triple DES, 32 for AES.
    #[must_use]
    pub fn padding_len(&self, key_len: usize, masked_len: usize) -> usize {
        let block_len = self.algorithm().block_len();
        (LENGTH + key_len.max(masked_len)).next_multiple_of(block_len) - LENGTH - key_len
    }
}

/// Bits of security of a key (NIST SP 800-57 part 1, table 2), as far as protection keys go.
fn strength(algorithm: KeyAlgorithm, bytes: usize) -> u32 {
    match (algorithm, bytes) {
        (KeyAlgorithm::Des | KeyAlgorithm::Tdes, 8) => 56,
        (KeyAlgorithm::Tdes, 16) => 80,
        (KeyAlgorithm::Tdes, _) => 112,
        (_, 32..) => 256,
        (_, shorter) => 8 * u32::try_from(shorter).expect("less than 32"),
    }
}

fn push_hex(bytes: &[u8], text: &mut String) {
    let mut digits = [0; 2 * PAYLOAD_BYTES_MAX];
    let digits = base16ct::upper::encode_str(bytes, &mut digits).expect("no more bytes than that");
    text.push_str(digits);
}
