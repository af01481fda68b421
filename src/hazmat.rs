//! Primitives and intermediate values, for test vectors, auditors and people who learn.
//!
//! Nothing here belongs in issuer processing: these functions take data that the parsers would
//! refuse, or show what the engine otherwise keeps to itself.

use alloc::vec::Vec;
use core::fmt;

use cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};

use crate::card::{Cvv, CvvLength, ExpiryOrder, PackedCard, Pan, ServiceCode};
use crate::kernel::reference;
use crate::key::{CvkPair, Kbpk, Kcv, KeyBlock, KeyBlockError, Policy, set_odd_parity};

/// Packs a card whose four expiry digits need not be a date: published data has a month 33.
///
/// `None` unless `expiry` is four ASCII digits. They enter the calculation as they stand, whatever
/// the key's expiry order is.
#[must_use]
pub fn pack_opaque(pan: &Pan, expiry: &str, service_code: &ServiceCode) -> Option<PackedCard> {
    let ascii: &[u8; 4] = expiry.as_bytes().try_into().ok()?;
    let digits = ascii.map(|a| a.wrapping_sub(b'0'));
    digits
        .iter()
        .all(|d| *d < 10)
        .then(|| PackedCard::from_opaque_digits(pan, digits, service_code))
}

/// Every intermediate value of one calculation, computed by the reference kernel.
///
/// ```
/// use cvv2::hazmat::{Steps, pack_opaque};
/// use cvv2::{CvkPair, ExpiryOrder, Pan, Policy, ServiceCode};
///
/// let hex = "0123456789ABCDEFFEDCBA9876543210";
/// let cvk = CvkPair::from_hex(hex, ExpiryOrder::YyMm, Policy::TestVectors)?;
/// let pan = Pan::parse("4000000000001618")?;
/// let card = pack_opaque(&pan, "2912", &ServiceCode::CVV2).expect("four digits");
/// let steps = Steps::explain(&cvk, &card)?;
/// assert_eq!(steps.result(), &0xEFCD_1DDC_AFB2_EBCA_u64.to_be_bytes());
/// assert_eq!(steps.digits()[..3], [1, 2, 4]); // two decimal digits, then E minus ten
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct Steps(reference::Steps);

impl Steps {
    /// Computes every step under a test key.
    ///
    /// # Errors
    ///
    /// [`NotATestKey`] for a key that was accepted under any policy but [`Policy::TestVectors`]:
    /// intermediate values of a live key are not for eyes.
    pub fn explain(key: &CvkPair, card: &PackedCard) -> Result<Self, NotATestKey> {
        match key.policy() {
            Policy::TestVectors => Ok(Self(reference::Steps::of(key.material(), card))),
            Policy::Strict => Err(NotATestKey),
        }
    }

    /// Block 1: the first 16 digits of PAN, expiry and service code.
    #[must_use]
    pub fn b1(&self) -> &[u8; 8] {
        &self.0.b1
    }

    /// Block 2: the other digits, filled up with zeros.
    #[must_use]
    pub fn b2(&self) -> &[u8; 8] {
        &self.0.b2
    }

    /// Block 1 encrypted under CVK A.
    #[must_use]
    pub fn encrypted_b1(&self) -> &[u8; 8] {
        &self.0.encrypted_b1
    }

    /// The former, exclusive-or block 2.
    #[must_use]
    pub fn chained(&self) -> &[u8; 8] {
        &self.0.chained
    }

    /// The former, encrypted under CVK A.
    #[must_use]
    pub fn encrypted_a(&self) -> &[u8; 8] {
        &self.0.encrypted_a
    }

    /// The former, decrypted under CVK B.
    #[must_use]
    pub fn decrypted_b(&self) -> &[u8; 8] {
        &self.0.decrypted_b
    }

    /// The former, encrypted under CVK A: the 64 bits that are decimalised.
    #[must_use]
    pub fn result(&self) -> &[u8; 8] {
        &self.0.result
    }

    /// The 16 digits of the decimalisation; a value is the first of them.
    #[must_use]
    pub fn digits(&self) -> Vec<u8> {
        reference::decimalize(&self.0.result).collect()
    }

    /// The value of `length` digits.
    #[must_use]
    pub fn cvv(&self, length: CvvLength) -> Cvv {
        self.0.cvv(length)
    }
}

/// The key is not a test key, and so its calculations are not explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotATestKey;

impl fmt::Display for NotATestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("only a calculation under a test key (Policy::TestVectors) is explained")
    }
}

impl core::error::Error for NotATestKey {}

/// All decimal digits of `bytes`, two for each byte: first those that were decimal, left to right,
/// then the letters minus ten.
#[must_use]
pub fn decimalize(bytes: &[u8]) -> Vec<u8> {
    reference::decimalize(bytes).collect()
}

/// Gives every byte of a DES key an odd number of ones by its lowest bit.
pub fn force_odd_parity(key: &mut [u8]) {
    set_odd_parity(key);
}

/// Takes a card verification key out of a key block as [`CvkPair::from_key_block`] does, under
/// another policy: published blocks hold keys of bad parity.
///
/// # Errors
///
/// As [`CvkPair::from_key_block`].
pub fn cvk_from_key_block(
    block: &KeyBlock,
    kbpk: &Kbpk,
    order: ExpiryOrder,
    policy: Policy,
) -> Result<CvkPair, KeyBlockError> {
    CvkPair::from_key_block_under(block, kbpk, order, policy)
}

/// A single-, double- or triple-length DES key (8, 16 or 24 bytes), for known answers.
pub enum DesKey<'a> {
    /// One DES.
    Single(&'a [u8; 8]),
    /// Encrypt, decrypt, encrypt with the first half again.
    Double(&'a [u8; 16]),
    /// Encrypt, decrypt, encrypt with three keys.
    Triple(&'a [u8; 24]),
}

impl<'a> DesKey<'a> {
    /// A key by its length; `None` unless that is 8, 16 or 24 bytes.
    #[must_use]
    pub fn from_slice(key: &'a [u8]) -> Option<Self> {
        None.or_else(|| key.try_into().ok().map(Self::Single))
            .or_else(|| key.try_into().ok().map(Self::Double))
            .or_else(|| key.try_into().ok().map(Self::Triple))
    }

    /// Encrypts one block with the cipher that the reference kernel is made of.
    pub fn encrypt(&self, block: &mut [u8; 8]) {
        match self {
            Self::Single(key) => des::Des::new((*key).into()).encrypt_block(block.into()),
            Self::Double(key) => des::TdesEde2::new((*key).into()).encrypt_block(block.into()),
            Self::Triple(key) => des::TdesEde3::new((*key).into()).encrypt_block(block.into()),
        }
    }

    /// Decrypts one block with the cipher that the reference kernel is made of.
    pub fn decrypt(&self, block: &mut [u8; 8]) {
        match self {
            Self::Single(key) => des::Des::new((*key).into()).decrypt_block(block.into()),
            Self::Double(key) => des::TdesEde2::new((*key).into()).decrypt_block(block.into()),
            Self::Triple(key) => des::TdesEde3::new((*key).into()).decrypt_block(block.into()),
        }
    }

    /// The key check value by encrypting zeros.
    #[must_use]
    pub fn kcv(&self) -> Kcv {
        let mut block = [0; 8];
        self.encrypt(&mut block);
        Kcv::leftmost(&block)
    }
}
