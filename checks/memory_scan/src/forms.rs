//! The forms in which a key may lie in memory.

use crate::aes;
use crate::masks;
use crate::schedule::{Round, rounds};

/// A key written in one form. Any `window` consecutive bytes of it count as found.
pub(crate) struct Encoding {
    pub(crate) form: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) window: usize,
}

/// A double-length key in every form but masks, those of its 32 round keys included.
pub(crate) fn encodings(key: &[u8; 16]) -> Vec<Encoding> {
    let text = |form, text: &str| Encoding { form, bytes: text.as_bytes().to_vec(), window: 12 };
    let binary = |form, bytes| Encoding { form, bytes, window: 8 };
    let [upper, lower] =
        [hex(key, "", |b| format!("{b:02X}")), hex(key, "", |b| format!("{b:02x}"))];
    let mut all = vec![
        binary("raw", key.to_vec()),
        binary("byte-swapped by 2", swapped(key, 2)),
        binary("byte-swapped by 4", swapped(key, 4)),
        binary("byte-swapped by 8", swapped(key, 8)),
        binary("byte-swapped by 16", swapped(key, 16)),
        Encoding { form: "nibbles", bytes: nibbles(key), window: 16 },
        text("hex, upper case", &upper),
        text("hex, lower case", &lower),
        text("hex, spaced", &hex(key, " ", |b| format!("{b:02X}"))),
        text("hex bytes of a debug print", &hex(key, ", ", |b| format!("{b:02X}"))),
        text("decimal bytes of a debug print", &hex(key, ", ", u8::to_string)),
    ];
    // Three alignments: a key need not be the start of what is encoded.
    for (form, skip) in [("base64", 0), ("base64, 1 byte on", 1), ("base64, 2 bytes on", 2)] {
        all.push(text(form, &base64(&key[skip..skip + 12])));
    }
    all.push(binary("inverted", key.iter().map(|byte| !byte).collect()));
    for round_key in aes::round_keys(key) {
        all.push(binary("AES round key", round_key.to_vec()));
        all.push(binary("AES round key, byte-swapped by 4", swapped(&round_key, 4)));
    }
    for half in key.chunks_exact(8) {
        let half = half.try_into().expect("8 bytes");
        all.extend(rounds(half).iter().flat_map(round_encodings));
    }
    all
}

/// What is planted for a search to find: a key in every form, masks included.
pub(crate) fn controls(key: &[u8; 16]) -> Vec<Vec<u8>> {
    let round_key = round_keys(key)[9];
    let spelled = masks::SIZES.map(|size| masks::spell(round_key, size));
    encodings(key).into_iter().map(|encoding| encoding.bytes).chain(spelled).collect()
}

/// The 32 round keys, 48 bits each, for the search for masks.
pub(crate) fn round_keys(key: &[u8; 16]) -> Vec<u64> {
    key.chunks_exact(8)
        .flat_map(|half| rounds(half.try_into().expect("8 bytes")))
        .map(|round| round.key)
        .collect()
}

/// The name of a form of masks, by the bytes of one mask.
pub(crate) fn mask_form(size: usize) -> &'static str {
    MASK_FORMS[masks::SIZES.iter().position(|known| *known == size).expect("a known size")]
}

fn round_encodings(round: &Round) -> Vec<Encoding> {
    let packed = round.key.to_be_bytes()[2..].to_vec();
    let halves = round.halves.to_be_bytes()[1..].to_vec();
    let six_bits = (0..8).map(|at| (round.key >> (42 - 6 * at)).to_le_bytes()[0] & 0x3F);
    let six_bits: Vec<_> = six_bits.collect();
    let words = |left: u64, right: u64| {
        [left, right].iter().flat_map(|half| half.to_le_bytes()[..4].to_vec()).collect::<Vec<_>>()
    };
    let reversed = |bytes: &[u8]| bytes.iter().rev().copied().collect::<Vec<_>>();
    let shifted = six_bits.iter().map(|bits| bits << 2).collect::<Vec<_>>();
    // As a number of 64 bits, whether at its top (RustCrypto's `des`) or its bottom, a round key is
    // its bytes in reverse beside two zeros.
    [
        ("round key, packed", packed.clone()),
        ("round key, in a u64", reversed(&packed)),
        ("round key, 6 bits a byte", six_bits.clone()),
        ("round key, 6 bits a byte, reversed", reversed(&six_bits)),
        ("round key, 6 bits at the top of a byte", shifted),
        ("round key, two u32", words(round.key >> 24, round.key & 0xFF_FFFF)),
        ("C and D, packed", halves.clone()),
        ("C and D, in a u64", reversed(&halves)),
        ("C and D, two u32", words(round.halves >> 28, round.halves & 0xFFF_FFFF)),
    ]
    .map(|(form, bytes)| Encoding { form, window: bytes.len(), bytes })
    .into()
}

fn swapped(key: &[u8], unit: usize) -> Vec<u8> {
    key.chunks(unit).flat_map(|unit| unit.iter().rev().copied()).collect()
}

fn nibbles(key: &[u8]) -> Vec<u8> {
    key.iter().flat_map(|byte| [byte >> 4, byte & 0xF]).collect()
}

fn hex(key: &[u8], between: &str, print: fn(&u8) -> String) -> String {
    key.iter().map(print).collect::<Vec<_>>().join(between)
}

/// Base64 of a whole number of groups, so without padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| u32::from_be_bytes([0, three[0], three[1], three[2]]);
    bytes
        .chunks_exact(3)
        .map(group)
        .flat_map(|bits| [18, 12, 6, 0].map(|by| ALPHABET[(bits >> by & 0x3F) as usize]))
        .map(char::from)
        .collect()
}

const MASK_FORMS: [&str; masks::SIZES.len()] = [
    "round key, masks of 1 byte",
    "round key, masks of 2 bytes",
    "round key, masks of 4 bytes",
    "round key, masks of 8 bytes",
    "round key, masks of 16 bytes",
    "round key, masks of 32 bytes",
    "round key, masks of 64 bytes",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_a_known_key() {
        let key = *b"\x01\x23\x45\x67\x89\xAB\xCD\xEF\xFE\xDC\xBA\x98\x76\x54\x32\x10";
        let texts: Vec<_> = encodings(&key)[6..14]
            .iter()
            .map(|encoding| String::from_utf8(encoding.bytes.clone()).unwrap())
            .collect();
        assert_eq!(texts[1], "0123456789abcdeffedcba9876543210");
        assert_eq!(texts[3][..14], *"01, 23, 45, 67");
        assert_eq!(texts[4][..15], *"1, 35, 69, 103,");
        assert_eq!(texts[5], "ASNFZ4mrze/+3LqY");
    }
}
