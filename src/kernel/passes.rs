//! A call of any size as passes: bulk ones, then the rest by whichever is cheaper.

use subtle::ConstantTimeEq;

use super::material::KeyMaterial;
use crate::card::{Cvv, CvvLength, PackedCard};
use crate::declassify::declassify;
use crate::residue;

/// What a kernel is made of.
pub(super) trait Engine: Copy {
    /// Cards of a full bulk pass.
    const BULK: usize;
    /// Cards of a full small pass.
    const SMALL: usize;
    /// From how many cards on one bulk pass costs less than small ones.
    const BULK_FROM: usize;

    /// What has changed since the key was loaded in the form of it that bulk passes read; or zero.
    fn bulk_faults(self, key: &KeyMaterial) -> u64;

    /// The same for small passes.
    fn small_faults(self, key: &KeyMaterial) -> u64;

    /// One pass of 1 to [`BULK`](Self::BULK) cards, three digits each. Zero if the known answer
    /// came out right.
    fn bulk3(self, key: &KeyMaterial, cards: &[PackedCard], out: &mut [Cvv]) -> u64;

    /// As [`bulk3`](Self::bulk3), five digits each.
    fn bulk5(self, key: &KeyMaterial, cards: &[PackedCard], out: &mut [Cvv]) -> u64;

    /// One pass of 1 to [`SMALL`](Self::SMALL) cards, `digits` (1 to 5) digits each.
    fn small(self, key: &KeyMaterial, digits: u32, cards: &[PackedCard], out: &mut [Cvv]) -> u64;
}

/// Bytes of stack that small passes may use; wiping them takes some tens of nanoseconds a call.
const SMALL_STACK: usize = 4 << 10;
/// Bytes of stack that bulk passes may use; wiping them takes about a microsecond a call.
pub(super) const BULK_STACK: usize = 32 << 10;

/// Computes all cards, and whether every pass proved itself.
pub(super) fn run<E: Engine>(
    engine: E,
    key: &KeyMaterial,
    cards: &[PackedCard],
    length: CvvLength,
    out: &mut [Cvv],
) -> bool {
    let mismatch = passes(engine, key, cards, length, out);
    // Behind the passes lies what they left: planes, round keys in registers that were spilled.
    if cards.len() < E::BULK_FROM {
        residue::wipe::<SMALL_STACK>();
    } else {
        residue::wipe::<BULK_STACK>();
    }
    declassify(mismatch.ct_eq(&0))
}

#[inline(never)]
fn passes<E: Engine>(
    engine: E,
    key: &KeyMaterial,
    cards: &[PackedCard],
    length: CvvLength,
    out: &mut [Cvv],
) -> u64 {
    let mut mismatch = 0;
    // A call without cards proves the key all the same.
    if cards.is_empty() {
        let mut none = [Cvv::EMPTY];
        let cards = core::slice::from_ref(key.known().card());
        return engine.small(key, 1, cards, &mut none) | engine.small_faults(key);
    }
    let bulk = if cards.len() < E::BULK_FROM {
        0
    } else {
        let rest = cards.len() % E::BULK;
        if rest < E::BULK_FROM { cards.len() - rest } else { cards.len() }
    };
    let (bulk_cards, small_cards) = cards.split_at(bulk);
    let (bulk_out, small_out) = out.split_at_mut(bulk);
    for (cards, out) in bulk_cards.chunks(E::BULK).zip(bulk_out.chunks_mut(E::BULK)) {
        let computed = if length.get() <= 3 { 3 } else { 5 };
        mismatch |= match computed {
            3 => engine.bulk3(key, cards, out),
            _ => engine.bulk5(key, cards, out),
        };
        if computed != length.get() {
            for value in out {
                value.shorten(computed, length);
            }
        }
    }
    let digits = length.get() as u32;
    for (cards, out) in small_cards.chunks(E::SMALL).zip(small_out.chunks_mut(E::SMALL)) {
        mismatch |= engine.small(key, digits, cards, out);
    }
    if !bulk_cards.is_empty() {
        mismatch |= engine.bulk_faults(key);
    }
    if !small_cards.is_empty() {
        mismatch |= engine.small_faults(key);
    }
    mismatch
}
