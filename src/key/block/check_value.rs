//! The key check value that a header may state of its key: optional block `KC`.
//!
//! Source: ANSI X9.143:2021, 6.3.6.7. Two digits for the method (`00`: zeros encrypted, `01`: CMAC)
//! and two to three, or to five, bytes of the check value.

use zeroize::Zeroize;

use super::cipher::BlockCipher;
use super::error::KeyBlockError;
use super::field::KeyAlgorithm;
use super::header::KeyBlockHeader;
use super::optional::OptionalBlock;

/// Refuses a key whose check value is not the one that the header states, if it states one.
pub(super) fn confirm(header: &KeyBlockHeader, key: &[u8]) -> Result<(), KeyBlockError> {
    let Some(block) = header.optional_block(OptionalBlock::CHECK_VALUE) else { return Ok(()) };
    let cipher = cipher(header.algorithm(), key.len()).ok_or(KeyBlockError::CheckValue)?;
    let (method, digits) = block.data().split_at_checked(2).ok_or(KeyBlockError::CheckValue)?;

    let mut stated = [0; 5];
    let stated =
        base16ct::upper::decode(digits, &mut stated).map_err(|_| KeyBlockError::CheckValue)?;
    let zeros = [0; BlockCipher::BLOCK_MAX];
    let zeros = &zeros[..cipher.block_len()];
    let mut value = [0; BlockCipher::BLOCK_MAX];
    let value_block = &mut value[..cipher.block_len()];
    match (method, stated.len()) {
        ("00", 2..=3) => cipher.encrypt(key, zeros, value_block),
        ("01", 2..=5) => cipher.cmac(key, &[zeros], value_block),
        _ => return Err(KeyBlockError::CheckValue),
    }
    let same = value.starts_with(stated);
    value.zeroize();
    if same { Ok(()) } else { Err(KeyBlockError::CheckValue) }
}

/// The cipher of a key, if its check value is one.
fn cipher(algorithm: KeyAlgorithm, key_len: usize) -> Option<BlockCipher> {
    match (algorithm, key_len) {
        (KeyAlgorithm::Des | KeyAlgorithm::Tdes, 8) => Some(BlockCipher::Des),
        (KeyAlgorithm::Tdes, 16) => Some(BlockCipher::Tdes2),
        (KeyAlgorithm::Tdes, 24) => Some(BlockCipher::Tdes3),
        (KeyAlgorithm::Aes, 16) => Some(BlockCipher::Aes128),
        (KeyAlgorithm::Aes, 24) => Some(BlockCipher::Aes192),
        (KeyAlgorithm::Aes, 32) => Some(BlockCipher::Aes256),
        _ => None,
    }
}
