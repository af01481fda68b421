//! A month of a year: when cards expire.

use std::fmt;

use cvv2::Expiry;
use time::Date;

/// A month, `2029-01`.
///
/// ```
/// use cvv2_keyring::Month;
///
/// assert!(Month::parse("2029-01").unwrap() < Month::parse("2029-12").unwrap());
/// assert_eq!(Month::parse("2029-13"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    year: i32,
    month: u8,
}

impl Month {
    /// Before every other month.
    pub(crate) const MIN: Self = Self { year: i32::MIN, month: 1 };

    /// Reads `YYYY-MM`; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        let number = |digits: &str, len| {
            let is_number = digits.len() == len && digits.bytes().all(|b| b.is_ascii_digit());
            is_number.then(|| digits.parse::<u16>().ok()).flatten()
        };
        let (year, month) = (number(year, 4)?, number(month, 2)?);
        let month = u8::try_from(month).ok().filter(|m| (1..=12).contains(m))?;
        Some(Self { year: i32::from(year), month })
    }

    /// The month of an expiry, which has no century: in the century that puts it between 50 years
    /// before and 49 years after `on`.
    #[must_use]
    pub fn of_expiry(expiry: &Expiry, on: Date) -> Self {
        let first = on.year() - YEARS_BACK;
        let years = (i32::from(expiry.year_of_century()) - first).rem_euclid(100);
        Self { year: first + years, month: expiry.month() }
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

/// Cards are asked about for some years after they expired, and issued for at most twenty.
const YEARS_BACK: i32 = 50;

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    #[test]
    fn only_a_year_and_a_month_are_read() {
        assert_eq!(Month::parse("2029-01").unwrap().to_string(), "2029-01");
        for text in ["", "2029", "2029-1", "29-01", "2029-00", "2029-13", "2029-01-01", "+029-01"] {
            assert_eq!(Month::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_century_of_an_expiry_is_the_nearest() {
        let month = |yymm, on| Month::of_expiry(&Expiry::parse_yymm(yymm).unwrap(), on).to_string();
        assert_eq!(month("2901", date!(2026 - 11 - 22)), "2029-01");
        assert_eq!(month("9912", date!(2026 - 11 - 22)), "1999-12");
        assert_eq!(month("7512", date!(2026 - 11 - 22)), "2075-12");
        assert_eq!(month("7601", date!(2026 - 11 - 22)), "1976-01");
        assert_eq!(month("0106", date!(2098 - 02 - 01)), "2101-06");
        assert_eq!(month("9706", date!(2101 - 02 - 01)), "2097-06");
    }
}
