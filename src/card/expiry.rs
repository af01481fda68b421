//! The expiry date and the two orders it is written in.

use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::{DigitsError, copy_digits};
use crate::declassify::declassify;

/// The month in which a card expires: a month 1 to 12 and a year 00 to 99 of the century.
///
/// An expiry has no order of its own; the parsers and [`ExpiryOrder`] have.
///
/// ```
/// use cvv2::{Expiry, ExpiryError, ExpiryOrder};
///
/// assert_eq!(Expiry::parse_yymm("2701")?, Expiry::parse_mmyy("0127")?);
/// let swapped = Expiry::parse_yymm("0127").unwrap_err();
/// assert_eq!(swapped.looks_like(), Some(ExpiryOrder::MmYy));
/// # Ok::<(), ExpiryError>(())
/// ```
#[derive(Clone)]
pub struct Expiry {
    year: u8,
    month: u8,
}

impl Expiry {
    /// Reads four digits in the order year, month: `2701` is January 2027.
    ///
    /// # Errors
    ///
    /// [`ExpiryError`] for anything but four ASCII digits with a month from 01 to 12. A value that
    /// only makes sense as MMYY says so: [`ExpiryError::looks_like`].
    pub fn parse_yymm(digits: &str) -> Result<Self, ExpiryError> {
        Self::parse(digits, ExpiryOrder::YyMm)
    }

    /// Reads four digits in the order month, year: `0127` is January 2027.
    ///
    /// # Errors
    ///
    /// [`ExpiryError`] for anything but four ASCII digits with a month from 01 to 12. A value that
    /// only makes sense as YYMM says so: [`ExpiryError::looks_like`].
    pub fn parse_mmyy(digits: &str) -> Result<Self, ExpiryError> {
        Self::parse(digits, ExpiryOrder::MmYy)
    }

    /// Reads four digits in `order`.
    ///
    /// # Errors
    ///
    /// As [`parse_yymm`](Self::parse_yymm) and [`parse_mmyy`](Self::parse_mmyy).
    pub fn parse(digits: &str, order: ExpiryOrder) -> Result<Self, ExpiryError> {
        let mut ascii = [0; 4];
        copy_digits(digits, 4, &mut ascii)?;
        let [first, second] = [two_digits(ascii[0], ascii[1]), two_digits(ascii[2], ascii[3])];
        ascii.zeroize();
        let (year, month) = match order {
            ExpiryOrder::YyMm => (first, second),
            ExpiryOrder::MmYy => (second, first),
        };
        if !is_month(month) {
            return Err(ExpiryError::Month { order, other_order_fits: is_month(year) });
        }
        Ok(Self { year, month })
    }

    /// The year of the century, 0 to 99.
    #[must_use]
    pub fn year_of_century(&self) -> u8 {
        self.year
    }

    /// The month, 1 to 12.
    #[must_use]
    pub fn month(&self) -> u8 {
        self.month
    }

    /// The four digits in `order`, as numbers 0 to 9.
    pub(super) fn digits(&self, order: ExpiryOrder) -> [u8; 4] {
        let [y, m] = [self.year, self.month];
        match order {
            ExpiryOrder::YyMm => [y / 10, y % 10, m / 10, m % 10],
            ExpiryOrder::MmYy => [m / 10, m % 10, y / 10, y % 10],
        }
    }
}

impl fmt::Debug for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Expiry([redacted])")
    }
}

impl ConstantTimeEq for Expiry {
    fn ct_eq(&self, other: &Self) -> subtle::Choice {
        self.year.ct_eq(&other.year) & self.month.ct_eq(&other.month)
    }
}

impl PartialEq for Expiry {
    fn eq(&self, other: &Self) -> bool {
        declassify(self.ct_eq(other))
    }
}

impl Eq for Expiry {}

impl Zeroize for Expiry {
    fn zeroize(&mut self) {
        self.year.zeroize();
        self.month.zeroize();
    }
}

impl Drop for Expiry {
    fn drop(&mut self) {
        self.zeroize();
    }
}

/// The order in which an issuer feeds the expiry into the calculation.
///
/// Issuers differ, and whoever generates and whoever verifies must agree, so it is a property of
/// the key and never guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "two numbers have two orders")]
pub enum ExpiryOrder {
    /// Month, then year: January 2027 is `0127`.
    MmYy,
    /// Year, then month, as on the magnetic stripe (ISO/IEC 7813): January 2027 is `2701`.
    YyMm,
}

impl ExpiryOrder {
    /// `YYMM` or `MMYY`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MmYy => "MMYY",
            Self::YyMm => "YYMM",
        }
    }
}

