//! From a key block to the key in it.

use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::cipher::BlockCipher;
use super::field::{KeyAlgorithm, KeyBlockVersion, KeyUsage};
use super::kbpk::Kbpk;
use super::{KeyBlock, KeyBlockError, PAYLOAD_BYTES_MAX, check_value};
use crate::declassify::declassify;
use crate::secret::{Protection, Secret};

/// Bytes of the length that stands before a key.
pub(super) const LENGTH: usize = 2;

/// A key that came out of a key block, in secret memory.
///
/// The padding that followed it is kept: sealed with the same header, key and padding, the block is
/// the same again.
pub struct OpenedKey {
    payload: Secret<[u8; PAYLOAD_BYTES_MAX]>,
    payload_len: usize,
    key_len: usize,
}

impl OpenedKey {
    /// The key's bytes. They are the caller's to keep out of everywhere else.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.payload[LENGTH..LENGTH + self.key_len]
    }

    /// What the key was padded with.
    #[must_use]
    pub fn padding(&self) -> &[u8] {
        &self.payload[LENGTH + self.key_len..self.payload_len]
    }

    /// How the memory of the key is guarded.
    #[must_use]
    pub fn protection(&self) -> Protection {
        self.payload.protection()
    }
}

impl fmt::Debug for OpenedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenedKey([redacted])")
    }
}

impl Kbpk {
    /// The longest key that is opened and sealed, in bytes.
    pub const KEY_BYTES_MAX: usize = 64;

