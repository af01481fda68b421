//! One pass of the bulk kernels: pack, four DES, decimalise, unpack.

pub(super) mod decimalize;
mod des;
mod key;
pub(super) mod pack;
#[rustfmt::skip]
pub(super) mod sbox_lut2;
#[rustfmt::skip]
pub(super) mod sbox_lut3;
mod word;

use core::hint::black_box;
use core::mem::MaybeUninit;

use self::decimalize::decimalize;
pub(super) use self::des::Halves;
use self::des::four_des;
pub(super) use self::key::BitsliceKey;
pub(super) use self::pack::Lanes;
pub(super) use self::word::{Lut3, Word};
use super::known::KnownAnswer;
use crate::card::{Cvv, PackedCard};

/// Computes one value of `SLOTS` digits per card; 1 to `W::CARDS - 1` cards.
///
/// The last lane, and every lane without a card, holds the known card. Returns 0 if all 64 bits of
/// the result in the last lane, and its digits, came out as they should; otherwise `out` must not
/// be used.
#[inline(always)]
pub(super) fn pass<W: Word, const SLOTS: usize>(
    isa: W::Isa,
    key: &BitsliceKey,
    known: &KnownAnswer,
    cards: &[PackedCard],
    out: &mut [Cvv],
) -> u32 {
    assert!(
        cards.len() < W::CARDS && cards.len() == out.len(),
        "a pass has room for {} cards",
        W::CARDS - 1
    );
    let mut blocks = MaybeUninit::uninit();
    let blocks = W::pack(isa, cards, known.card(), &mut blocks);
    // The planes live in memory: a register file holds a third of them at most.
    let blocks = black_box(blocks);
    four_des(isa, key, blocks);
    let wrong_result = difference_in_last(&mut blocks[0], known.block());
    let digits = decimalize::<W, SLOTS>(isa, &mut blocks[0]);
    let computed = W::unpack(isa, &digits, &mut blocks[1].left, out);
    let wrong_digits = computed ^ count::<SLOTS>() << 24 ^ known.leading(SLOTS);
    wrong_result | wrong_digits
}

/// The two halves of the result in the last lane, each XOR-ed with what it should be, OR-ed.
#[inline(always)]
fn difference_in_last<W: Word>(result: &mut Halves<W>, expected: u64) -> u32 {
    let mut difference = 0;
    for (half, expected) in [(expected >> 32) as u32, expected as u32].into_iter().enumerate() {
        let mut bits = 0;
        for place in 0..32 {
            bits = bits << 1 | u32::from(result.plane(4 * half + place / 8, place % 8).last());
        }
        difference |= bits ^ expected;
    }
    difference
}

/// `SLOTS` as it stands in the top byte of a value.
#[inline(always)]
pub(super) const fn count<const SLOTS: usize>() -> u32 {
    const { assert!(SLOTS > 0 && SLOTS <= 5, "a value has one to five digits") };
    SLOTS.to_le_bytes()[0] as u32
}
