//! The issuer's contract number.

use std::fmt;

use super::identifier::{Identifier, IdentifierError};

/// A contract number: 1 to 32 printable ASCII characters without blanks, and no `X`.
///
/// An `X` stands for a masked digit: such a value was copied from a display and names no card.
///
/// ```
/// use cvv2_resolver::{ContractNumber, ContractNumberError};
///
/// assert_eq!(ContractNumber::parse("0014-829746")?.expose(), "0014-829746");
/// let masked = ContractNumber::parse("411111XXXXXX1111").unwrap_err();
/// assert_eq!(masked, ContractNumberError::Masked { at: 6 });
/// # Ok::<(), ContractNumberError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ContractNumber(Identifier);

impl ContractNumber {
    /// The most characters of a contract number.
    pub const LEN_MAX: usize = Identifier::LEN_MAX;

    /// Reads a contract number.
    ///
    /// # Errors
    ///
    /// [`ContractNumberError`] for no or more than 32 characters, for a character that is a blank,
    /// a control or no ASCII, and for `X` or `x`.
    pub fn parse(text: &str) -> Result<Self, ContractNumberError> {
        let identifier = Identifier::parse(text).map_err(|error| match error {
            IdentifierError::NotPrintable { at } => ContractNumberError::NotPrintable { at },
            IdentifierError::Length { characters } => ContractNumberError::Length { characters },
        })?;
        match text.find(['X', 'x']) {
            Some(at) => Err(ContractNumberError::Masked { at }),
            None => Ok(Self(identifier)),
        }
    }

    /// The contract number itself. Whoever calls this answers for where it goes.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }

    pub(super) fn identifier(&self) -> &Identifier {
        &self.0
    }
}

impl fmt::Debug for ContractNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContractNumber([{} characters redacted])", self.0.len())
    }
}

/// Why a text is no contract number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContractNumberError {
    /// The number of characters is outside 1 to 32.
    Length {
        /// How many there were.
        characters: usize,
    },
    /// A character is a blank, a control or no ASCII.
    NotPrintable {
        /// Its position, counted in characters from zero.
        at: usize,
    },
    /// The value is masked.
    Masked {
        /// The position of its first `X`, counted from zero.
        at: usize,
    },
}

impl fmt::Display for ContractNumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { characters } => {
                write!(f, "the contract number has {characters} characters; give 1 to 32")
            }
            Self::NotPrintable { at } => write!(
                f,
                "character {} of the contract number is a blank or not printable ASCII",
                at + 1
            ),
            Self::Masked { at } => write!(
                f,
                "the contract number is masked from character {} on; give it in full",
                at + 1
            ),
        }
    }
}

impl std::error::Error for ContractNumberError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_to_32_printable_characters() {
        for text in ["1", "0014829746", "C/2026-Ä".trim_end_matches('Ä'), &"9".repeat(32)] {
            assert_eq!(ContractNumber::parse(text).unwrap().expose(), text);
        }
        for (text, error) in [
            (String::new(), ContractNumberError::Length { characters: 0 }),
            ("9".repeat(33), ContractNumberError::Length { characters: 33 }),
            ("12 34".into(), ContractNumberError::NotPrintable { at: 2 }),
            ("1234\n".into(), ContractNumberError::NotPrintable { at: 4 }),
            ("１234".into(), ContractNumberError::NotPrintable { at: 0 }),
            ("4111xx".into(), ContractNumberError::Masked { at: 4 }),
        ] {
            assert_eq!(ContractNumber::parse(&text).unwrap_err(), error);
        }
    }

    #[test]
    fn errors_show_nothing_of_the_value() {
        let error = ContractNumber::parse("411111XXXXXX1111").unwrap_err().to_string();
        assert_eq!(error, "the contract number is masked from character 7 on; give it in full");
    }
}
