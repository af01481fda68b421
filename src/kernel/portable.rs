//! Portable: 64 cards a pass in 64-bit words.

use core::mem::MaybeUninit;

use super::bitslice::{self, BitsliceKey, Halves, Word, count};
use super::known::KnownAnswer;
use super::material::KeyMaterial;
use super::passes::Engine;
use super::portable_row;
use crate::card::{Cvv, PackedCard};

/// One pass of up to 63 cards, three digits: 0 if the known answer came out right.
#[inline(never)]
#[must_use]
pub(super) fn pass3(
    key: &BitsliceKey,
    known: &KnownAnswer,
    cards: &[PackedCard],
    out: &mut [Cvv],
) -> u32 {
    bitslice::pass::<u64, 3>((), key, known, cards, out)
}

/// As [`pass3`], five digits.
#[inline(never)]
#[must_use]
pub(super) fn pass5(
    key: &BitsliceKey,
    known: &KnownAnswer,
    cards: &[PackedCard],
    out: &mut [Cvv],
) -> u32 {
    bitslice::pass::<u64, 5>((), key, known, cards, out)
}

/// The kernel that every machine can run.
#[derive(Clone, Copy)]
pub(super) struct Portable;

impl Engine for Portable {
    const BULK: usize = 63;
    const SMALL: usize = 1;
    const BULK_FROM: usize = 6;

    fn bulk_faults(self, key: &KeyMaterial) -> u64 {
        key.bitslice_faults()
    }

    fn small_faults(self, key: &KeyMaterial) -> u64 {
        key.portable_faults()
    }

    fn bulk3(self, key: &KeyMaterial, cards: &[PackedCard], out: &mut [Cvv]) -> u64 {
        u64::from(pass3(key.bitslice(), key.known(), cards, out))
    }

    fn bulk5(self, key: &KeyMaterial, cards: &[PackedCard], out: &mut [Cvv]) -> u64 {
        u64::from(pass5(key.bitslice(), key.known(), cards, out))
    }

    fn small(self, key: &KeyMaterial, digits: u32, cards: &[PackedCard], out: &mut [Cvv]) -> u64 {
        portable_row::pass(key.portable(), key.known(), digits, cards, out)
    }
}

impl Word for u64 {
    type Isa = ();
    const CARDS: usize = 64;

    #[inline(always)]
    fn splat((): (), mask: u32) -> Self {
        i64::from(mask.cast_signed()).cast_unsigned()
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        self ^ other
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        self & other
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        self | other
    }

    #[inline(always)]
    fn andn(self, other: Self) -> Self {
        !self & other
    }

    #[inline(always)]
    fn last(self) -> u8 {
        self.to_le_bytes()[7] >> 7
    }

    #[inline(always)]
    fn pack<'a>(
        (): (),
        cards: &[PackedCard],
        filler: &PackedCard,
        blocks: &'a mut MaybeUninit<[Halves<Self>; 2]>,
    ) -> &'a mut [Halves<Self>; 2] {
        let blocks = blocks.write([Halves::zero(()); 2]);
        let mut rows = [[0; 64]; 2];
        let [first_rows, second_rows] = &mut rows;
        for (lane, (first_row, second_row)) in first_rows.iter_mut().zip(second_rows).enumerate() {
            let (first, second) = cards.get(lane).unwrap_or(filler).blocks().split_at(8);
            *first_row = u64::from_be_bytes(first.try_into().expect("a block is eight bytes"));
            *second_row = u64::from_be_bytes(second.try_into().expect("a block is eight bytes"));
        }
        for (rows, block) in rows.iter_mut().zip(blocks.iter_mut()) {
            transpose(rows);
            for (number, row) in rows.iter().rev().enumerate() {
                *block.plane(number / 8, number % 8) = *row;
            }
        }
        blocks
    }

    #[inline(always)]
    fn unpack<const SLOTS: usize>(
        (): (),
        digits: &[[Self; 4]; SLOTS],
        _: &mut [Self; 32],
        out: &mut [Cvv],
    ) -> u32 {
        let mut rows = [0; 64];
        for (row, plane) in rows.iter_mut().zip(digits.as_flattened().iter().rev()) {
            *row = *plane;
        }
        transpose(&mut rows);
        let value = |row: u64| (row & 0xffff_ffff) as u32 | count::<SLOTS>() << 24;
        for (value_out, row) in out.iter_mut().zip(rows) {
            value_out.set_bits(value(row));
        }
        value(rows[63])
    }
}

/// Transposes a matrix of 64 by 64 bits, the least significant bit first: six times, exchanges one
/// bit of the row number with the same bit of the column number.
#[inline(always)]
fn transpose(rows: &mut [u64; 64]) {
    exchange::<32>(rows, 0x0000_0000_ffff_ffff);
    exchange::<16>(rows, 0x0000_ffff_0000_ffff);
    exchange::<8>(rows, 0x00ff_00ff_00ff_00ff);
    exchange::<4>(rows, 0x0f0f_0f0f_0f0f_0f0f);
    exchange::<2>(rows, 0x3333_3333_3333_3333);
    exchange::<1>(rows, 0x5555_5555_5555_5555);
}

#[inline(always)]
fn exchange<const BY: usize>(rows: &mut [u64; 64], mask: u64) {
    for pair in rows.chunks_exact_mut(2 * BY) {
        let (low, high) = pair.split_at_mut(BY);
        for (low, high) in low.iter_mut().zip(high) {
            let moved = (*low >> BY ^ *high) & mask;
            *low ^= moved << BY;
            *high ^= moved;
        }
    }
}
