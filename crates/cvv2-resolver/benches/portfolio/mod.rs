//! Invented cards, any number of them, each made from its number.

use std::io::{self, Write};
use std::ops::Range;

use cvv2_resolver::{CardRef, ContractNumber};

/// The bank of all cards.
pub(crate) const BANK: &str = "NIC";

/// The PAN of a card: a test BIN, ten digits that no other card has, in an order that looks random.
pub(crate) fn pan(card: u64) -> String {
    format!("412345{:010}", scattered(card))
}

/// The EXID of a card, with its check digit.
pub(crate) fn exid(card: u64) -> String {
    let body = format!("999841001{:010}", scattered(card));
    let sum: u32 = body
        .bytes()
        .rev()
        .enumerate()
        .map(|(at, ascii)| {
            let digit = u32::from(ascii - b'0');
            if at % 2 == 1 { digit } else { digit * 2 / 10 + digit * 2 % 10 }
        })
        .sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

/// The contract number of a card: ten digits.
pub(crate) fn contract_number(card: u64) -> CardRef {
    ContractNumber::parse(&format!("{card:010}")).expect("ten digits").into()
}

/// Writes the cards with these numbers as CSV: bank, PAN, expiry, EXID and contract number.
///
/// # Errors
///
/// Whatever error writing has.
pub(crate) fn write_csv(into: &mut dyn Write, cards: Range<u64>) -> io::Result<()> {
    writeln!(into, "bank,exid,contract_number,pan,expiry,sequence,status")?;
    for card in cards {
        let (exid, pan) = (exid(card), pan(card));
        let (year, month) = (27 + card % 5, 1 + card % 12);
        writeln!(into, "{BANK},{exid},{card:010},{pan},{year:02}{month:02},1,active")?;
    }
    Ok(())
}

/// A bijection of the numbers below ten thousand million.
fn scattered(card: u64) -> u64 {
    // An odd factor that five does not divide: no two numbers have the same product.
    (card * 7_182_818_281 + 1) % 10_000_000_000
}

/// Numbers that look random (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// The next one.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }
}
