//! What an audit record needs to know of a request.

use std::iter::repeat_n;

use cvv2::{Pan, Verdict};
use cvv2_keyring::CheckValue;
use cvv2_resolver::{BankId, CardRef};
use zeroize::Zeroizing;

use crate::card_key::CardKey;
use crate::cause::Cause;
use crate::envelope::{ErrorCode, Function, Request, Seen, Text};

/// How a request ended, in words that may be logged: no whole card reference is in it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// What was asked for.
    pub function: Function,
    /// What the caller was told.
    pub code: ErrorCode,
    /// The HTTP status that goes with it.
    pub http_status: u16,
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
    /// The card's name, if it was resolved and the service has a key for such names.
    pub card_key: Option<CardKey>,
    /// The check value of the CVK that computed; of several that verified, of the one in force.
    pub kcv: Option<CheckValue>,
    /// Whether a value was the card's, if that was asked.
    pub verdict: Option<Verdict>,
    /// Whether the source has used this `msg_id` before, as far as that was looked for.
    pub replayed: bool,
    /// How many members the contract does not know.
    pub unknown_fields: usize,
}

impl Outcome {
    /// What is known before the card is looked for: a success so far.
    pub(crate) fn new(function: Function, seen: &Seen<'_>, request: Option<&Request<'_>>) -> Self {
        let echo = seen.echo.as_ref();
        let bank_id = echo.and_then(|echo| echo.bank_id.as_ref());
        Self {
            function,
            code: ErrorCode::Success,
            http_status: ErrorCode::Success.http_status(),
            cause: None,
            msg_id: echo.and_then(|echo| echo.msg_id.as_ref()).map(without_pan),
            tracking_id: seen.tracking_id.as_ref().map(without_pan),
            bank: bank_id.and_then(|id| BankId::parse(id.expose()).ok()),
            card: request.map(|request| masked(&request.card)),
            card_key: None,
            kcv: None,
            verdict: None,
            replayed: false,
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
    // It is ASCII.
    let mut masked = String::with_capacity(text.len());
    masked.push_str(&text[..first]);
    masked.extend(repeat_n('X', text.len() - last - first));
    masked.push_str(&text[text.len() - last..]);
    masked
}

/// A field that is no place for a card number, in case somebody put one there: 12 to 19 digits that
/// pass the Luhn check are masked wherever they stand in it, and blanks and hyphens between them are
/// left out.
///
/// Digits side by side are one group. Every sequence of whole groups is tried, and what any of them
/// hides is hidden: a date before a card number, or groups that pass by chance, uncover nothing.
fn without_pan(text: &Text<'_>) -> String {
    let text = text.expose();
    let bytes = text.as_bytes();
    if bytes.iter().filter(|byte| byte.is_ascii_digit()).count() < Pan::LEN_MIN {
        return text.to_owned();
    }
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut fates = vec![Fate::Shown; bytes.len()];
    for start in 0..bytes.len() {
        if !is_digit(start) || start.checked_sub(1).is_some_and(is_digit) {
            continue;
        }
        let mut digits = Zeroizing::new(String::with_capacity(Pan::LEN_MAX));
        let mut places = Vec::with_capacity(Pan::LEN_MAX);
        for (at, &byte) in bytes.iter().enumerate().skip(start) {
            match byte {
                b' ' | b'-' => continue,
                b'0'..=b'9' if digits.len() < Pan::LEN_MAX => {}
                _ => break,
            }
            digits.push(char::from(byte));
            places.push(at);
            if !is_digit(at + 1) && Pan::parse(&digits).is_ok_and(|pan| pan.passes_luhn()) {
                mask(&mut fates, &places);
            }
        }
    }
    text.char_indices()
        .filter_map(|(at, c)| match fates[at] {
            Fate::Shown => Some(c),
            Fate::Hidden => Some('X'),
            Fate::LeftOut => None,
        })
        .collect()
}

/// What becomes of a byte of a text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Shown,
    Hidden,
    LeftOut,
}

/// Masks the PAN whose digits are at these places: the first six and the last four stay as they are.
fn mask(fates: &mut [Fate], places: &[usize]) {
    for pair in places.windows(2) {
        fates[pair[0] + 1..pair[1]].fill(Fate::LeftOut);
    }
    for &at in &places[6..places.len() - 4] {
        fates[at] = Fate::Hidden;
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
            ("", ""),
            ("PAN:4111111111111111", "PAN:411111XXXXXX1111"),
            ("card 4111 1111 1111 1111, née -", "card 411111XXXXXX1111, née -"),
            ("378282246310005/4111111111111111", "378282XXXXX0005/411111XXXXXX1111"),
            ("PAN:4111111111111112", "PAN:4111111111111112"),
            ("é4111-1111--1111 1111é", "é411111XXXXXX1111é"),
            // A date or an expiry beside it does not hide a card number from the search.
            ("2020-07-20 4111111111111111", "2020-07-20 411111XXXXXX1111"),
            ("4111111111111111 2701", "411111XXXXXX1111 2701"),
            // The last five groups pass by chance, so more is hidden than need be.
            ("4111 1111 1111 1111 27 01", "411111XXXXXXXXXX2701"),
            // More digits than a PAN has, as an EXID has.
            ("99984100148297467162", "99984100148297467162"),
            ("41111111111111111115", "41111111111111111115"),
        ] {
            assert_eq!(without_pan(&text.into()), shown);
        }
    }

    #[test]
    fn groups_that_pass_by_chance_uncover_no_card_number() {
        // With one of these digits the first four groups pass, which end amid the card number.
        for digit in 0..10 {
            let text = format!("1234 567{digit} 4111 1111 1111 1111");
            let shown = without_pan(&text.into());
            assert!(shown.ends_with("XXXXXX1111"), "{shown}");
        }
    }
}
