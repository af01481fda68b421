//! What the tests and benches of the keyring have in common: keys, blocks and texts.
#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "only tests and benches use this")]

use cvv2::key::{Exportability, Kbpk, KbpkAlgorithm, KeyBlockHeader, KeyBlockVersion, ModeOfUse};
use cvv2::secret::Protection;
use cvv2::{CvkPair, ExpiryOrder, KcvMethod, KeyBlock, Policy};
use cvv2_keyring::{BinRange, CheckValue, Date, KeyEntry, Kind, State, Token};
use time::macros::date;

/// A KBPK of the tests.
pub(crate) fn kbpk() -> Kbpk {
    Kbpk::from_hex(KbpkAlgorithm::Aes256, &"0F1E2D3C".repeat(8), Protection::Wiped).unwrap()
}

/// Another one.
pub(crate) fn other_kbpk() -> Kbpk {
    Kbpk::from_hex(KbpkAlgorithm::Aes256, &"3C2D1E0F".repeat(8), Protection::Wiped).unwrap()
}

/// The CVK pair of this number.
pub(crate) fn cvk(number: u32) -> CvkPair {
    let mut state = u64::from(number) + 1;
    let key = [(); CvkPair::LEN].map(|()| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let byte = (state >> 56) as u8;
        byte ^ u8::from(byte.count_ones().is_multiple_of(2))
    });
    CvkPair::from_bytes(&key, ExpiryOrder::YyMm, Policy::Strict).unwrap()
}

/// Its key block under [`kbpk`].
pub(crate) fn block(number: u32, mode: ModeOfUse, kbpk: &Kbpk) -> KeyBlock {
    let header = KeyBlockHeader::cvk(KeyBlockVersion::D, mode, Exportability::Exportable);
    cvk(number).to_key_block(&header, kbpk, &[0x5A; CvkPair::KEY_BLOCK_PADDING_LEN]).unwrap()
}

/// Its check value.
pub(crate) fn kcv(number: u32) -> CheckValue {
    cvk(number).kcv(KcvMethod::TdesZeros).into()
}

/// An active key of this number for CVV2s of the BIN 412345, from the start of 2026.
pub(crate) fn entry(name: &str, number: u32, kbpk: &Kbpk) -> KeyEntry {
    KeyEntry {
        name: token(name),
        scheme: token("visa"),
        kinds: vec![Kind::Cvv2],
        bins: bins(&["412345"]),
        expiry_order: ExpiryOrder::YyMm,
        state: State::Active,
        from: date!(2026 - 01 - 01),
        until: None,
        cards_expiring_from: None,
        predecessor: None,
        kcv: kcv(number),
        block: block(number, ModeOfUse::GenerateAndVerify, kbpk),
    }
}

/// The text of a keyring with these keys, written apart from the crate.
pub(crate) fn text(entries: &[KeyEntry], kbpk: &Kbpk) -> String {
    let mut text = format!("format = 1\nkbpk_kcv = \"{}\"\n", kbpk.kcv());
    for entry in entries {
        text.push('\n');
        text.push_str(&table(entry));
    }
    text
}

fn table(entry: &KeyEntry) -> String {
    let list = |items: Vec<String>| items.join(", ");
    let optional = |name: &str, value: Option<String>| {
        value.map_or_else(String::new, |value| format!("{name} = {value}\n"))
    };
    [
        "[[key]]\n".to_owned(),
        format!("name = '{}'\n", entry.name),
        format!("scheme = '{}'\n", entry.scheme),
        format!("kinds = [{}]\n", list(entry.kinds.iter().map(|k| format!("'{k}'")).collect())),
        format!("bins = [{}]\n", list(entry.bins.iter().map(|b| format!("'{b}'")).collect())),
        format!("expiry_order = '{}'\n", entry.expiry_order.name()),
        format!("state = '{}'\n", entry.state),
        format!("from = {}\n", entry.from),
        optional("until", entry.until.map(|day| day.to_string())),
        optional("cards_expiring_from", entry.cards_expiring_from.map(|m| format!("'{m}'"))),
        optional("predecessor", entry.predecessor.as_ref().map(|name| format!("'{name}'"))),
        format!("kcv = '{}'\n", entry.kcv),
        format!("block = '{}'\n", entry.block),
    ]
    .concat()
}

pub(crate) fn token(text: &str) -> Token {
    Token::parse(text).unwrap()
}

pub(crate) fn bins(texts: &[&str]) -> Vec<BinRange> {
    texts.iter().map(|text| BinRange::parse(text).unwrap()).collect()
}

/// A day, some days after the start of 2026.
pub(crate) fn day(days: i64) -> Date {
    date!(2026 - 01 - 01) + time::Duration::days(days)
}