    /// Opens a block for a usage.
    ///
    /// The MAC is compared in constant time before anything of what it covers is looked at. In
    /// versions A and C it covers the ciphertext, and nothing is decrypted before; in B and D it
    /// covers the key itself, which is decrypted to secret memory and wiped if the MAC is wrong.
    ///
    /// ```
    /// use cvv2::KeyBlock;
    /// use cvv2::key::{Kbpk, KbpkAlgorithm, KeyBlockError, KeyUsage};
    /// use cvv2::secret::Protection;
    ///
    /// // TR-31:2018, A.7.4
    /// let hex = "88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6";
    /// let kbpk = Kbpk::from_hex(KbpkAlgorithm::Aes256, hex, Protection::Wiped)?;
    /// let block = KeyBlock::parse(
    ///     "D0112P0AE00E0000B82679114F470F540165EDFBF7E250FCEA43F810D215F8D2\
    ///      07E2E417C07156A27E8E31DA05F7425509593D03A457DC34",
    /// )?;
    /// let pin_encryption = KeyUsage::parse("P0").unwrap();
    /// let key = kbpk.open(&block, pin_encryption)?;
    /// assert_eq!(hex::encode_upper(key.expose()), "3F419E1CB7079442AA37474C2EFBF8B8");
    ///
    /// let wanted = KeyUsage::CARD_VERIFICATION;
    /// assert_eq!(kbpk.open(&block, wanted).unwrap_err(), KeyBlockError::Usage { wanted });
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`KeyBlockError::KbpkAlgorithm`] and [`KeyBlockError::VariantsNeedKbpk`] if this protection
    /// key can open no block of the version; [`KeyBlockError::Authentication`] for every failure of
    /// authentication. For an authentic block: [`KeyBlockError::Usage`],
    /// [`KeyBlockError::Component`], [`KeyBlockError::KeyLengthField`],
    /// [`KeyBlockError::KeyLength`] if the length is not one of the algorithm's, and
    /// [`KeyBlockError::CheckValue`] if the header states a check value that is not the key's.
    /// [`KeyBlockError::Secret`] where there is no memory as protected as was asked for.
    pub fn open(&self, block: &KeyBlock, usage: KeyUsage) -> Result<OpenedKey, KeyBlockError> {
        self.check_version(block.header().version())?;
        let mut payload = Secret::new([0; PAYLOAD_BYTES_MAX], self.at_least())?;
        let key_len = self.open_into(block, usage, &mut payload)?;
        Ok(OpenedKey { payload, payload_len: block.payload().len() / 2, key_len })
    }

    /// Opens a block for a usage in secret memory of the caller's, and gives the length of the key,
    /// which stands behind [`LENGTH`] bytes.
    pub(super) fn open_into(
        &self,
        block: &KeyBlock,
        usage: KeyUsage,
        payload: &mut [u8; PAYLOAD_BYTES_MAX],
    ) -> Result<usize, KeyBlockError> {
        let header = block.header();
        self.check_version(header.version())?;
        let payload_len = block.payload().len() / 2;
        self.decrypt(block, &mut payload[..payload_len])?;

        if header.usage() != usage {
            return Err(KeyBlockError::Usage { wanted: usage });
        }
        if header.key_version().is_component() {
            return Err(KeyBlockError::Component);
        }
        let bits = u16::from_be_bytes([payload[0], payload[1]]);
        let key_len = usize::from(bits / 8);
        if !bits.is_multiple_of(8) || LENGTH + key_len > payload_len {
            return Err(KeyBlockError::KeyLengthField);
        }
        check_key_length(header.algorithm(), key_len)?;
        check_value::confirm(header, &payload[LENGTH..][..key_len])?;
        Ok(key_len)
    }

    /// Refuses a version that this protection key cannot open.
    pub(super) fn check_version(&self, version: KeyBlockVersion) -> Result<(), KeyBlockError> {
        let algorithm = self.algorithm();
        if algorithm.is_aes() != (version == KeyBlockVersion::D) {
            return Err(KeyBlockError::KbpkAlgorithm { version, algorithm });
        }
        match version {
            KeyBlockVersion::A | KeyBlockVersion::C if self.kbpk().is_none() => {
                Err(KeyBlockError::VariantsNeedKbpk { version })
            }
            _ => Ok(()),
        }
    }

    /// Decrypts into `payload`, which is wiped again if the block is not authentic.
    fn decrypt(&self, block: &KeyBlock, payload: &mut [u8]) -> Result<(), KeyBlockError> {
        let header = block.header_text();
        let mut stated = [0; BlockCipher::BLOCK_MAX];
        let stated = &mut stated[..block.mac().len() / 2];
        decode(block.mac(), stated);
        decode(block.payload(), payload);

        let mut mac = [0; BlockCipher::BLOCK_MAX];
        let mac = &mut mac[..stated.len()];
        let cipher = self.algorithm().cipher();
        let authentic = match block.header().version() {
            KeyBlockVersion::B | KeyBlockVersion::D => {
                cipher.decrypt(self.encryption(), stated, payload);
                self.authenticate(header, payload, mac);
                declassify(mac.ct_eq(stated))
            }
            KeyBlockVersion::A | KeyBlockVersion::C => {
                let variant = |mask| self.variant(block.header().version(), mask);
                let (header, key_len) = (header.as_bytes(), cipher.key_len());
                cipher.cbc_mac(&variant(b'M')?[..key_len], &[header, payload], mac);
                let authentic = declassify(mac.ct_eq(stated));
                if authentic {
                    cipher.decrypt(&variant(b'E')?[..key_len], &header[..8], payload);
                }
                authentic
            }
        };
        mac.zeroize();
        if authentic {
            Ok(())
        } else {
            payload.zeroize();
            Err(KeyBlockError::Authentication)
        }
    }

    /// The MAC of versions B and D over the header and the clear payload.
    pub(super) fn authenticate(&self, header: &str, payload: &[u8], mac: &mut [u8]) {
        let parts = [header.as_bytes(), payload];
        self.algorithm().cipher().cmac(self.authentication(), &parts, mac);
    }

    /// The variant of the protection key by which versions A and C encrypt (`E`) or authenticate
    /// (`M`).
    fn variant(&self, version: KeyBlockVersion, mask: u8) -> Result<Variant, KeyBlockError> {
        let kbpk = self.kbpk().ok_or(KeyBlockError::VariantsNeedKbpk { version })?;
        let mut variant = Secret::new([0; 32], self.at_least())?;
        for (byte, of_kbpk) in variant.iter_mut().zip(kbpk) {
            *byte = of_kbpk ^ mask;
        }
        Ok(variant)
    }
}

type Variant = Secret<[u8; 32]>;

/// Refuses a length that no key of the algorithm has, or that is too long for this library.
pub(super) fn check_key_length(algorithm: KeyAlgorithm, bytes: usize) -> Result<(), KeyBlockError> {
    let allowed = match algorithm {
        KeyAlgorithm::Aes => matches!(bytes, 16 | 24 | 32),
        KeyAlgorithm::Des => bytes == 8,
        // A single-length key under triple DES is what it was: K, K, K.
        KeyAlgorithm::Tdes => matches!(bytes, 8 | 16 | 24),
        _ => (1..=Kbpk::KEY_BYTES_MAX).contains(&bytes),
    };
    if allowed { Ok(()) } else { Err(KeyBlockError::KeyLength { bytes }) }
}

/// Decodes digits that were checked when the block was read.
fn decode(digits: &str, into: &mut [u8]) {
    base16ct::upper::decode(digits, into).expect("twice as many upper-case digits as bytes");
}
