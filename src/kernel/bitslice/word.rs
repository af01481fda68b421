//! What a bitsliced kernel needs from a machine word.
//!
//! A word is one *plane*: one bit of every card of a pass. A vector of 512 bits holds the same bit
//! of 512 cards, and one logic instruction computes one gate of the S-box circuits for all of them.
//! The kernels are written once over [`Word`]; each instruction set only says how its register does
//! these few operations.
//!
//! A [`Word::Isa`] is the proof that the instruction set is there: words are made only from an
//! `Isa`, so that a value of a word type proves it too, and every method can be safe.
//!
//! Everything below the entry points is `#[inline(always)]`. A vector intrinsic becomes one
//! instruction only inside a function compiled for its instruction set; left behind in a function
//! of its own, the same code is correct and fifty times slower.

use core::mem::MaybeUninit;

use super::des::Halves;
use super::sbox_lut2;
use crate::card::{Cvv, PackedCard};

/// A plane: one bit of each of [`Word::CARDS`] cards.
pub(in crate::kernel) trait Word: Copy {
    /// Proof that the instruction set is available.
    type Isa: Copy;

    /// Cards in a pass; the known-answer card is the last of them.
    const CARDS: usize;

    /// A plane equal in all cards, from a mask of all ones or all zeros.
    fn splat(isa: Self::Isa, mask: u32) -> Self;

    fn xor(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;

    /// `!self & other`.
    fn andn(self, other: Self) -> Self;

    /// The XOR of three; fastest if `self` is the last to be computed.
    #[inline(always)]
    fn xor3(self, b: Self, c: Self) -> Self {
        self.xor(b).xor(c)
    }

    /// `self ^ old ^ masks[BIT]`, each mask all ones or all zeros; fastest if `self` is the last to
    /// be computed.
    #[inline(always)]
    fn update<const BIT: usize>(self, isa: Self::Isa, old: Self, masks: &[u32; 4]) -> Self {
        self.xor3(old, Self::splat(isa, masks[BIT]))
    }

    /// `ones` where `self` is set, `zeros` elsewhere; fastest if `zeros` is the last to be
    /// computed.
    #[inline(always)]
    fn select(self, ones: Self, zeros: Self) -> Self {
        ones.xor(zeros).and(self).xor(zeros)
    }

    /// The bit of the last lane, 0 or 1.
    fn last(self) -> u8;

    /// S-box number `BOX` (from 0), some outputs complemented as [`sbox_lut2::INVERTED`] says.
    #[inline(always)]
    fn sbox<const BOX: usize>(input: [Self; 6]) -> [Self; 4] {
        match BOX {
            0 => sbox_lut2::s1(input),
            1 => sbox_lut2::s2(input),
            2 => sbox_lut2::s3(input),
            3 => sbox_lut2::s4(input),
            4 => sbox_lut2::s5(input),
            5 => sbox_lut2::s6(input),
            6 => sbox_lut2::s7(input),
            _ => sbox_lut2::s8(input),
        }
    }

    /// Transposes up to `CARDS` cards into the planes of their two blocks, after DES's initial
    /// permutation; lanes without a card get `filler`.
    fn pack<'a>(
        isa: Self::Isa,
        cards: &[PackedCard],
        filler: &PackedCard,
        blocks: &'a mut MaybeUninit<[Halves<Self>; 2]>,
    ) -> &'a mut [Halves<Self>; 2];

    /// Transposes digits (the first digit first, each most significant bit first) into one value
    /// per card of `out`, and returns the value of the last lane of the pass. `spare` is scratch.
    fn unpack<const SLOTS: usize>(
        isa: Self::Isa,
        digits: &[[Self; 4]; SLOTS],
        spare: &mut [Self; 32],
        out: &mut [Cvv],
    ) -> u32;
}

/// A word with an instruction for any function of three bits.
pub(in crate::kernel) trait Lut3: Word {
    /// Bit `a << 2 | b << 1 | c` of `TABLE`; fastest if `a` is the last to be computed.
    fn lut3<const TABLE: i32>(a: Self, b: Self, c: Self) -> Self;
}
