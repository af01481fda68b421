//! The primary account number.

use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::{DigitsError, copy_digits};
use crate::declassify::declassify;

/// A primary account number (PAN): 12 to 19 decimal digits.
///
/// ISO/IEC 7812-1 bounds a PAN at 19 digits; 12 is the shortest for which the card verification
/// value is published. Whether the Luhn check digit is right is a separate question
/// ([`passes_luhn`](Self::passes_luhn)): many test PANs fail it, and the calculation does not care.
///
/// ```
/// use cvv2::{Pan, PanError};
///
/// assert_eq!(Pan::parse("4123456789012345")?.len(), 16);
/// assert_eq!(Pan::parse("4123 456789012345").unwrap_err(), PanError::NotADigit { at: 4 });
/// # Ok::<(), PanError>(())
/// ```
#[derive(Clone)]
pub struct Pan {
    ascii: [u8; Pan::LEN_MAX],
    len: u8,
}

impl Pan {
    /// The fewest digits of a PAN.
    pub const LEN_MIN: usize = 12;
    /// The most digits of a PAN.
    pub const LEN_MAX: usize = 19;

    /// Reads a PAN of 12 to 19 ASCII digits, without blanks or separators.
    ///
    /// # Errors
    ///
    /// [`PanError::NotADigit`] for the first character that is no ASCII digit, and
    /// [`PanError::Length`] for fewer than 12 or more than 19 digits.
    pub fn parse(digits: &str) -> Result<Self, PanError> {
        let mut pan = Self { ascii: [0; Self::LEN_MAX], len: 0 };
        let len = copy_digits(digits, Self::LEN_MIN, &mut pan.ascii)?;
        pan.len = u8::try_from(len).expect("at most 19");
        Ok(pan)
    }

    /// How many digits the PAN has: 12 to 19.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a PAN is never empty")]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// The digits themselves, as ASCII. Whoever calls this answers for where they go.
    #[must_use]
    pub fn expose(&self) -> &str {
        core::str::from_utf8(self.ascii()).expect("only ASCII digits were stored")
    }

    /// Whether the last digit is the Luhn check digit of the others (ISO/IEC 7812-1, annex B).
    #[must_use]
    pub fn passes_luhn(&self) -> bool {
        let sum: u32 = self
            .ascii()
            .iter()
            .rev()
            .enumerate()
            .map(|(from_right, ascii)| {
                let digit = u32::from(ascii - b'0');
                if from_right % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }
            })
            .sum();
        sum.is_multiple_of(10)
    }

    /// The PAN as it may be shown: the first six and the last four digits, `X` between them.
    ///
    /// PCI DSS v4.0.1, requirement 3.4.1, allows the BIN and the last four digits at most.
    #[must_use]
    pub fn masked(&self) -> MaskedPan {
        let mut masked = MaskedPan { ascii: self.ascii, len: self.len };
        masked.ascii[6..self.len() - 4].fill(b'X');
        masked
    }

    /// The digits as ASCII bytes.
    pub(super) fn ascii(&self) -> &[u8] {
        &self.ascii[..self.len()]
    }
}

impl fmt::Debug for Pan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pan([{} digits redacted])", self.len)
    }
}

impl ConstantTimeEq for Pan {
    fn ct_eq(&self, other: &Self) -> subtle::Choice {
        self.len.ct_eq(&other.len) & self.ascii.ct_eq(&other.ascii)
    }
}

impl PartialEq for Pan {
    fn eq(&self, other: &Self) -> bool {
        declassify(self.ct_eq(other))
    }
}

impl Eq for Pan {}

impl Zeroize for Pan {
    fn zeroize(&mut self) {
        self.ascii.zeroize();
        self.len.zeroize();
    }
}

impl Drop for Pan {
    fn drop(&mut self) {
        self.zeroize();
    }
}

/// A PAN with all but its first six and last four digits replaced by `X`: safe to show and to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaskedPan {
    ascii: [u8; Pan::LEN_MAX],
    len: u8,
}

