//! Key blocks of ANSI X9.143 (earlier TR-31): a key, encrypted, together with what it may be used
//! for.
//!
//! ```text
//! D0112C0TV00E0000 564FB8739FD7…6CBA3D58E0 E52417E0C5B303469139831390248672
//! header, in clear encrypted key           MAC over the header and the key
//! ```
//!
//! [`KeyBlock::parse`] reads the text, [`Kbpk::open`] gives the key, [`Kbpk::seal`] makes a block,
//! and [`CvkPair::from_key_block`](super::CvkPair::from_key_block) does for card verification keys
//! what has to be done for them. Versions B (triple DES) and D (AES) are read and written, A and C
//! are read only.
//!
//! # Side channels
//!
//! AES is computed in constant time. Triple DES here is table-driven: opening a block of version A,
//! B or C, and deriving from a triple-DES protection key, read addresses that depend on keys. It
//! happens when a key is loaded, not for a card. Version D has nothing of it.

mod check_value;
mod cipher;
mod cvk;
mod derive;
mod error;
mod field;
mod header;
mod kbpk;
mod open;
mod optional;
mod seal;
#[cfg(test)]
mod tests;

pub use error::{HeaderField, KeyBlockError, OptionalBlockFlaw};
pub use field::{
    Exportability, KeyAlgorithm, KeyBlockVersion, KeyContext, KeyUsage, KeyVersion, ModeOfUse,
};
pub use header::KeyBlockHeader;
pub use kbpk::{Kbpk, KbpkAlgorithm, KbpkComponent, KbpkError};
pub use open::OpenedKey;
pub use optional::OptionalBlock;

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;

/// The longest encrypted part of a key block, in bytes: the length field of two bytes, a key of up
/// to 64, and padding.
pub const PAYLOAD_BYTES_MAX: usize = 128;

/// A key block as it was read: its text is well formed, and nothing is known of its authenticity.
///
/// The text is public: a header, ciphertext, and a message authentication code.
///
/// ```
/// use cvv2::KeyBlock;
/// use cvv2::key::{KeyBlockError, KeyUsage};
///
/// // TR-31:2018, A.7.3.2
/// let text = "B0104B0TX12S0100KS1800604B120F9292800000\
///             BB68BE8680A400D9191AD4ECE45B6E6C0D21C4738A52190E248719E24B433627";
/// let block = KeyBlock::parse(text)?;
/// assert_eq!(block.header().usage(), KeyUsage::parse("B0").unwrap());
/// assert_eq!(block.header().optional_blocks()[0].data(), "00604B120F9292800000");
///
/// let cut = KeyBlock::parse(&text[..96]).unwrap_err();
/// assert_eq!(cut, KeyBlockError::Length { stated: 104, chars: 96 });
/// # Ok::<(), KeyBlockError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct KeyBlock {
    text: String,
    header: KeyBlockHeader,
    header_chars: usize,
}

impl KeyBlock {
    /// Reads a key block: the text itself, without blanks or line ends around it.
    ///
    /// # Errors
    ///
    /// [`KeyBlockError`] says which field is not as X9.143 has it, and where. Hexadecimal digits are
    /// upper-case there, so lower-case ones are refused. Numeric values of version, algorithm and
    /// mode of use, which are everybody's own, are refused too: what they allow is not known.
    pub fn parse(text: &str) -> Result<Self, KeyBlockError> {
        if let Some(at) = text.chars().position(|c| !matches!(c, ' '..='~')) {
            return Err(KeyBlockError::NotPrintable { at });
        }
        let (header, header_chars) = header::parse(text)?;
        let block = Self { text: text.to_owned(), header, header_chars };
        block.check_payload()?;
        Ok(block)
    }

    /// The header, which nothing vouches for before the block is opened.
    #[must_use]
    pub fn header(&self) -> &KeyBlockHeader {
        &self.header
    }

    /// The text of the whole block.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The header's text, optional blocks included: what the MAC covers of it.
    fn header_text(&self) -> &str {
        &self.text[..self.header_chars]
    }

    /// The digits of the encrypted key.
    fn payload(&self) -> &str {
        &self.text[self.header_chars..self.mac_at()]
    }

    /// The digits of the MAC.
    fn mac(&self) -> &str {
        &self.text[self.mac_at()..]
    }

    fn mac_at(&self) -> usize {
        self.text.len() - 2 * self.header.version().mac_len()
    }

    fn check_payload(&self) -> Result<(), KeyBlockError> {
        let version = self.header.version();
        let at_least = self.header_chars + 2 * (version.block_len() + version.mac_len());
        if self.text.len() < at_least {
            return Err(KeyBlockError::Short { chars: self.text.len(), at_least });
        }
        let digits = self.payload().len();
        if !digits.is_multiple_of(2 * version.block_len()) || digits > 2 * PAYLOAD_BYTES_MAX {
            return Err(KeyBlockError::PayloadLength { digits, of: 2 * version.block_len() });
        }
        let digit = |b: u8| matches!(b, b'0'..=b'9' | b'A'..=b'F');
        match self.text.bytes().skip(self.header_chars).position(|b| !digit(b)) {
            Some(offset) => Err(KeyBlockError::Digit { at: self.header_chars + offset }),
            None => Ok(()),
        }
    }
}

impl fmt::Display for KeyBlock {
    /// The text of the whole block.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for KeyBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyBlock").field(&self.header_text()).finish_non_exhaustive()
    }
}
