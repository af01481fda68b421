//! The cards of the throw-away store, by number, and requests for them.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// The bank of all cards.
pub(crate) const BANK: &str = "NIC";
/// The expiry of all cards, YYMM.
const EXPIRY: &str = "3012";

/// The BIN of a key's cards.
pub(crate) fn bin(key: u32) -> String {
    format!("{}", 400_000 + key)
}

/// Writes cards as `cvv2 cards import` reads them; they take turns with the keys.
pub(crate) fn write_csv(path: &Path, cards: u32, keys: u32) -> io::Result<()> {
    let mut csv = BufWriter::new(File::create(path)?);
    writeln!(csv, "bank,pan,expiry,exid")?;
    for card in 0..cards {
        let pan = with_luhn(format!("{}{card:09}", bin(card % keys)));
        writeln!(csv, "{BANK},{pan},{EXPIRY},{}", exid(card, keys))?;
    }
    csv.into_inner()?.sync_all()
}

/// The EXID of a card: BIN, system, number, check digit.
pub(crate) fn exid(card: u32, keys: u32) -> String {
    with_luhn(format!("{}001{card:010}", bin(card % keys)))
}

/// The body of a request, which the generator fills in.
pub(crate) fn body(exid: &str, msg_id: u32) -> String {
    format!(
        r#"{{"NISrvRequest":{{"request_get_cvv2":{{"header":{{"msg_id":"{msg_id:09}","msg_type":"TRANSACTION","msg_function":"REQ_GET_CVV2","src_application":"IVR","target_application":"WAY4","timestamp":"2020-07-20T10:49:02.366+04:00","tracking_id":"{msg_id:09}","bank_id":"{BANK}"}},"body":{{"card_identifier_id":"{exid}","card_identifier_type":"EXID","expiry_date":"{EXPIRY}"}}}}}}}}"#
    )
}

/// The digits and their check digit.
fn with_luhn(mut digits: String) -> String {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0');
            if place % 2 == 0 { 2 * digit / 10 + 2 * digit % 10 } else { digit }
        })
        .sum();
    digits.push(char::from(b'0' + u8::try_from((10 - sum % 10) % 10).expect("a digit")));
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_digit_is_luhn_s() {
        assert_eq!(with_luhn("9998410014829746716".to_owned()), "99984100148297467162");
        assert_eq!(exid(7, 1000).len(), 20);
    }
}
