//! From the 64-bit result to decimal digits.

/// The first digits of the decimalisation of `bytes`, in order, each 0 to 9.
///
/// Two passes over the hexadecimal digits, left to right: the first takes every 0 to 9, the second
/// every A to F minus ten. Together they yield one digit for each nibble. About one card in 18,000
/// needs the second pass for its three digits.
///
/// # Source
///
/// IBM ICSF, "PVV generation algorithm" (the same two scans), and the Chinese bank-card standard's
/// "CVV" steps 7 to 10.
pub(crate) fn decimalize(bytes: &[u8]) -> impl Iterator<Item = u8> {
    let decimals = nibbles(bytes).filter(|n| *n < 10);
    let letters = nibbles(bytes).filter(|n| *n >= 10).map(|n| n - 10);
    decimals.chain(letters)
}

fn nibbles(bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xF])
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec::Vec;

    use super::*;

    /// The rule written on text instead of nibbles.
    fn twin(hex: &str) -> String {
        let digits = hex.chars().filter(char::is_ascii_digit);
        let letters = hex.chars().filter(char::is_ascii_alphabetic);
        digits.chain(letters.map(|c| char::from(c as u8 - b'A' + b'0'))).collect()
    }

    #[test]
    fn all_65536_patterns_of_letters_and_digits() {
        for pattern in 0..=u16::MAX {
            // Bit 15 - i set: digit i is a letter. Which letter or digit it is varies with both.
            let bytes: [u8; 8] = core::array::from_fn(|byte| {
                let nibble = |i: usize| {
                    let vary = usize::from(pattern >> 3) + 7 * i;
                    let letter = pattern >> (15 - i) & 1 == 1;
                    u8::try_from(if letter { 10 + vary % 6 } else { vary % 10 }).unwrap()
                };
                nibble(2 * byte) << 4 | nibble(2 * byte + 1)
            });
            let hex = hex::encode_upper(bytes);
            let got: String = decimalize(&bytes).map(|d| char::from(b'0' + d)).collect();
            assert_eq!(got, twin(&hex), "{hex}");
        }
    }

    #[test]
    fn every_nibble_becomes_exactly_one_digit() {
        for first in 0..=u8::MAX {
            let digits: Vec<_> = decimalize(&[first, 0xFF, 0x00]).collect();
            assert_eq!(digits.len(), 6);
            assert!(digits.iter().all(|d| *d < 10));
        }
    }
}
