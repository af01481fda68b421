//! The card verification value itself.

use core::fmt;
use core::ops::RangeInclusive;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::{DigitsError, copy_digits};
use crate::declassify::declassify;

/// A card verification value: 1 to 5 decimal digits, three on every card scheme's cards.
///
/// There is no conversion to or from an integer, so a leading zero cannot be lost. Comparison takes
/// the same time wherever two values differ.
///
/// ```
/// use cvv2::{Cvv, CvvLength};
///
/// let typed = Cvv::parse("042", CvvLength::THREE)?;
/// assert_eq!(typed.expose().as_str(), "042");
/// # Ok::<(), cvv2::CvvError>(())
/// ```
// Bits 0 to 19 are the digits in BCD, the last digit in the lowest nibble; bits 24 to 26 are how
// many there are. Four bytes a value let a kernel store a whole vector of them at once.
#[derive(Clone)]
#[repr(transparent)]
pub struct Cvv(u32);

impl Cvv {
    /// No digits at all: what an output slot holds before a value is computed, and after a failure.
    pub const EMPTY: Self = Self(0);

    /// Reads what a person typed: exactly `length` ASCII digits, nothing around them.
    ///
    /// # Errors
    ///
    /// [`CvvError::NotADigit`] for the first character that is no ASCII digit, and
    /// [`CvvError::Length`] for more or fewer digits.
    pub fn parse(typed: &str, length: CvvLength) -> Result<Self, CvvError> {
        let mut ascii = [0; CvvLength::MAX];
        let result = copy_digits(typed, length.get(), &mut ascii[..length.get()])
            .map(|_| Self::from_digits(ascii[..length.get()].iter().map(|a| a - b'0')))
            .map_err(|error| match error {
                DigitsError::NotADigit { at } => CvvError::NotADigit { at },
                DigitsError::Length { digits } => CvvError::Length { digits, expected: length },
            });
        ascii.zeroize();
        result
    }

    /// How many digits the value has: 1 to 5, or 0 for [`EMPTY`](Self::EMPTY).
    #[must_use]
    pub fn digits(&self) -> usize {
        (self.0 >> Self::COUNT_SHIFT) as usize
    }

    /// The digits themselves, as text. Whoever calls this answers for where they go.
    #[must_use]
    pub fn expose(&self) -> CvvText {
        let len = self.digits();
        let mut text = CvvText { ascii: [0; CvvLength::MAX], len };
        for (i, ascii) in text.ascii[..len].iter_mut().enumerate() {
            let nibble = (self.0 >> (4 * (len - 1 - i))) & 0xF;
            *ascii = b'0' + u8::try_from(nibble).expect("a nibble");
        }
        text
    }

    /// Bits 0 to 19 are the digits in BCD, the last one lowest; bits 24 to 26 their number.
    #[inline]
    pub(crate) fn set_bits(&mut self, bits: u32) {
        self.0 = bits;
    }

    /// As [`set_bits`](Self::set_bits).
    #[cfg_attr(
        not(all(target_arch = "x86_64", feature = "std")),
        allow(dead_code, reason = "only vectors read values back")
    )]
    #[inline]
    pub(crate) fn bits(&self) -> u32 {
        self.0
    }

    /// Keeps the first `length` of `digits` digits.
    pub(crate) fn shorten(&mut self, digits: usize, length: CvvLength) {
        let surplus = digits - length.get();
        let digits = (self.0 & 0xF_FFFF) >> (4 * surplus);
        self.0 = u32::from(length.0) << Self::COUNT_SHIFT | digits;
    }

    const COUNT_SHIFT: u32 = 24;

    /// Packs up to five digits, each 0 to 9.
    pub(crate) fn from_digits(digits: impl Iterator<Item = u8>) -> Self {
        let mut bcd = 0;
        let mut count = 0;
        for digit in digits {
            bcd = bcd << 4 | u32::from(digit);
            count += 1;
        }
        Self(count << Self::COUNT_SHIFT | bcd)
    }
}

impl fmt::Debug for Cvv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cvv([{} digits redacted])", self.digits())
    }
}

impl ConstantTimeEq for Cvv {
    fn ct_eq(&self, other: &Self) -> subtle::Choice {
        self.0.ct_eq(&other.0)
    }
}

impl PartialEq for Cvv {
    fn eq(&self, other: &Self) -> bool {
        declassify(self.ct_eq(other))
    }
}

impl Eq for Cvv {}

impl Zeroize for Cvv {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

impl Drop for Cvv {
    fn drop(&mut self) {
        self.zeroize();
    }
}

/// The text of a [`Cvv`], wiped when dropped. It has neither `Display` nor `Debug`.
pub struct CvvText {
    ascii: [u8; CvvLength::MAX],
    len: usize,
}

impl CvvText {
    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.ascii[..self.len]).expect("only ASCII digits are stored")
    }
}

