//! What an audit record needs to know of a request.

use cvv2::Pan;
use cvv2_resolver::{BankId, CardRef};
use zeroize::Zeroizing;

use crate::cause::Cause;
use crate::envelope::{ErrorCode, Request, Seen, Text};

/// How a request ended, in words that may be logged: no whole card reference is in it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// What the caller was told.
    pub code: ErrorCode,
    /// What really happened; `None` on success.
    pub cause: Option<Cause>,
    /// `msg_id`, if it could be read; masked where it may be a card number.
    pub msg_id: Option<String>,
    /// `tracking_id`, if there was one; masked where it may be a card number.
    pub tracking_id: Option<String>,
    /// The bank that the request named, if it could be read.
    pub bank: Option<BankId>,
    /// The card reference, masked, if it could be read.
    pub card: Option<String>,
    /// How many members the contract does not know.
    pub unknown_fields: usize,
}

impl Outcome {
    pub(crate) fn new(seen: &Seen, request: Option<&Request>, cause: Option<Cause>) -> Self {
        let echo = seen.echo.as_ref();
        let bank_id = echo.and_then(|echo| echo.bank_id.as_ref());
        Self {
            code: cause.as_ref().map_or(ErrorCode::Success, Cause::code),
            cause,
            msg_id: echo.and_then(|echo| echo.msg_id.as_ref()).map(without_pan),
            tracking_id: seen.tracking_id.as_ref().map(without_pan),
            bank: bank_id.and_then(|id| BankId::parse(id.expose()).ok()),
            card: request.map(|request| masked(&request.card)),
            unknown_fields: seen.unknown_fields,
        }
    }
}

/// A reference as a log may hold it: the same length, most of it `X`.
///
/// A log is read by more people than an answer; so references that are no PAN are masked too, and
/// short ones show less. The first six characters of an EXID are those of its BIN.
fn masked(card: &CardRef) -> String {
    let text = card.expose();
    let (first, last) = match text.len() {
        16.. => (6, 4),
        8.. => (0, 4),
        _ => (0, 0),
    };
    let hidden = first..text.len() - last;
    text.char_indices().map(|(at, c)| if hidden.contains(&at) { 'X' } else { c }).collect()
}

/// A field that is no place for a card number, in case somebody put one there: 12 to 19 digits that
/// pass the Luhn check, blanks and hyphens between them or not, are masked.
fn without_pan(text: &Text) -> String {
    let text = text.expose();
    let mut digits = Zeroizing::new(String::with_capacity(text.len()));
    digits.extend(text.chars().filter(|c| !matches!(c, ' ' | '-')));
    match Pan::parse(&digits) {
        Ok(pan) if pan.passes_luhn() => pan.masked().as_str().to_owned(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use cvv2_resolver::{ContractNumber, Exid, ExidForm};

    use super::*;

    #[test]
    fn references_are_masked_by_length() {
        for (text, shown) in [
            ("99984100148297467162", "999841XXXXXXXXXX7162"),
            ("4111111111111111", "411111XXXXXX1111"),
            ("411111111111111", "XXXXXXXXXXX1111"),
            ("00148297", "XXXX8297"),
            ("0014829", "XXXXXXX"),
            ("1", "X"),
        ] {
            assert_eq!(masked(&ContractNumber::parse(text).unwrap().into()), shown);
            assert_eq!(masked(&Exid::parse(text, ExidForm::Any).unwrap().into()), shown);
        }
    }

    #[test]
    fn a_card_number_in_the_wrong_field_is_masked() {
        for (text, shown) in [
            ("4111111111111111", "411111XXXXXX1111"),
            ("4111 1111 1111 1111", "411111XXXXXX1111"),
            ("4111-1111-1111-1111", "411111XXXXXX1111"),
            ("4111111111111112", "4111111111111112"),
            ("223001", "223001"),
            ("a b", "a b"),
        ] {
            assert_eq!(without_pan(&text.to_owned().into()), shown);
        }
    }
}
