//! Odd parity, and the halves that no live key may have.

use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroize;

use super::KeyError;
use crate::declassify::declassify;

/// The weak and semi-weak keys of DES with odd parity (NIST SP 800-67, section 3.3.2).
const WEAK: [[u8; 8]; 16] = [
    // Weak: encrypting twice gives the plaintext.
    0x0101_0101_0101_0101_u64.to_be_bytes(),
    0xFEFE_FEFE_FEFE_FEFE_u64.to_be_bytes(),
    0xE0E0_E0E0_F1F1_F1F1_u64.to_be_bytes(),
    0x1F1F_1F1F_0E0E_0E0E_u64.to_be_bytes(),
    // Semi-weak: six pairs, each key of which decrypts what the other encrypts.
    0x01FE_01FE_01FE_01FE_u64.to_be_bytes(),
    0xFE01_FE01_FE01_FE01_u64.to_be_bytes(),
    0x1FE0_1FE0_0EF1_0EF1_u64.to_be_bytes(),
    0xE01F_E01F_F10E_F10E_u64.to_be_bytes(),
    0x01E0_01E0_01F1_01F1_u64.to_be_bytes(),
    0xE001_E001_F101_F101_u64.to_be_bytes(),
    0x1FFE_1FFE_0EFE_0EFE_u64.to_be_bytes(),
    0xFE1F_FE1F_FE0E_FE0E_u64.to_be_bytes(),
    0x011F_011F_010E_010E_u64.to_be_bytes(),
    0x1F01_1F01_0E01_0E01_u64.to_be_bytes(),
    0xE0FE_E0FE_F1FE_F1FE_u64.to_be_bytes(),
    0xFEE0_FEE0_FEF1_FEF1_u64.to_be_bytes(),
];

/// Gives every byte an odd number of ones by its lowest bit, which DES ignores.
pub(crate) fn set_odd_parity(key: &mut [u8]) {
    for byte in key {
        *byte ^= even_parity(*byte);
    }
}

/// Refuses even parity, weak and semi-weak halves, and equal halves.
///
/// The last two are judged with parity set: RustCrypto's own weak-key test compares bytes as they
/// are, and so misses `0000000000000000`, the twin of the weak key `0101010101010101`.
/// Nothing is decided before everything was compared.
#[inline(never)] // What it leaves on its stack is wiped by the caller.
pub(super) fn refuse_bad_halves(a: &[u8; 8], b: &[u8; 8]) -> Result<(), KeyError> {
    let even: u32 = a.iter().chain(b).map(|byte| u32::from(even_parity(*byte))).sum();
    let [weak_a, weak_b] = [is_weak(a), is_weak(b)];
    let equal = equal_but_for_parity(a, b);

    if even > 0 {
        Err(KeyError::Parity { bytes: even })
    } else if declassify(weak_a) {
        Err(KeyError::Weak { half: 'A' })
    } else if declassify(weak_b) {
        Err(KeyError::Weak { half: 'B' })
    } else if declassify(equal) {
        Err(KeyError::EqualHalves)
    } else {
        Ok(())
    }
}

/// Whether two DES keys are the same key.
pub(super) fn equal_but_for_parity(a: &[u8; 8], b: &[u8; 8]) -> Choice {
    a.iter().zip(b).fold(Choice::from(1), |all, (x, y)| all & (x | 1).ct_eq(&(y | 1)))
}

/// Whether a DES key is weak or semi-weak.
pub(super) fn is_weak(half: &[u8; 8]) -> Choice {
    let mut normal = *half;
    set_odd_parity(&mut normal);
    let weak = WEAK.iter().fold(Choice::from(0), |any, weak| any | normal.ct_eq(weak));
    normal.zeroize();
    weak
}

/// 1 if the number of ones is even, by folding: no table and no branch.
fn even_parity(byte: u8) -> u8 {
    let folded = byte ^ (byte >> 4);
    let folded = folded ^ (folded >> 2);
    !(folded ^ (folded >> 1)) & 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [u8; 8] = [0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF];

    #[test]
    fn parity_of_every_byte() {
        for byte in 0..=u8::MAX {
            assert_eq!(even_parity(byte) == 1, byte.count_ones() % 2 == 0);
            let mut key = [byte];
            set_odd_parity(&mut key);
            assert_eq!((key[0].count_ones() % 2, key[0] >> 1), (1, byte >> 1));
        }
    }

    #[test]
    fn every_weak_key_and_every_parity_twin_of_it_is_weak() {
        for weak in WEAK {
            for twin in 0..=u8::MAX {
                let half = std::array::from_fn(|i| weak[i] ^ (twin >> i & 1));
                assert!(bool::from(is_weak(&half)), "{half:02X?}");
            }
        }
        assert!(!bool::from(is_weak(&GOOD)));
    }

    #[test]
    fn a_weak_key_is_its_own_inverse_and_a_semi_weak_pair_are_each_others() {
        use cipher::{BlockCipherEncrypt, KeyInit};
        let twice = |first: &[u8; 8], second: &[u8; 8]| {
            let mut block = [0x5A; 8].into();
            des::Des::new(first.into()).encrypt_block(&mut block);
            des::Des::new(second.into()).encrypt_block(&mut block);
            <[u8; 8]>::from(block)
        };
        for weak in &WEAK[..4] {
            assert_eq!(twice(weak, weak), [0x5A; 8]);
        }
        for pair in WEAK[4..].chunks(2) {
            assert_eq!(twice(&pair[0], &pair[1]), [0x5A; 8]);
        }
    }

    #[test]
    fn halves_that_differ_in_parity_only_are_equal() {
        let flipped = GOOD.map(|byte| byte ^ 1);
        let error = refuse_bad_halves(&GOOD, &flipped).unwrap_err();
        assert_eq!(error, KeyError::Parity { bytes: 8 }, "the typing error is named first");
        assert_eq!(refuse_bad_halves(&GOOD, &GOOD).unwrap_err(), KeyError::EqualHalves);
    }
}