impl Drop for CvvText {
    fn drop(&mut self) {
        self.ascii.zeroize();
    }
}

/// How many digits a [`Cvv`] has: 1 to 5.
///
/// Card schemes use three; 1 to 5 is the range of IBM's CSNBCSG service (rules CVV-1 to CVV-5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CvvLength(u8);

impl CvvLength {
    /// The fewest digits.
    pub const MIN: usize = 1;
    /// The most digits.
    pub const MAX: usize = 5;
    /// What every card scheme prints and encodes.
    pub const THREE: Self = Self(3);

    /// A number of digits from 1 to 5; `None` for any other.
    #[must_use]
    pub fn new(digits: usize) -> Option<Self> {
        const ACCEPTED: RangeInclusive<usize> = CvvLength::MIN..=CvvLength::MAX;
        u8::try_from(digits).ok().filter(|_| ACCEPTED.contains(&digits)).map(Self)
    }

    /// The number of digits, 1 to 5.
    #[must_use]
    pub fn get(self) -> usize {
        usize::from(self.0)
    }
}

impl Default for CvvLength {
    fn default() -> Self {
        Self::THREE
    }
}

/// Why a typed text is no card verification value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CvvError {
    /// There are more or fewer digits than expected.
    Length {
        /// How many digits there were.
        digits: usize,
        /// How many there should be.
        expected: CvvLength,
    },
    /// A character is no ASCII digit.
    NotADigit {
        /// Its position, counted in characters from zero.
        at: usize,
    },
}

impl fmt::Display for CvvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { digits, expected } => write!(
                f,
                "the card verification value has {digits} digits; type {} digits",
                expected.get()
            ),
            Self::NotADigit { at } => write!(
                f,
                "character {} of the card verification value is not a digit 0-9; \
                 type digits only, without blanks",
                at + 1
            ),
        }
    }
}

impl core::error::Error for CvvError {}

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::ToString;

    use super::*;

    #[test]
    fn every_value_of_every_length_keeps_its_leading_zeros() {
        for len in CvvLength::MIN..=4 {
            let length = CvvLength::new(len).unwrap();
            for value in 0..10_usize.pow(u32::try_from(len).unwrap()) {
                let text = format!("{value:0len$}");
                let cvv = Cvv::parse(&text, length).unwrap();
                assert_eq!((cvv.digits(), cvv.expose().as_str()), (len, text.as_str()));
            }
        }
        let five = CvvLength::new(5).unwrap();
        assert_eq!(Cvv::parse("00090", five).unwrap().expose().as_str(), "00090");
    }

    #[test]
    fn equality_over_all_pairs_of_three_digits() {
        let all: std::vec::Vec<_> =
            (0..1000).map(|v| Cvv::parse(&format!("{v:03}"), CvvLength::THREE).unwrap()).collect();
        for (i, a) in all.iter().enumerate() {
            for (j, b) in all.iter().enumerate() {
                assert_eq!(a == b, i == j);
            }
        }
    }

    #[test]
    fn values_of_different_lengths_differ() {
        let parse = |text: &str| Cvv::parse(text, CvvLength::new(text.len()).unwrap()).unwrap();
        assert_ne!(parse("012"), parse("12"));
        assert_ne!(parse("0"), Cvv::EMPTY);
        assert_eq!(Cvv::EMPTY.expose().as_str(), "");
    }

    #[test]
    fn only_lengths_from_1_to_5_exist() {
        let accepted: std::vec::Vec<_> =
            (0..300).filter(|n| CvvLength::new(*n).is_some()).collect();
        assert_eq!(accepted, [1, 2, 3, 4, 5]);
        assert_eq!(CvvLength::default(), CvvLength::THREE);
    }

    #[test]
    fn errors_say_what_to_type_and_show_no_digit() {
        for (typed, error, text) in [
            (
                "56",
                CvvError::Length { digits: 2, expected: CvvLength::THREE },
                "the card verification value has 2 digits; type 3 digits",
            ),
            (
                "5 1",
                CvvError::NotADigit { at: 1 },
                "character 2 of the card verification value is not a digit 0-9; \
                 type digits only, without blanks",
            ),
        ] {
            let got = Cvv::parse(typed, CvvLength::THREE).unwrap_err();
            assert_eq!((got, got.to_string().as_str()), (error, text));
        }
    }

    #[test]
    fn debug_shows_no_digit() {
        let cvv = Cvv::parse("561", CvvLength::THREE).unwrap();
        assert_eq!(format!("{cvv:?}"), "Cvv([3 digits redacted])");
    }
}
