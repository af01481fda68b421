//! What a caller names a card by.

mod contract_number;
mod exid;
mod identifier;

use std::fmt;

use cvv2::Pan;

pub use contract_number::{ContractNumber, ContractNumberError};
pub use exid::{Exid, ExidError, ExidForm, MintError};
use identifier::Identifier;

/// A reference to a card, within a bank.
///
/// The two kinds are spaces of their own: a contract number never finds what was stored under an
/// equal EXID. A contract number that is the card's PAN is a reference like any other, and is
/// looked up only if it was stored.
///
/// A reference cannot be printed by accident:
///
/// ```compile_fail,E0277
/// # let number = cvv2_resolver::ContractNumber::parse("0014829746").unwrap();
/// println!("{}", cvv2_resolver::CardRef::from(number));
/// ```
///
/// What may be shown is its [`echo`](Self::echo).
#[derive(Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the API has two kinds of identifier")]
pub enum CardRef {
    /// The issuer's contract number; it may be the PAN itself.
    ContractNumber(ContractNumber),
    /// The issuer's external card identifier.
    Exid(Exid),
}

impl CardRef {
    /// Which of the two it is.
    #[must_use]
    pub fn kind(&self) -> CardRefKind {
        match self {
            Self::ContractNumber(_) => CardRefKind::ContractNumber,
            Self::Exid(_) => CardRefKind::Exid,
        }
    }

    /// The identifier itself. Whoever calls this answers for where it goes.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.identifier().as_str()
    }

    /// Whether the identifier must be treated as a PAN: 12 to 19 digits that pass the Luhn check.
    #[must_use]
    pub fn is_pan(&self) -> bool {
        Pan::parse(self.expose()).is_ok_and(|pan| pan.passes_luhn())
    }

    /// The identifier as it may be shown and sent back.
    ///
    /// What [is a PAN](Self::is_pan) is masked, in the same length: the first six and the last four
    /// digits stay, the others become `X`. Anything else is given as it was sent.
    #[must_use]
    pub fn echo(&self) -> EchoText {
        if self.is_pan() { self.masked() } else { EchoText(self.identifier().clone()) }
    }

    /// As [`echo`](Self::echo), for a card of which the PAN is known: a contract number that is the
    /// PAN is masked whether or not it passes the Luhn check, which many test PANs do not.
    #[must_use]
    pub fn echo_beside(&self, pan: &Pan) -> EchoText {
        match Pan::parse(self.expose()) {
            Ok(named) if named == *pan => self.masked(),
            _ => self.echo(),
        }
    }

    /// The identifier of a PAN's length, without what must not be shown of a PAN.
    fn masked(&self) -> EchoText {
        let mut shown = self.identifier().clone();
        let masked = 6..shown.len() - 4;
        shown.overwrite(masked, b'X');
        EchoText(shown)
    }

    fn identifier(&self) -> &Identifier {
        match self {
            Self::ContractNumber(number) => number.identifier(),
            Self::Exid(exid) => exid.identifier(),
        }
    }
}

impl fmt::Debug for CardRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ContractNumber(number) => number.fmt(f),
            Self::Exid(exid) => exid.fmt(f),
        }
    }
}

impl From<ContractNumber> for CardRef {
    fn from(number: ContractNumber) -> Self {
        Self::ContractNumber(number)
    }
}

impl From<Exid> for CardRef {
    fn from(exid: Exid) -> Self {
        Self::Exid(exid)
    }
}

/// The kind of a [`CardRef`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the API has two kinds of identifier")]
pub enum CardRefKind {
    /// [`CardRef::ContractNumber`].
    ContractNumber,
    /// [`CardRef::Exid`].
    Exid,
}

impl CardRefKind {
    /// `CONTRACT_NUMBER` or `EXID`, as the API names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ContractNumber => "CONTRACT_NUMBER",
            Self::Exid => "EXID",
        }
    }
}

impl fmt::Display for CardRefKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A reference as it may be shown: [`CardRef::echo`].
///
/// It holds no PAN, but it may hold an EXID or a contract number, so it redacts its `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct EchoText(Identifier);

impl EchoText {
    /// The text to show.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for EchoText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for EchoText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EchoText([{} characters redacted])", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> CardRef {
        ContractNumber::parse(text).unwrap().into()
    }

    #[test]
    fn a_pan_is_masked_and_keeps_its_length() {
        for (sent, shown) in [
            ("4111111111111111", "411111XXXXXX1111"),
            ("378282246310005", "378282XXXXX0005"),
            ("411111111117", "411111XX1117"),
            ("6304000000000000000", "630400XXXXXXXXX0000"),
        ] {
            assert!(number(sent).is_pan(), "{shown}");
            assert_eq!(number(sent).echo().as_str(), shown);
            let exid = CardRef::from(Exid::parse(sent, ExidForm::Any).unwrap());
            assert_eq!(exid.echo().to_string(), shown);
        }
    }

    #[test]
    fn anything_else_is_echoed_as_sent() {
        for sent in
            ["4111111111111112", "41111111116", "41111111111111111115", "A-4111111111111111"]
        {
            assert_eq!(number(sent).echo().as_str(), sent);
        }
        let exid = Exid::parse("99984100148297467162", ExidForm::Strict).unwrap();
        assert_eq!(CardRef::from(exid).echo().as_str(), "99984100148297467162");
    }

    #[test]
    fn a_contract_number_that_is_the_pan_is_masked_beside_it_even_if_luhn_fails() {
        let [pan, other] = ["4123456789012345", "4123456789012346"].map(|p| Pan::parse(p).unwrap());
        assert!(!pan.passes_luhn());
        let reference = number(pan.expose());
        assert_eq!(reference.echo_beside(&pan).as_str(), "412345XXXXXX2345");
        assert_eq!(reference.echo_beside(&other), reference.echo());
        assert_eq!(number("A-1").echo_beside(&pan).as_str(), "A-1");
        assert_eq!(number("4111111111111111").echo_beside(&pan).as_str(), "411111XXXXXX1111");
    }

    #[test]
    fn debug_shows_nothing_of_the_identifier() {
        let exid = CardRef::from(Exid::parse("99984100148297467162", ExidForm::Strict).unwrap());
        assert_eq!(format!("{exid:?}"), "Exid([20 characters redacted])");
        assert_eq!(format!("{:?}", exid.echo()), "EchoText([20 characters redacted])");
        assert_eq!(format!("{:?}", number("A-1")), "ContractNumber([3 characters redacted])");
    }

    #[test]
    fn kinds_differ_even_where_texts_are_equal() {
        let text = "99984100148297467162";
        let exid = CardRef::from(Exid::parse(text, ExidForm::Strict).unwrap());
        assert_ne!(exid, number(text));
        assert_eq!((exid.kind().name(), number(text).kind().name()), ("EXID", "CONTRACT_NUMBER"));
    }

    proptest! {
        #[test]
        fn no_echo_holds_more_of_a_pan_than_ten_digits(digits in "[0-9]{12,19}") {
            let echo = number(&digits).echo();
            prop_assert_eq!(echo.as_str().len(), digits.len());
            if Pan::parse(&digits).unwrap().passes_luhn() {
                prop_assert_eq!(echo.as_str().bytes().filter(u8::is_ascii_digit).count(), 10);
            } else {
                prop_assert_eq!(echo.as_str(), digits.as_str());
            }
        }
    }
}
