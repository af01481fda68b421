//! A fixed table from BINs to keys.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use cvv2::{CvkPair, Expiry, Pan};

use crate::cvk_source::{CvkError, CvkSource};

/// Keys by the leading digits of the PAN; the longest prefix that fits decides.
///
/// ```
/// use std::sync::Arc;
///
/// use cvv2::{CvkPair, Expiry, ExpiryOrder, Pan, Policy};
/// use cvv2_service::{BinPrefix, BinRule, BinTable, CvkError, CvkSource};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hex = "0123456789ABCDEFFEDCBA9876543210"; // a published test key
/// let cvk = Arc::new(CvkPair::from_hex(hex, ExpiryOrder::YyMm, Policy::TestVectors)?);
/// let table = BinTable::new([
///     (BinPrefix::parse("4123")?, BinRule::Cvk(cvk)),
///     (BinPrefix::parse("412399")?, BinRule::NoCvv2),
/// ])?;
///
/// let expiry = Expiry::parse_yymm("8701")?;
/// assert!(table.cvk_for(&Pan::parse("4123456789012345")?, &expiry).is_ok());
/// let prepaid = table.cvk_for(&Pan::parse("4123996789012345")?, &expiry);
/// assert_eq!(prepaid.unwrap_err(), CvkError::NoCvv2ForProduct);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct BinTable {
    /// The longest prefix first, so that the first that fits is the one that decides.
    rules: Vec<(BinPrefix, BinRule)>,
}

impl BinTable {
    /// A table of these rules.
    ///
    /// # Errors
    ///
    /// [`BinTableError::Twice`] for two rules of one prefix: nothing says which of them is meant.
    pub fn new(
        rules: impl IntoIterator<Item = (BinPrefix, BinRule)>,
    ) -> Result<Self, BinTableError> {
        let mut rules: Vec<_> = rules.into_iter().collect();
        rules.sort_by(|(a, _), (b, _)| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
        match rules.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(BinTableError::Twice { prefix: pair[0].0.clone() }),
            None => Ok(Self { rules }),
        }
    }
}

impl CvkSource for BinTable {
    fn cvk_for(&self, pan: &Pan, _: &Expiry) -> Result<Arc<CvkPair>, CvkError> {
        let decides = self.rules.iter().find(|(prefix, _)| pan.expose().starts_with(&prefix.0));
        match decides {
            Some((_, BinRule::Cvk(cvk))) => Ok(Arc::clone(cvk)),
            Some((_, BinRule::NoCvv2)) => Err(CvkError::NoCvv2ForProduct),
            None => Err(CvkError::NoKey),
        }
    }
}

/// What holds for the cards of a prefix.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum BinRule {
    /// This key computes.
    Cvk(Arc<CvkPair>),
    /// These cards have no CVV2.
    NoCvv2,
}

/// Leading digits of a PAN: 1 to 12. ISO/IEC 7812-1 has six or eight; account ranges need more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BinPrefix(String);

impl BinPrefix {
    /// The digits a prefix may have. The shortest PAN is no shorter.
    pub const DIGITS: RangeInclusive<usize> = 1..=Pan::LEN_MIN;

    /// Reads a prefix.
    ///
    /// # Errors
    ///
    /// [`BinTableError::NotAPrefix`] for anything but 1 to 12 ASCII digits.
    pub fn parse(digits: &str) -> Result<Self, BinTableError> {
        if Self::DIGITS.contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(digits.to_owned()))
        } else {
            Err(BinTableError::NotAPrefix)
        }
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why there is no table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BinTableError {
    /// A text is no prefix of a PAN. It may be a whole PAN; so it is not shown.
    NotAPrefix,
    /// Two rules have the same prefix.
    Twice {
        /// Which one.
        prefix: BinPrefix,
    },
}

impl fmt::Display for BinTableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAPrefix => {
                f.write_str("the BIN prefix is not 1 to 12 digits 0-9; give leading digits only")
            }
            Self::Twice { prefix } => {
                let digits = prefix.as_str();
                let shown = digits.get(..SHOWN_MAX).unwrap_or(digits);
                let more = if shown.len() < digits.len() { "…" } else { "" };
                write!(f, "the BIN prefix {shown}{more} has two rules; keep one")
            }
        }
    }
}

impl std::error::Error for BinTableError {}

/// How many digits of a prefix an error shows: the longest prefix may be a whole PAN.
const SHOWN_MAX: usize = 6;

#[cfg(test)]
mod tests {
    use cvv2::{ExpiryOrder, Policy};

    use super::*;

    fn cvk(order: ExpiryOrder) -> BinRule {
        let hex = "0123456789ABCDEFFEDCBA9876543210";
        BinRule::Cvk(Arc::new(CvkPair::from_hex(hex, order, Policy::Strict).unwrap()))
    }

    fn prefix(digits: &str) -> BinPrefix {
        BinPrefix::parse(digits).unwrap()
    }

    #[test]
    fn the_longest_prefix_decides_in_whatever_order_they_come() {
        let rules = [
            (prefix("4"), cvk(ExpiryOrder::YyMm)),
            (prefix("41234567"), cvk(ExpiryOrder::MmYy)),
            (prefix("4123"), BinRule::NoCvv2),
            (prefix("51"), BinRule::NoCvv2),
        ];
        let reversed: Vec<_> = rules.iter().rev().cloned().collect();
        for table in [BinTable::new(rules).unwrap(), BinTable::new(reversed).unwrap()] {
            let choose = |pan: &str| {
                let expiry = Expiry::parse_yymm("2701").unwrap();
                let cvk = table.cvk_for(&Pan::parse(pan).unwrap(), &expiry);
                cvk.map(|cvk| cvk.expiry_order())
            };
            assert_eq!(choose("4999999999999999"), Ok(ExpiryOrder::YyMm));
            assert_eq!(choose("4123456799999999"), Ok(ExpiryOrder::MmYy));
            assert_eq!(choose("4123456899999999"), Err(CvkError::NoCvv2ForProduct));
            assert_eq!(choose("5199999999999999"), Err(CvkError::NoCvv2ForProduct));
            assert_eq!(choose("5299999999999999"), Err(CvkError::NoKey));
        }
    }

    #[test]
    fn a_prefix_has_one_rule() {
        let rules =
            [("4123", ()), ("51", ()), ("4123", ())].map(|(p, ())| (prefix(p), BinRule::NoCvv2));
        let error = BinTable::new(rules).unwrap_err();
        assert_eq!(error, BinTableError::Twice { prefix: prefix("4123") });
        assert_eq!(error.to_string(), "the BIN prefix 4123 has two rules; keep one");
    }

    #[test]
    fn an_error_shows_six_digits_of_a_prefix_at_most() {
        for (digits, shown) in
            [("412345", "412345 has"), ("4123456", "412345… has"), ("412345678901", "412345… has")]
        {
            let text = BinTableError::Twice { prefix: prefix(digits) }.to_string();
            assert_eq!(text, format!("the BIN prefix {shown} two rules; keep one"));
        }
    }

    #[test]
    fn a_prefix_is_1_to_12_digits() {
        for digits in ["4", "412345", "412345678901"] {
            assert_eq!(prefix(digits).as_str(), digits);
        }
        for text in ["", "4123456789012", "41x", " 4", "４"] {
            assert_eq!(BinPrefix::parse(text).unwrap_err(), BinTableError::NotAPrefix);
        }
    }
}
