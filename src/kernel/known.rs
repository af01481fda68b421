//! The known-answer card, by which every pass proves itself.

use zeroize::Zeroize;

use super::decimalize::decimal;
use crate::card::PackedCard;

/// A card whose result under a key was computed when the key was loaded.
pub(crate) struct KnownAnswer {
    card: PackedCard,
    /// All 64 bits of the result, the first byte most significant.
    block: u64,
    /// All 16 digits of its decimalisation, the first digit most significant.
    digits: u64,
}

impl KnownAnswer {
    /// No key's answer, to be learnt once there is a key.
    pub(super) const fn unknown() -> Self {
        // No issuer's card. Neighbouring digits differ, so that a fault in any of them shows.
        let card =
            PackedCard::from_blocks(0x9876_5432_1098_7654_3210_9876_5400_0000_u128.to_be_bytes());
        Self { card, block: 0, digits: 0 }
    }

    /// Takes over what was computed for [`card`](Self::card) when the key was loaded.
    pub(super) fn learn(&mut self, block: u64) {
        self.block = block;
        self.digits = decimal(block);
    }

    #[cfg(test)]
    pub(super) fn answer(&self) -> [u64; 2] {
        [self.block, self.digits]
    }

    #[cfg(test)]
    pub(super) fn set_answer(&mut self, [block, digits]: [u64; 2]) {
        self.block = block;
        self.digits = digits;
    }

    /// Changes the answer if another kernel did not find it: no pass can come out right then.
    pub(super) fn spoil(&mut self, mismatch: u64) {
        self.block ^= mismatch;
        self.digits ^= mismatch.rotate_left(32);
    }

    /// The card; it is the same for every key.
    #[inline(always)]
    pub(super) fn card(&self) -> &PackedCard {
        &self.card
    }

    /// The 64 bits that the calculation ends in before they are decimalised.
    #[inline(always)]
    pub(super) fn block(&self) -> u64 {
        self.block
    }

    /// The first `count` digits, at most eight, as right-aligned BCD.
    #[inline(always)]
    pub(super) fn leading(&self, count: usize) -> u32 {
        (self.digits >> (64 - 4 * count)) as u32
    }

    /// Not zero where a pass found another block or other digits: all of the way is compared.
    #[inline(always)]
    pub(super) fn mismatch(&self, block: u64, digits: u64) -> u64 {
        (block ^ self.block) | (digits ^ self.digits)
    }
}

impl Zeroize for KnownAnswer {
    fn zeroize(&mut self) {
        self.block.zeroize();
        self.digits.zeroize();
    }
}
