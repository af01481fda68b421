//! The cards that a key is for: a range of leading digits.

use std::fmt;
use std::ops::RangeInclusive;

use cvv2::Pan;

/// Leading digits of PANs, 6 to 12 of them: one prefix, or a range of prefixes of one length.
///
/// ```
/// use cvv2::Pan;
/// use cvv2_keyring::BinRange;
///
/// let range = BinRange::parse("400000-400099")?;
/// assert!(range.contains(&Pan::parse("4000421234567899")?));
/// assert!(!range.contains(&Pan::parse("4001001234567899")?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BinRange {
    digits: u32,
    first: u64,
    last: u64,
}

impl BinRange {
    /// How many leading digits a prefix may have. The shortest PAN has no more than the longest.
    pub const DIGITS: RangeInclusive<usize> = 6..=Pan::LEN_MIN;

    /// Reads `412345` or `400000-400099`.
    ///
    /// # Errors
    ///
    /// [`BinRangeError`] for anything else; it does not show the digits, which may be a PAN.
    pub fn parse(text: &str) -> Result<Self, BinRangeError> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        if first.len() != last.len() {
            return Err(BinRangeError::Lengths);
        }
        let range = Self { digits: 0, first: number(first)?, last: number(last)? };
        if range.first > range.last {
            return Err(BinRangeError::Backwards);
        }
        Ok(Self { digits: u32::try_from(first.len()).expect("at most 12"), ..range })
    }

    /// How many leading digits decide: 6 to 12. The longer prefix wins.
    #[must_use]
    pub fn digits(&self) -> u32 {
        self.digits
    }

    /// Whether a card is in the range.
    #[must_use]
    pub fn contains(&self, pan: &Pan) -> bool {
        self.leading().contains(&leading(pan))
    }

    /// The shortest range of all cards with these [`leading`] digits.
    pub(crate) fn of_leading(leading: &RangeInclusive<u64>) -> Self {
        let (mut first, mut last) = (*leading.start(), *leading.end());
        let mut digits = LEADING_DIGITS;
        while digits > SHORTEST && first % 10 == 0 && last % 10 == 9 {
            (first, last, digits) = (first / 10, last / 10, digits - 1);
        }
        Self { digits, first, last }
    }

    /// The range as [`leading`] digits.
    pub(crate) fn leading(&self) -> RangeInclusive<u64> {
        let unit = 10_u64.pow(LEADING_DIGITS - self.digits);
        self.first * unit..=self.last * unit + (unit - 1)
    }
}

impl fmt::Display for BinRange {
    /// As it is [parsed](Self::parse).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.digits as usize;
        write!(f, "{:0digits$}", self.first)?;
        if self.last > self.first {
            write!(f, "-{:0digits$}", self.last)?;
        }
        Ok(())
    }
}

/// Why a text is no range of prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BinRangeError {
    /// The first prefix of a range comes after the last.
    Backwards,
    /// A prefix has fewer than 6 or more than 12 digits.
    Length,
    /// The two prefixes of a range have different lengths.
    Lengths,
    /// A character is no digit.
    NotADigit,
}

impl fmt::Display for BinRangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Backwards => "the range runs backwards; write the smaller prefix first",
            Self::Length => "a prefix has 6 to 12 digits",
            Self::Lengths => "the two prefixes of a range have the same number of digits",
            Self::NotADigit => "write \"412345\", or a range \"400000-400099\", with digits 0-9",
        })
    }
}

impl std::error::Error for BinRangeError {}

/// The first twelve digits of a PAN, as a number: all that routing looks at.
pub(crate) fn leading(pan: &Pan) -> u64 {
    let digits = &pan.expose().as_bytes()[..LEADING_DIGITS as usize];
    digits.iter().fold(0, |number, ascii| number * 10 + u64::from(ascii - b'0'))
}

/// A prefix of 6 to 12 ASCII digits.
fn number(digits: &str) -> Result<u64, BinRangeError> {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(BinRangeError::NotADigit);
    }
    if !BinRange::DIGITS.contains(&digits.len()) {
        return Err(BinRangeError::Length);
    }
    Ok(digits.parse().expect("at most 12 digits"))
}

const LEADING_DIGITS: u32 = 12;
const SHORTEST: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_and_ranges_are_read_and_written_alike() {
        for text in
            ["412345", "000000", "41234567", "412345678901", "400000-400099", "00000001-00000002"]
        {
            assert_eq!(BinRange::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(BinRange::parse("400000-400000").unwrap().to_string(), "400000");
    }

    #[test]
    fn anything_else_is_refused() {
        for (text, error) in [
            ("", BinRangeError::Length),
            ("41234", BinRangeError::Length),
            ("4123456789012", BinRangeError::Length),
            ("41234x", BinRangeError::NotADigit),
            ("４12345", BinRangeError::NotADigit),
            ("412345 ", BinRangeError::NotADigit),
            ("400000-4000990", BinRangeError::Lengths),
            ("400000-", BinRangeError::Lengths),
            ("-", BinRangeError::Length),
            ("400000-400001-400002", BinRangeError::Lengths),
            ("400099-400000", BinRangeError::Backwards),
        ] {
            assert_eq!(BinRange::parse(text).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn a_range_is_written_as_short_as_it_can_be() {
        for text in ["412345", "41234567", "400000-400099", "412345678901", "41234501-41234589"] {
            let range = BinRange::parse(text).unwrap();
            assert_eq!(BinRange::of_leading(&range.leading()).to_string(), text);
        }
        let longer = BinRange::parse("40000000-40009999").unwrap();
        assert_eq!(BinRange::of_leading(&longer.leading()).to_string(), "400000-400099");
    }

    #[test]
    fn a_range_ends_with_the_last_card_of_its_last_prefix() {
        let range = BinRange::parse("400000-400099").unwrap();
        let contains = |pan| range.contains(&Pan::parse(pan).unwrap());
        assert!(contains("400000000000"));
        assert!(contains("4000999999999999999"));
        assert!(!contains("399999999999"));
        assert!(!contains("4001000000000000"));
    }
}
