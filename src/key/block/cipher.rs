//! The block ciphers of key blocks in the modes that they are used in.
//!
//! Every function leaves a stack that was wiped: the ciphers keep round keys, and move them.

use aes::{Aes128, Aes192, Aes256};
use cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use cmac::block_api::CmacCipher;
use cmac::{Cmac, Mac};
use des::{Des, TdesEde2, TdesEde3};

use crate::residue;

/// More than the deepest of these functions uses, in debug builds too.
const STACK: usize = 32 << 10;

/// A block cipher with a key of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockCipher {
    Aes128,
    Aes192,
    Aes256,
    Des,
    Tdes2,
    Tdes3,
}

/// Runs an expression with the type of the cipher bound to a name.
macro_rules! with_cipher {
    ($cipher:expr, $name:ident => $body:expr) => {
        match $cipher {
            BlockCipher::Aes128 => {
                type $name = Aes128;
                $body
            }
            BlockCipher::Aes192 => {
                type $name = Aes192;
                $body
            }
            BlockCipher::Aes256 => {
                type $name = Aes256;
                $body
            }
            BlockCipher::Des => {
                type $name = Des;
                $body
            }
            BlockCipher::Tdes2 => {
                type $name = TdesEde2;
                $body
            }
            BlockCipher::Tdes3 => {
                type $name = TdesEde3;
                $body
            }
        }
    };
}

impl BlockCipher {
    /// The longest block.
    pub(super) const BLOCK_MAX: usize = 16;

    pub(super) fn key_len(self) -> usize {
        match self {
            Self::Des => 8,
            Self::Tdes2 | Self::Aes128 => 16,
            Self::Tdes3 | Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    pub(super) fn block_len(self) -> usize {
        match self {
            Self::Des | Self::Tdes2 | Self::Tdes3 => 8,
            Self::Aes128 | Self::Aes192 | Self::Aes256 => 16,
        }
    }

    /// Encrypts whole blocks in place, chained from `iv` (CBC).
    pub(super) fn encrypt(self, key: &[u8], iv: &[u8], data: &mut [u8]) {
        with_cipher!(self, C => encrypt::<C>(key, iv, data));
        residue::wipe::<STACK>();
    }

    /// Decrypts whole blocks in place, chained from `iv` (CBC).
    pub(super) fn decrypt(self, key: &[u8], iv: &[u8], data: &mut [u8]) {
        with_cipher!(self, C => decrypt::<C>(key, iv, data));
        residue::wipe::<STACK>();
    }

    /// The CMAC (NIST SP 800-38B) over the parts one after the other, whole or its first bytes.
    pub(super) fn cmac(self, key: &[u8], parts: &[&[u8]], mac: &mut [u8]) {
        with_cipher!(self, C => cmac::<C>(key, parts, mac));
        residue::wipe::<STACK>();
    }

    /// The CBC-MAC (ISO 9797-1, algorithm 1) over the parts, which are whole blocks; its first
    /// bytes.
    pub(super) fn cbc_mac(self, key: &[u8], parts: &[&[u8]], mac: &mut [u8]) {
        with_cipher!(self, C => cbc_mac::<C>(key, parts, mac));
        residue::wipe::<STACK>();
    }
}

const KEY_LEN: &str = "the key has the length of the cipher's";
const BLOCK_LEN: &str = "whole blocks";

#[inline(never)]
fn encrypt<C: BlockCipherEncrypt + KeyInit>(key: &[u8], iv: &[u8], data: &mut [u8]) {
    let cipher = C::new_from_slice(key).expect(KEY_LEN);
    let mut chained = Block::<C>::try_from(iv).expect(BLOCK_LEN);
    for block in data.chunks_mut(C::block_size()) {
        absorb(&cipher, &mut chained, block);
        block.copy_from_slice(&chained);
    }
}

#[inline(never)]
fn decrypt<C: BlockCipherDecrypt + KeyInit>(key: &[u8], iv: &[u8], data: &mut [u8]) {
    let cipher = C::new_from_slice(key).expect(KEY_LEN);
    let mut chained = Block::<C>::try_from(iv).expect(BLOCK_LEN);
    for block in data.chunks_mut(C::block_size()) {
        let encrypted = Block::<C>::try_from(&*block).expect(BLOCK_LEN);
        cipher.decrypt_block(block.try_into().expect(BLOCK_LEN));
        xor(block, &chained);
        chained = encrypted;
    }
}

#[inline(never)]
fn cmac<C: CmacCipher + KeyInit>(key: &[u8], parts: &[&[u8]], mac: &mut [u8]) {
    let mut state = <Cmac<C> as KeyInit>::new_from_slice(key).expect(KEY_LEN);
    for part in parts {
        state.update(part);
    }
    mac.copy_from_slice(&state.finalize().into_bytes()[..mac.len()]);
}

#[inline(never)]
fn cbc_mac<C: BlockCipherEncrypt + KeyInit>(key: &[u8], parts: &[&[u8]], mac: &mut [u8]) {
    let cipher = C::new_from_slice(key).expect(KEY_LEN);
    let mut chained = Block::<C>::default();
    for block in parts.iter().flat_map(|part| part.chunks(C::block_size())) {
        absorb(&cipher, &mut chained, block);
    }
    mac.copy_from_slice(&chained[..mac.len()]);
}

/// One step of chaining.
fn absorb<C: BlockCipherEncrypt>(cipher: &C, chained: &mut Block<C>, block: &[u8]) {
    xor(chained, block);
    cipher.encrypt_block(chained);
}

fn xor(block: &mut [u8], other: &[u8]) {
    for (byte, other) in block.iter_mut().zip(other) {
        *byte ^= other;
    }
}
