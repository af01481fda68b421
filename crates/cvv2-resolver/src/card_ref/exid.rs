//! The issuer's external card identifier.

use std::fmt;

use zeroize::Zeroizing;

use super::identifier::{Identifier, IdentifierError};
use crate::luhn;

/// An external card identifier (EXID).
///
/// By its published structure it is 20 digits: BIN (8), system id (1), random (10), and the Luhn
/// check digit over all of them. Other issuers have other forms: [`ExidForm::Any`].
///
/// ```
/// use cvv2_resolver::{Exid, ExidError, ExidForm};
///
/// assert_eq!(Exid::parse("99984100148297467162", ExidForm::Strict)?.expose().len(), 20);
/// let wrong = Exid::parse("99984100148297467163", ExidForm::Strict).unwrap_err();
/// assert_eq!(wrong, ExidError::CheckDigit);
/// # Ok::<(), ExidError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Exid(Identifier);

impl Exid {
    /// The digits of an EXID of the published structure.
    pub const DIGITS: usize = 20;
    /// The most characters of an EXID of another form.
    pub const LEN_MAX: usize = Identifier::LEN_MAX;

    const BIN_DIGITS: usize = 8;
    const RANDOM_DIGITS: usize = 10;

    /// Reads an EXID of the given form.
    ///
    /// # Errors
    ///
    /// [`ExidError`] for what the form refuses.
    pub fn parse(text: &str, form: ExidForm) -> Result<Self, ExidError> {
        if form == ExidForm::Strict {
            check_structure(text)?;
        }
        let identifier = Identifier::parse(text).map_err(|error| match error {
            IdentifierError::NotPrintable { at } => ExidError::NotPrintable { at },
            IdentifierError::Length { characters } => ExidError::Length { characters, form },
        })?;
        Ok(Self(identifier))
    }

    /// Makes a new EXID: `bin8` and `system_id`, ten random digits, and their check digit.
    ///
    /// The random digits come from the operating system's generator and are uniform. That no other
    /// card has the same ones is for the store to say, when the card is put there.
    ///
    /// # Errors
    ///
    /// [`MintError`] for a BIN that is not eight digits, a system id above 9, and a failure of the
    /// generator.
    pub fn mint(bin8: &str, system_id: u8) -> Result<Self, MintError> {
        if bin8.len() != Self::BIN_DIGITS || !bin8.bytes().all(|b| b.is_ascii_digit()) {
            return Err(MintError::Bin);
        }
        if system_id > 9 {
            return Err(MintError::SystemId);
        }
        let mut digits = Zeroizing::new([0; Self::DIGITS]);
        let (body, check) = digits.split_at_mut(Self::DIGITS - 1);
        body[..Self::BIN_DIGITS].copy_from_slice(bin8.as_bytes());
        body[Self::BIN_DIGITS] = b'0' + system_id;
        fill_with_random_digits(&mut body[Self::BIN_DIGITS + 1..])?;
        check[0] = luhn::check_digit(body);
        let text = str::from_utf8(&*digits).expect("ASCII digits");
        Ok(Self::parse(text, ExidForm::Strict).expect("built by the structure that is checked"))
    }

    /// The EXID itself. Whoever calls this answers for where it goes.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }

    pub(super) fn identifier(&self) -> &Identifier {
        &self.0
    }
}

impl fmt::Debug for Exid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exid([{} characters redacted])", self.0.len())
    }
}

/// Which texts are EXIDs: a setting of the bank, never guessed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "either the structure is known or it is not")]
pub enum ExidForm {
    /// The published structure: 20 digits with a right check digit.
    #[default]
    Strict,
    /// Any 1 to 32 printable ASCII characters without blanks, for issuers with forms of their own.
    Any,
}

/// Why a text is no EXID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExidError {
    /// The number of characters is not what the form asks for.
    Length {
        /// How many there were.
        characters: usize,
        /// The form that was asked for.
        form: ExidForm,
    },
    /// A character is no ASCII digit ([`ExidForm::Strict`]).
    NotADigit {
        /// Its position, counted in characters from zero.
        at: usize,
    },
    /// The last digit is not the check digit of the others ([`ExidForm::Strict`]).
    CheckDigit,
    /// A character is a blank, a control or no ASCII ([`ExidForm::Any`]).
    NotPrintable {
        /// Its position, counted in characters from zero.
        at: usize,
    },
}

impl fmt::Display for ExidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { characters, form: ExidForm::Strict } => {
                write!(f, "the EXID has {characters} digits; give 20")
            }
            Self::Length { characters, form: ExidForm::Any } => {
                write!(f, "the EXID has {characters} characters; give 1 to 32")
            }
            Self::NotADigit { at } => write!(
                f,
                "character {} of the EXID is not a digit 0-9; give digits only, without blanks",
                at + 1
            ),
            Self::CheckDigit => f.write_str("the check digit of the EXID is wrong"),
            Self::NotPrintable { at } => {
                write!(f, "character {} of the EXID is a blank or not printable ASCII", at + 1)
            }
        }
    }
}

