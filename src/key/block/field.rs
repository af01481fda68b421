//! The values of the fixed header fields.
//!
//! Source: ANSI X9.143:2021, section 6.2 and 6.3, as the interfaces of payment HSMs document it.

use core::fmt;

/// How a key block is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyBlockVersion {
    /// Variants of a triple-DES key, the first method of 2005. Read only.
    A,
    /// Keys derived of a triple-DES key.
    B,
    /// Variants of a triple-DES key. Read only.
    C,
    /// Keys derived of an AES key.
    D,
}

impl KeyBlockVersion {
    /// Its letter.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::A => 'A',
            Self::B => 'B',
            Self::C => 'C',
            Self::D => 'D',
        }
    }

    pub(super) fn from_letter(letter: u8) -> Option<Self> {
        find([Self::A, Self::B, Self::C, Self::D], Self::letter, letter)
    }

    /// Bytes of a cipher block.
    pub(super) fn block_len(self) -> usize {
        if self == Self::D { 16 } else { 8 }
    }

    /// Bytes of the MAC.
    pub(super) fn mac_len(self) -> usize {
        match self {
            Self::A | Self::C => 4,
            Self::B => 8,
            Self::D => 16,
        }
    }
}

impl fmt::Display for KeyBlockVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.letter())
    }
}

/// What a key is for: two upper-case letters or digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyUsage([u8; 2]);

impl KeyUsage {
    /// `C0`: card verification values (CVV, CVC, CAV, CVN).
    pub const CARD_VERIFICATION: Self = Self(*b"C0");
    /// `D0`: encryption of data with a symmetric cipher.
    pub const DATA_ENCRYPTION: Self = Self(*b"D0");
    /// `K1`: protection of key blocks.
    pub const KEY_BLOCK_PROTECTION: Self = Self(*b"K1");
    /// `M7`: HMAC.
    pub const HMAC: Self = Self(*b"M7");

    /// Reads the two characters; `None` for anything but two upper-case letters or digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let pair = text.as_bytes().try_into().ok()?;
        Self::first_wrong(pair).is_none().then_some(Self(pair))
    }

    /// The two characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        ascii(&self.0)
    }

    /// The index of the first character that is not allowed.
    pub(super) fn first_wrong(pair: [u8; 2]) -> Option<usize> {
        pair.iter().position(|b| !matches!(b, b'A'..=b'Z' | b'0'..=b'9'))
    }
}

impl fmt::Display for KeyUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for KeyUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyUsage({self})")
    }
}

/// The cipher or MAC that a key is used with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// `A`
    Aes,
    /// `D`: single DES, out of use.
    Des,
    /// `S`
    Dsa,
    /// `E`
    EllipticCurve,
    /// `H`
    Hmac,
    /// `R`
    Rsa,
    /// `T`: triple DES.
    Tdes,
}

impl KeyAlgorithm {
    /// Its letter.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::Aes => 'A',
            Self::Des => 'D',
            Self::Dsa => 'S',
            Self::EllipticCurve => 'E',
            Self::Hmac => 'H',
            Self::Rsa => 'R',
            Self::Tdes => 'T',
        }
    }

    pub(super) fn from_letter(letter: u8) -> Option<Self> {
        let all = [
            Self::Aes,
            Self::Des,
            Self::Dsa,
            Self::EllipticCurve,
            Self::Hmac,
            Self::Rsa,
            Self::Tdes,
        ];
        find(all, Self::letter, letter)
    }
}

/// What may be done with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ModeOfUse {
    /// `B`: encrypt and decrypt, or wrap and unwrap.
    EncryptAndDecrypt,
    /// `C`: generate and verify.
    GenerateAndVerify,
    /// `D`: decrypt or unwrap only.
    Decrypt,
    /// `E`: encrypt or wrap only.
    Encrypt,
    /// `G`: generate only.
    Generate,
    /// `N`: whatever the usage allows.
    NoRestriction,
    /// `S`: sign only.
    Sign,
    /// `T`: sign and decrypt.
    SignAndDecrypt,
    /// `V`: verify only.
    Verify,
    /// `X`: derive keys.
    Derive,
    /// `Y`: make variants of it.
    Variants,
}

