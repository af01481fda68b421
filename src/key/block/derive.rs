//! The keys that versions B and D derive of a protection key: one encrypts, one authenticates.
//!
//! Source: ANSI X9.143:2021, 7.2; NIST SP 800-108, CMAC in counter mode. What is derived depends on
//! the protection key alone, so a token that computes CMACs derives it and keeps the key.

use zeroize::Zeroize;

use super::kbpk::KbpkAlgorithm;

/// What a derived key is for.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Encryption,
    Authentication,
}

/// Derives the key for `purpose` into the start of `key` and wipes the rest of it.
///
/// `cmac` computes a CMAC under the protection key.
pub(super) fn derive<E>(
    algorithm: KbpkAlgorithm,
    purpose: Purpose,
    key: &mut [u8; 32],
    cmac: &mut impl FnMut(&[u8], &mut [u8]) -> Result<(), E>,
) -> Result<(), E> {
    let (key_len, block_len) = (algorithm.key_len(), algorithm.block_len());
    let blocks = key[..key_len.next_multiple_of(block_len)].chunks_mut(block_len);
    for (counter, block) in (1..).zip(blocks) {
        cmac(&input(algorithm, purpose, counter), block)?;
    }
    key[key_len..].zeroize();
    Ok(())
}

/// What is authenticated for one block of a derived key: counter, purpose, a zero, algorithm and
/// length.
fn input(algorithm: KbpkAlgorithm, purpose: Purpose, counter: u8) -> [u8; 8] {
    let purpose = match purpose {
        Purpose::Encryption => 0,
        Purpose::Authentication => 1,
    };
    let (algorithm, bits) = match algorithm {
        KbpkAlgorithm::TdesDouble => (0, 128_u16),
        KbpkAlgorithm::TdesTriple => (1, 192),
        KbpkAlgorithm::Aes128 => (2, 128),
        KbpkAlgorithm::Aes192 => (3, 192),
        KbpkAlgorithm::Aes256 => (4, 256),
    };
    let [bits_high, bits_low] = bits.to_be_bytes();
    [counter, 0, purpose, 0, 0, algorithm, bits_high, bits_low]
}