impl std::error::Error for ExidError {}

/// Why no EXID could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MintError {
    /// The BIN is not eight digits.
    Bin,
    /// The system id is above 9.
    SystemId,
    /// The operating system's random generator failed.
    Generator,
}

impl fmt::Display for MintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bin => "the BIN of an EXID is eight digits 0-9",
            Self::SystemId => "the system id of an EXID is one digit 0-9",
            Self::Generator => "the operating system's random generator failed",
        })
    }
}

impl std::error::Error for MintError {}

fn check_structure(text: &str) -> Result<(), ExidError> {
    if let Some(at) = text.chars().position(|c| !c.is_ascii_digit()) {
        return Err(ExidError::NotADigit { at });
    }
    if text.len() != Exid::DIGITS {
        return Err(ExidError::Length { characters: text.len(), form: ExidForm::Strict });
    }
    if !luhn::passes(text.as_bytes()) {
        return Err(ExidError::CheckDigit);
    }
    Ok(())
}

/// Bytes from 250 up are thrown away: kept, they would make the digits 0 to 5 likelier.
fn fill_with_random_digits(digits: &mut [u8]) -> Result<(), MintError> {
    let mut random = Zeroizing::new([0; 2 * Exid::RANDOM_DIGITS]);
    let mut filled = 0;
    while filled < digits.len() {
        getrandom::fill(&mut *random).map_err(|_| MintError::Generator)?;
        let fair = random.iter().filter(|&&byte| byte < 250);
        for (digit, byte) in digits[filled..].iter_mut().zip(fair) {
            *digit = b'0' + byte % 10;
            filled += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_published_example_passes_and_its_neighbours_do_not() {
        let published = "99984100148297467162";
        assert_eq!(Exid::parse(published, ExidForm::Strict).unwrap().expose(), published);
        for at in 0..published.len() {
            let mut changed = published.as_bytes().to_vec();
            changed[at] = b'0' + (changed[at] - b'0' + 1) % 10;
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(
                Exid::parse(&changed, ExidForm::Strict).unwrap_err(),
                ExidError::CheckDigit,
                "digit {at}"
            );
        }
    }

    #[test]
    fn each_form_refuses_with_position_or_length() {
        let length = |characters, form| ExidError::Length { characters, form };
        for (text, form, error) in [
            ("", ExidForm::Strict, length(0, ExidForm::Strict)),
            ("9998410014829746716", ExidForm::Strict, length(19, ExidForm::Strict)),
            ("999841001482974671629", ExidForm::Strict, length(21, ExidForm::Strict)),
            ("9998410014829746716 ", ExidForm::Strict, ExidError::NotADigit { at: 19 }),
            ("９9984100148297467162", ExidForm::Strict, ExidError::NotADigit { at: 0 }),
            ("", ExidForm::Any, length(0, ExidForm::Any)),
            ("a b", ExidForm::Any, ExidError::NotPrintable { at: 1 }),
            ("123456789012345678901234567890123", ExidForm::Any, length(33, ExidForm::Any)),
        ] {
            assert_eq!(Exid::parse(text, form).unwrap_err(), error);
        }
        assert!(Exid::parse("12345678901234567890123456789012", ExidForm::Any).is_ok());
        assert!(Exid::parse("9998410014829746716X", ExidForm::Any).is_ok());
    }

    #[test]
    fn minted_exids_have_the_structure_and_differ() {
        let minted: HashSet<String> =
            (0..2_000).map(|_| Exid::mint("99984100", 1).unwrap().expose().to_owned()).collect();
        // Two of 2,000 are alike once in five thousand runs; four are not in any.
        assert!(minted.len() > 1_996);
        for exid in &minted {
            assert!(exid.starts_with("999841001"));
            assert!(Exid::parse(exid, ExidForm::Strict).is_ok());
        }
        // Every digit occurs in every random place: a missing one has a chance below 1e-90.
        for place in 9..19 {
            let seen: HashSet<u8> = minted.iter().map(|exid| exid.as_bytes()[place]).collect();
            assert_eq!(seen.len(), 10, "place {place}");
        }
    }

    #[test]
    fn what_cannot_be_minted() {
        for bin in ["", "9998410", "999841000", "9998410x", "９9984100"] {
            assert_eq!(Exid::mint(bin, 1).unwrap_err(), MintError::Bin);
        }
        assert_eq!(Exid::mint("99984100", 10).unwrap_err(), MintError::SystemId);
    }

    proptest! {
        #[test]
        fn one_of_ten_last_digits_is_right(body in "[0-9]{19}") {
            let right = (0..10)
                .filter(|d| Exid::parse(&format!("{body}{d}"), ExidForm::Strict).is_ok())
                .count();
            prop_assert_eq!(right, 1);
        }
    }
}
