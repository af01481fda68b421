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
/// The last lane, and every lane without a card, holds the known card. Returns 0 if the last lane came out as it should;
/// otherwise `out` must not be used.
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
    let mut blocks = [Halves::zero(isa); 2];
    // The planes live in memory: a register file holds a third of them at most.
    let blocks = black_box(&mut blocks);
    W::pack(isa, cards, known.card(), blocks);
    four_des(isa, key, blocks);
    let digits = decimalize::<W, SLOTS>(isa, &mut blocks[0]);
    let computed = W::unpack(isa, &digits, &mut blocks[1].left, out);
    computed ^ count::<SLOTS>() << 24 ^ known.leading(SLOTS)
}

/// `SLOTS` as it stands in the top byte of a value.
#[inline(always)]
pub(super) const fn count<const SLOTS: usize>() -> u32 {
    const { assert!(SLOTS > 0 && SLOTS <= 5, "a value has one to five digits") };
    SLOTS.to_le_bytes()[0] as u32
}
