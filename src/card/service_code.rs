//! The service code.

use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::{DigitsError, copy_digits};
use crate::declassify::declassify;

/// A service code: three decimal digits (ISO/IEC 7813), on the stripe after the expiry.
///
/// Two values are fixed by the calculation: [`CVV2`](Self::CVV2) and [`ICVV`](Self::ICVV).
#[derive(Clone)]
pub struct ServiceCode {
    digits: [u8; 3],
}

impl ServiceCode {
    /// `000`, which makes the value a CVV2 (CVC2, CAV2, CVN2): printed, not encoded.
    pub const CVV2: Self = Self { digits: [0; 3] };
    /// `999`, which makes the value an iCVV (Chip CVC): in the chip's track-2 equivalent data.
    pub const ICVV: Self = Self { digits: [9; 3] };

    /// Reads three ASCII digits.
    ///
    /// # Errors
    ///
    /// [`ServiceCodeError`] for anything else.
    pub fn parse(digits: &str) -> Result<Self, ServiceCodeError> {
        let mut code = Self::CVV2;
        copy_digits(digits, 3, &mut code.digits)?;
        for digit in &mut code.digits {
            *digit -= b'0';
        }
        Ok(code)
    }

    /// The three digits as numbers 0 to 9.
    pub(super) fn digits(&self) -> [u8; 3] {
        self.digits
    }
}

impl fmt::Debug for ServiceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceCode([redacted])")
    }
}

impl ConstantTimeEq for ServiceCode {
    fn ct_eq(&self, other: &Self) -> subtle::Choice {
        self.digits.ct_eq(&other.digits)
    }
}

impl PartialEq for ServiceCode {
    fn eq(&self, other: &Self) -> bool {
        declassify(self.ct_eq(other))
    }
}

impl Eq for ServiceCode {}

impl Zeroize for ServiceCode {
    fn zeroize(&mut self) {
        self.digits.zeroize();
    }
}

impl Drop for ServiceCode {
    fn drop(&mut self) {
        self.zeroize();
    }
}

/// Why a text is no service code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServiceCodeError {
    /// There are not exactly three digits.
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

impl From<DigitsError> for ServiceCodeError {
    fn from(error: DigitsError) -> Self {
        match error {
            DigitsError::NotADigit { at } => Self::NotADigit { at },
            DigitsError::Length { digits } => Self::Length { digits },
        }
    }
}

impl fmt::Display for ServiceCodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { digits } => {
                write!(f, "the service code has {digits} digits; give three")
            }
            Self::NotADigit { at } => {
                write!(f, "character {} of the service code is not a digit 0-9", at + 1)
            }
        }
    }
}

impl core::error::Error for ServiceCodeError {}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    #[test]
    fn the_fixed_codes_are_000_and_999() {
        assert_eq!(ServiceCode::parse("000").unwrap(), ServiceCode::CVV2);
        assert_eq!(ServiceCode::parse("999").unwrap(), ServiceCode::ICVV);
        assert_eq!(ServiceCode::parse("201").unwrap().digits(), [2, 0, 1]);
    }

    #[test]
    fn anything_but_three_digits_is_refused() {
        for (text, error) in [
            ("", ServiceCodeError::Length { digits: 0 }),
            ("10", ServiceCodeError::Length { digits: 2 }),
            ("1010", ServiceCodeError::Length { digits: 4 }),
            ("1o1", ServiceCodeError::NotADigit { at: 1 }),
        ] {
            assert_eq!(ServiceCode::parse(text).unwrap_err(), error);
        }
    }

    #[test]
    fn debug_shows_no_digit() {
        assert_eq!(format!("{:?}", ServiceCode::ICVV), "ServiceCode([redacted])");
    }
}
