//! The key schedule of AES-128, as plain as in the standard.
//!
//! # Source
//!
//! FIPS 197, sections 5.1.1 and 5.2.

/// The round keys but the first, which is the key itself.
pub(crate) fn round_keys(key: &[u8; 16]) -> Vec<[u8; 16]> {
    let (words, rest) = key.as_chunks::<4>();
    assert!(rest.is_empty());
    let mut words = words.to_vec();
    let mut round_constant = 1;
    for at in 4..44 {
        let mut word = words[at - 1];
        if at % 4 == 0 {
            word.rotate_left(1);
            word = word.map(substitute);
            word[0] ^= round_constant;
            round_constant = times(round_constant, 2);
        }
        words.push(std::array::from_fn(|i| words[at - 4][i] ^ word[i]));
    }
    words[4..].as_chunks::<4>().0.iter().map(|four| four.concat().try_into().expect("16")).collect()
}

/// The S-box: the inverse in the field, then an affine map of its bits.
fn substitute(byte: u8) -> u8 {
    let inverse = (0..=255).find(|other| times(byte, *other) == 1).unwrap_or(0);
    (0..5).fold(0x63, |sum, by| sum ^ inverse.rotate_left(by))
}

/// A product of polynomials over GF(2), modulo x⁸ + x⁴ + x³ + x + 1.
fn times(mut a: u8, b: u8) -> u8 {
    let mut product = 0;
    for bit in 0..8 {
        if b >> bit & 1 == 1 {
            product ^= a;
        }
        a = a << 1 ^ if a >> 7 == 1 { 0x1B } else { 0 };
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standards_example() {
        // FIPS 197, appendix A.1.
        let key = 0x2B7E_1516_28AE_D2A6_ABF7_1588_09CF_4F3C_u128.to_be_bytes();
        let keys: Vec<_> = round_keys(&key).into_iter().map(u128::from_be_bytes).collect();
        assert_eq!(keys.len(), 10);
        assert_eq!(keys[0], 0xA0FA_FE17_8854_2CB1_23A3_3939_2A6C_7605);
        assert_eq!(keys[9], 0xD014_F9A8_C9EE_2589_E13F_0CC8_B663_0CA6);
    }
}