impl fmt::Display for ExpiryOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a text is no expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExpiryError {
    /// There are not exactly four digits.
    Length {
        /// How many digits there were.
        digits: usize,
    },
    /// The month is outside 01 to 12.
    Month {
        /// The order in which the digits were read.
        order: ExpiryOrder,
        /// Whether the digits are a date in the other order.
        other_order_fits: bool,
    },
    /// A character is no ASCII digit.
    NotADigit {
        /// Its position, counted in characters from zero.
        at: usize,
    },
}

impl ExpiryError {
    /// The order in which the refused digits would have been a date, if there is one.
    #[must_use]
    pub fn looks_like(&self) -> Option<ExpiryOrder> {
        match self {
            Self::Month { order: ExpiryOrder::YyMm, other_order_fits: true } => {
                Some(ExpiryOrder::MmYy)
            }
            Self::Month { order: ExpiryOrder::MmYy, other_order_fits: true } => {
                Some(ExpiryOrder::YyMm)
            }
            _ => None,
        }
    }
}

impl From<DigitsError> for ExpiryError {
    fn from(error: DigitsError) -> Self {
        match error {
            DigitsError::NotADigit { at } => Self::NotADigit { at },
            DigitsError::Length { digits } => Self::Length { digits },
        }
    }
}

impl fmt::Display for ExpiryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { digits } => write!(f, "the expiry has {digits} digits; give four"),
            Self::NotADigit { at } => {
                write!(f, "character {} of the expiry is not a digit 0-9", at + 1)
            }
            Self::Month { order, .. } => {
                write!(f, "the month of the expiry, read as {order}, is not 01 to 12")?;
                match self.looks_like() {
                    Some(other) => write!(f, "; it looks like {other}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl core::error::Error for ExpiryError {}

fn two_digits(tens: u8, ones: u8) -> u8 {
    (tens - b'0') * 10 + (ones - b'0')
}

fn is_month(number: u8) -> bool {
    (1..=12).contains(&number)
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::ToString;

    use super::*;

    #[test]
    fn all_ten_thousand_values_in_both_orders() {
        for first in 0..100_u8 {
            for second in 0..100_u8 {
                let text = format!("{first:02}{second:02}");
                match Expiry::parse_yymm(&text) {
                    Ok(expiry) => {
                        assert!((1..=12).contains(&second));
                        assert_eq!((expiry.year_of_century(), expiry.month()), (first, second));
                        let digits = expiry.digits(ExpiryOrder::YyMm).map(|d| char::from(d + b'0'));
                        assert_eq!(digits.iter().collect::<std::string::String>(), text);
                        let swapped = format!("{second:02}{first:02}");
                        assert_eq!(Expiry::parse_mmyy(&swapped).unwrap(), expiry);
                    }
                    Err(error) => {
                        assert!(!(1..=12).contains(&second));
                        let hint = (1..=12).contains(&first).then_some(ExpiryOrder::MmYy);
                        assert_eq!(error.looks_like(), hint);
                    }
                }
            }
        }
    }

    #[test]
    fn a_swapped_date_gets_that_very_hint() {
        assert_eq!(
            Expiry::parse_yymm("0127").unwrap_err().to_string(),
            "the month of the expiry, read as YYMM, is not 01 to 12; it looks like MMYY"
        );
        assert_eq!(Expiry::parse_mmyy("2701").unwrap_err().looks_like(), Some(ExpiryOrder::YyMm));
        assert_eq!(Expiry::parse_yymm("2700").unwrap_err().looks_like(), None);
    }

    #[test]
    fn other_texts_are_refused_with_position_or_length() {
        for (text, error) in [
            ("", ExpiryError::Length { digits: 0 }),
            ("270", ExpiryError::Length { digits: 3 }),
            ("27011", ExpiryError::Length { digits: 5 }),
            ("27/1", ExpiryError::NotADigit { at: 2 }),
            ("２701", ExpiryError::NotADigit { at: 0 }),
        ] {
            assert_eq!(Expiry::parse_yymm(text).unwrap_err(), error);
        }
    }

    #[test]
    fn debug_shows_no_digit() {
        assert_eq!(format!("{:?}", Expiry::parse_yymm("2701").unwrap()), "Expiry([redacted])");
    }

    #[test]
    fn zeroize_leaves_nothing() {
        let mut expiry = Expiry::parse_yymm("2701").unwrap();
        expiry.zeroize();
        assert_eq!((expiry.year, expiry.month), (0, 0));
    }
}