impl MaskedPan {
    /// The masked text, as long as the PAN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.ascii[..usize::from(self.len)]).expect("digits and X are ASCII")
    }
}

impl fmt::Display for MaskedPan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text is no PAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PanError {
    /// The number of digits is outside 12 to 19.
    Length {
        /// How many digits there were.
        digits: usize,
    },
    /// A character is no ASCII digit.
    NotADigit {
        /// Its position, counted in characters from zero.
        at: usize,
    },
}

impl From<DigitsError> for PanError {
    fn from(error: DigitsError) -> Self {
        match error {
            DigitsError::NotADigit { at } => Self::NotADigit { at },
            DigitsError::Length { digits } => Self::Length { digits },
        }
    }
}

impl fmt::Display for PanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { digits } => write!(f, "the PAN has {digits} digits; give 12 to 19"),
            Self::NotADigit { at } => write!(
                f,
                "character {} of the PAN is not a digit 0-9; give digits only, without blanks",
                at + 1
            ),
        }
    }
}

impl core::error::Error for PanError {}

#[cfg(test)]
mod tests {
    use std::string::ToString;
    use std::{format, vec::Vec};

    use super::*;

    #[test]
    fn every_length_from_12_to_19_is_accepted_and_its_neighbours_are_not() {
        let digits = "41234567890123456789";
        for len in 12..=19 {
            let pan = Pan::parse(&digits[..len]).unwrap();
            assert_eq!((pan.len(), pan.expose()), (len, &digits[..len]));
        }
        assert_eq!(Pan::parse(&digits[..11]).unwrap_err(), PanError::Length { digits: 11 });
        assert_eq!(Pan::parse(digits).unwrap_err(), PanError::Length { digits: 20 });
        assert_eq!(Pan::parse("").unwrap_err(), PanError::Length { digits: 0 });
    }

    #[test]
    fn positions_count_characters_not_bytes() {
        assert_eq!(Pan::parse("4１23456789012345").unwrap_err(), PanError::NotADigit { at: 1 });
        assert_eq!(Pan::parse("412345678901234५").unwrap_err(), PanError::NotADigit { at: 15 });
    }

    #[test]
    fn luhn_is_a_separate_question() {
        for published in ["4111111111111111", "5500005555555559", "378282246310005"] {
            assert!(Pan::parse(published).unwrap().passes_luhn());
        }
        assert!(!Pan::parse("4123456789012345").unwrap().passes_luhn());
        // Exactly one last digit is right, whatever the others are.
        let right: Vec<_> = (0..10)
            .filter(|d| Pan::parse(&format!("412345678901{d}")).unwrap().passes_luhn())
            .collect();
        assert_eq!(right.len(), 1);
    }

    #[test]
    fn masking_keeps_six_and_four_at_every_length() {
        assert_eq!(Pan::parse("412345678901").unwrap().masked().to_string(), "412345XX8901");
        assert_eq!(
            Pan::parse("4123456789012345678").unwrap().masked().as_str(),
            "412345XXXXXXXXX5678"
        );
    }

    #[test]
    fn debug_and_errors_show_no_digit_of_the_pan() {
        let pan = Pan::parse("4999988887777000").unwrap();
        assert_eq!(format!("{pan:?}"), "Pan([16 digits redacted])");
        let error = Pan::parse("49999888877770x0").unwrap_err().to_string();
        assert_eq!(
            error,
            "character 15 of the PAN is not a digit 0-9; give digits only, without blanks"
        );
    }

    #[test]
    fn equality_sees_length_and_every_digit() {
        let pan = Pan::parse("4123456789012345").unwrap();
        assert_eq!(pan, pan.clone());
        for other in ["4123456789012346", "5123456789012345", "412345678901234"] {
            assert_ne!(pan, Pan::parse(other).unwrap());
        }
    }

    #[test]
    fn zeroize_leaves_nothing() {
        let mut pan = Pan::parse("4123456789012345678").unwrap();
        pan.zeroize();
        assert_eq!((pan.ascii, pan.len), ([0; 19], 0));
    }
}
