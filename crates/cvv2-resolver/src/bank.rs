//! The bank that a card belongs to.

use std::fmt;

/// A bank's code: 1 to 4 ASCII letters or digits, case kept. Not secret.
///
/// ```
/// use cvv2_resolver::{BankId, BankIdError};
///
/// assert_eq!(BankId::parse("IBTF")?.as_str(), "IBTF");
/// assert_eq!(BankId::parse("I-TF").unwrap_err(), BankIdError::NotAlphanumeric { at: 1 });
/// # Ok::<(), BankIdError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BankId {
    /// Filled up with zero bytes, which no code contains.
    ascii: [u8; BankId::LEN_MAX],
}

impl BankId {
    /// The most characters of a bank's code.
    pub const LEN_MAX: usize = 4;

    /// Reads a code of 1 to 4 ASCII letters or digits.
    ///
    /// # Errors
    ///
    /// [`BankIdError`] for any other character, and for no or more than four characters.
    pub fn parse(code: &str) -> Result<Self, BankIdError> {
        if let Some(at) = code.chars().position(|c| !c.is_ascii_alphanumeric()) {
            return Err(BankIdError::NotAlphanumeric { at });
        }
        if !(1..=Self::LEN_MAX).contains(&code.len()) {
            return Err(BankIdError::Length { characters: code.len() });
        }
        let mut ascii = [0; Self::LEN_MAX];
        ascii[..code.len()].copy_from_slice(code.as_bytes());
        Ok(Self { ascii })
    }

    /// The code as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let len = self.ascii.iter().position(|&b| b == 0).unwrap_or(Self::LEN_MAX);
        str::from_utf8(&self.ascii[..len]).expect("only ASCII was stored")
    }

    /// Four bytes that no other bank has.
    pub(crate) fn to_bytes(self) -> [u8; Self::LEN_MAX] {
        self.ascii
    }

    /// The bank of which these are the bytes, if there is one.
    pub(crate) fn from_bytes(bytes: [u8; Self::LEN_MAX]) -> Option<Self> {
        let len = bytes.iter().position(|&b| b == 0).unwrap_or(Self::LEN_MAX);
        let bank = Self::parse(str::from_utf8(&bytes[..len]).ok()?).ok()?;
        (bank.ascii == bytes).then_some(bank)
    }
}

impl fmt::Display for BankId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for BankId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BankId({})", self.as_str())
    }
}

/// Why a text is no bank's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BankIdError {
    /// The number of characters is outside 1 to 4.
    Length {
        /// How many there were.
        characters: usize,
    },
    /// A character is no ASCII letter or digit.
    NotAlphanumeric {
        /// Its position, counted in characters from zero.
        at: usize,
    },
}

impl fmt::Display for BankIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { characters } => {
                write!(f, "the bank's code has {characters} characters; give 1 to 4")
            }
            Self::NotAlphanumeric { at } => {
                write!(f, "character {} of the bank's code is no letter A-Z or digit 0-9", at + 1)
            }
        }
    }
}

impl std::error::Error for BankIdError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_to_four_letters_or_digits_and_nothing_else() {
        for code in ["I", "IB", "IBT", "IBTF", "0042", "ibtf"] {
            let bank = BankId::parse(code).unwrap();
            assert_eq!((bank.as_str(), bank.to_string().as_str()), (code, code));
            assert_eq!(BankId::from_bytes(bank.to_bytes()), Some(bank));
        }
        assert_eq!(BankId::parse("").unwrap_err(), BankIdError::Length { characters: 0 });
        assert_eq!(BankId::parse("IBTFX").unwrap_err(), BankIdError::Length { characters: 5 });
        assert_eq!(BankId::parse("IB F").unwrap_err(), BankIdError::NotAlphanumeric { at: 2 });
        assert_eq!(BankId::parse("ÄBTF").unwrap_err(), BankIdError::NotAlphanumeric { at: 0 });
    }

    #[test]
    fn bytes_that_no_code_has_are_no_bank() {
        for bytes in [[0; 4], *b"\0ABC", *b"A\0B\0", *b"AB-\0", [0xFF; 4]] {
            assert_eq!(BankId::from_bytes(bytes), None);
        }
    }
}
