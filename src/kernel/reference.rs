//! The calculation as the standard states it: short, obvious and slow.
//!
//! It is the oracle for every other kernel. RustCrypto's `des` looks its S-boxes up in tables, at
//! addresses that depend on key and card, so this kernel is for tests, key check values and
//! explanations.

use cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use des::Des;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::material::KeyMaterial;
use super::passes::BULK_STACK;
use crate::card::{Cvv, CvvLength, PackedCard};
use crate::residue;

/// Every intermediate value of one calculation; 8 bytes each, wiped when dropped.
#[derive(Default)]
pub(crate) struct Steps {
    /// Block 1: the first 16 digits.
    pub(crate) b1: [u8; 8],
    /// Block 2: the other digits, filled up with zeros.
    pub(crate) b2: [u8; 8],
    /// Block 1 encrypted under CVK A.
    pub(crate) encrypted_b1: [u8; 8],
    /// The former, exclusive-or block 2.
    pub(crate) chained: [u8; 8],
    /// The former, encrypted under CVK A.
    pub(crate) encrypted_a: [u8; 8],
    /// The former, decrypted under CVK B.
    pub(crate) decrypted_b: [u8; 8],
    /// The former, encrypted under CVK A: what is decimalised.
    pub(crate) result: [u8; 8],
}

impl Steps {
    /// Computes every step.
    pub(crate) fn of(key: &KeyMaterial, card: &PackedCard) -> Self {
        let cvk_a = Des::new(key.a().into());
        let cvk_b = Des::new(key.b().into());
        let mut steps = Self::default();

        steps.b1.copy_from_slice(&card.blocks()[..8]);
        steps.b2.copy_from_slice(&card.blocks()[8..]);
        cvk_a.encrypt_block_b2b((&steps.b1).into(), (&mut steps.encrypted_b1).into());
        for i in 0..8 {
            steps.chained[i] = steps.encrypted_b1[i] ^ steps.b2[i];
        }
        cvk_a.encrypt_block_b2b((&steps.chained).into(), (&mut steps.encrypted_a).into());
        cvk_b.decrypt_block_b2b((&steps.encrypted_a).into(), (&mut steps.decrypted_b).into());
        cvk_a.encrypt_block_b2b((&steps.decrypted_b).into(), (&mut steps.result).into());
        steps
    }

    /// The first `length` digits of the decimalised result.
    pub(crate) fn cvv(&self, length: CvvLength) -> Cvv {
        Cvv::from_digits(decimalize(&self.result).take(length.get()))
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        for step in [
            &mut self.b1,
            &mut self.b2,
            &mut self.encrypted_b1,
            &mut self.chained,
            &mut self.encrypted_a,
            &mut self.decrypted_b,
            &mut self.result,
        ] {
            step.zeroize();
        }
    }
}

/// Fills `out` with the values of `cards`, and computes the known-answer card beside them.
pub(super) fn generate(
    key: &KeyMaterial,
    cards: &[PackedCard],
    length: CvvLength,
    out: &mut [Cvv],
) -> bool {
    let proven = compute(key, cards, length, out);
    // RustCrypto's ciphers leave round keys where they were moved from.
    residue::wipe::<BULK_STACK>();
    proven
}

#[inline(never)]
fn compute(key: &KeyMaterial, cards: &[PackedCard], length: CvvLength, out: &mut [Cvv]) -> bool {
    for (card, cvv) in cards.iter().zip(out) {
        *cvv = Steps::of(key, card).cvv(length);
    }
    let known = Steps::of(key, key.known().card());
    known.result.ct_eq(&key.known().block().to_be_bytes()).into()
}

/// The decimalisation of `bytes`, in order, each digit 0 to 9.
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
            let bytes = super::super::tests::letters_at(pattern);
            let got: String = decimalize(&bytes).map(|d| char::from(b'0' + d)).collect();
            assert_eq!(got, twin(&hex::encode_upper(bytes)));
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