impl ModeOfUse {
    /// Its letter.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::EncryptAndDecrypt => 'B',
            Self::GenerateAndVerify => 'C',
            Self::Decrypt => 'D',
            Self::Encrypt => 'E',
            Self::Generate => 'G',
            Self::NoRestriction => 'N',
            Self::Sign => 'S',
            Self::SignAndDecrypt => 'T',
            Self::Verify => 'V',
            Self::Derive => 'X',
            Self::Variants => 'Y',
        }
    }

    /// Whether a card verification key of this mode generates values.
    #[must_use]
    pub fn may_generate(self) -> bool {
        matches!(self, Self::GenerateAndVerify | Self::Generate | Self::NoRestriction)
    }

    /// Whether a card verification key of this mode verifies values.
    #[must_use]
    pub fn may_verify(self) -> bool {
        matches!(self, Self::GenerateAndVerify | Self::Verify | Self::NoRestriction)
    }

    pub(super) fn from_letter(letter: u8) -> Option<Self> {
        let all = [
            Self::EncryptAndDecrypt,
            Self::GenerateAndVerify,
            Self::Decrypt,
            Self::Encrypt,
            Self::Generate,
            Self::NoRestriction,
            Self::Sign,
            Self::SignAndDecrypt,
            Self::Verify,
            Self::Derive,
            Self::Variants,
        ];
        find(all, Self::letter, letter)
    }
}

/// Which version of a key a block holds: two letters or digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyVersion([u8; 2]);

impl KeyVersion {
    /// `00`: versions are not counted.
    pub const NONE: Self = Self(*b"00");

    /// Reads the two characters; `None` for anything but two letters or digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let pair = text.as_bytes().try_into().ok()?;
        Self::first_wrong(pair).is_none().then_some(Self(pair))
    }

    /// The two characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        ascii(&self.0)
    }

    /// Whether the block holds a component, not a key: the first character is `c`.
    #[must_use]
    pub fn is_component(self) -> bool {
        self.0[0] == b'c'
    }

    /// The index of the first character that is not allowed.
    pub(super) fn first_wrong(pair: [u8; 2]) -> Option<usize> {
        pair.iter().position(|b| !b.is_ascii_alphanumeric())
    }
}

impl fmt::Display for KeyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for KeyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyVersion({self})")
    }
}

/// How far a key may travel, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Exportability {
    /// `N`: never again.
    NonExportable,
    /// `E`: under a key that is managed as ANSI X9.24 wants it.
    Exportable,
    /// `S`: under any key.
    Sensitive,
}

impl Exportability {
    /// Its letter.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::NonExportable => 'N',
            Self::Exportable => 'E',
            Self::Sensitive => 'S',
        }
    }

    pub(super) fn from_letter(letter: u8) -> Option<Self> {
        find([Self::NonExportable, Self::Exportable, Self::Sensitive], Self::letter, letter)
    }
}

/// Whether a block is for storing a key or for exchanging it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum KeyContext {
    /// `0`: as the protection key says. The only value before 2021.
    #[default]
    ByProtectionKey,
    /// `1`: to store it.
    Storage,
    /// `2`: to exchange it.
    Exchange,
}

impl KeyContext {
    /// Its digit.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::ByProtectionKey => '0',
            Self::Storage => '1',
            Self::Exchange => '2',
        }
    }

    pub(super) fn from_letter(letter: u8) -> Option<Self> {
        find([Self::ByProtectionKey, Self::Storage, Self::Exchange], Self::letter, letter)
    }
}

/// The value whose letter is `letter`.
fn find<T: Copy, const N: usize>(all: [T; N], of: fn(T) -> char, letter: u8) -> Option<T> {
    all.into_iter().find(|value| of(*value) == char::from(letter))
}

fn ascii(pair: &[u8; 2]) -> &str {
    core::str::from_utf8(pair).expect("checked to be ASCII when it was read")
}
