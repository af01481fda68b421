//! AVX2: one card at a time, its eight S-boxes side by side.
//!
//! A 128-bit lane holds two cards, the caller's and the known one, of eight bytes each: byte `t`
//! has the six bits that meet S-box `t`, at the positions of [`routes`](super::routes). AVX2 can
//! permute by 16-entry tables only, so an S-box is four of them, and a round is, for each of four
//! pairs of boxes (one box a 128-bit lane):
//!
//! 1. the box's six bits, copied to all eight bytes of their card;
//! 2. four look-ups of 16 entries each. A `vpshufb` gives zero where the index byte is negative, so
//!    the look-up with index − 16 q applies from entry 16 q on, and table `q` holds the difference
//!    between quarters `q` and `q − 1`;
//! 3. one AND. Since each byte has got a copy, a mask of one bit in each byte delivers every wire
//!    to its target: `P` and `E` cost no more than that, and the XOR of the eight boxes.
//!
//! The tables are public and the same for every key; no address depends on a card or a key.

use super::avx2::HasAvx2;
use super::decimalize::{decimal, leading};
use super::fips::{self, IP, RoundKeys};
use super::known::KnownAnswer;
use super::routes::{COLOUR, NONE, POSITION, WIRED, scattered};
use crate::card::{Cvv, PackedCard};
#[allow(clippy::wildcard_imports, reason = "their names tell where they come from")]
use core::arch::x86_64::*;
use zeroize::Zeroize;

/// A key pair as this kernel reads it: 256 bytes. Round keys in wire form, eight bytes a round, in
/// the order of use.
#[derive(Default)]
pub(super) struct RowKey {
    encrypt_a: [u64; 16],
    decrypt_b: [u64; 16],
}

impl Zeroize for RowKey {
    fn zeroize(&mut self) {
        self.encrypt_a.zeroize();
        self.decrypt_b.zeroize();
    }
}

impl RowKey {
    /// The exclusive-or of all words.
    #[inline(always)]
    pub(super) fn fold(&self) -> u64 {
        self.encrypt_a.iter().chain(&self.decrypt_b).fold(0, |all, word| all ^ word)
    }

    /// Fills `into` with the round keys of the pair `a`, `b`.
    pub(super) fn expand(into: &mut Self, a: &[u8; 8], b: &[u8; 8]) {
        let mut rounds = RoundKeys::default();
        fips::schedule(&mut rounds, a);
        for (wires, round) in into.encrypt_a.iter_mut().zip(&rounds) {
            *wires = wire_form(round);
        }
        fips::schedule(&mut rounds, b);
        for (wires, round) in into.decrypt_b.iter_mut().rev().zip(&rounds) {
            *wires = wire_form(round);
        }
        rounds.zeroize();
    }
}

fn wire_form(round: &[u8; 8]) -> u64 {
    let mut wires = 0;
    for (t, &bits) in round.iter().enumerate() {
        wires |= u64::from(scattered(t, bits)) << (8 * t);
    }
    wires
}

/// The CVVs of `cards`, one pass each, of `digits` (1–5) digits, into `out`. Not zero if the
/// known-answer card came out wrong in any pass: then nothing in `out` is to be used.
///
/// # Panics
/// If `out` is shorter than `cards`.
#[must_use]
pub(super) fn pass(
    _: HasAvx2,
    key: &RowKey,
    known: &KnownAnswer,
    digits: u32,
    cards: &[PackedCard],
    out: &mut [Cvv],
) -> u64 {
    // SAFETY: the witness.
    unsafe { entry(key, known, digits, cards, &mut out[..cards.len()]) }
}

#[inline(never)]
#[target_feature(enable = "avx2")]
fn entry(
    key: &RowKey,
    known: &KnownAnswer,
    digits: u32,
    cards: &[PackedCard],
    out: &mut [Cvv],
) -> u64 {
    let mut mismatch = 0;
    for (card, cvv) in cards.iter().zip(out) {
        let [block, known_block] = row(key, card, known.card());
        cvv.set_bits(leading(decimal(block), digits));
        mismatch |= known.mismatch(known_block, decimal(known_block));
    }
    mismatch
}

/// The output blocks of two cards.
#[inline(always)]
fn row(key: &RowKey, card: &PackedCard, known: &PackedCard) -> [u64; 2] {
    // SAFETY: inlined into an entry with AVX2.
    unsafe {
        let cards = _mm256_set_m128i(
            _mm_loadu_si128(known.blocks().as_ptr().cast()),
            _mm_loadu_si128(card.blocks().as_ptr().cast()),
        );
        // First blocks of both cards in both lanes, then second ones.
        let first = gather(_mm256_permute4x64_epi64::<0b10_00_10_00>(cards), &PACK);
        let second = gather(_mm256_permute4x64_epi64::<0b11_01_11_01>(cards), &PACK);
        let (mut left, mut right) = des(&key.encrypt_a, low_twice(first), high_twice(first));
        left = _mm256_xor_si256(left, low_twice(second));
        right = _mm256_xor_si256(right, high_twice(second));
        for rounds in [&key.encrypt_a, &key.decrypt_b, &key.encrypt_a] {
            (left, right) = des(rounds, left, right);
        }
        // Each card's L and R in a lane of its own.
        let low = _mm256_unpacklo_epi64(left, right);
        let high = _mm256_unpackhi_epi64(left, right);
        let blocks = gather(_mm256_blend_epi32::<0xF0>(low, high), &UNPACK);
        [
            _mm256_extract_epi64::<0>(blocks).cast_unsigned(),
            _mm256_extract_epi64::<2>(blocks).cast_unsigned(),
        ]
    }
}

/// Sixteen rounds and the final swap, on states without their initial and final permutations.
#[inline(always)]
unsafe fn des(keys: &[u64; 16], mut left: __m256i, mut right: __m256i) -> (__m256i, __m256i) {
    // SAFETY: the caller's.
    unsafe {
        let mut index = _mm256_xor_si256(right, _mm256_set1_epi64x(keys[0].cast_signed()));
        for i in 0..16 {
            // The next index without waiting for the next right half; after the last round it is of
            // no use.
            let next = _mm256_xor_si256(left, _mm256_set1_epi64x(keys[(i + 1) % 16].cast_signed()));
            let f = f(index);
            index = _mm256_xor_si256(next, f);
            (left, right) = (right, _mm256_xor_si256(left, f));
        }
        (right, left)
    }
}

/// `E(P(S(index)))`, the same in both lanes.
#[inline(always)]
unsafe fn f(index: __m256i) -> __m256i {
    // SAFETY: the caller's.
    unsafe {
        let mut sums = [_mm256_setzero_si256(); 4];
        for (p, sum) in sums.iter_mut().enumerate() {
            let box_index = _mm256_shuffle_epi8(index, load(&COPY[p]));
            let [first, others @ ..] = &QUARTERS[p];
            let mut found = _mm256_shuffle_epi8(load(first), box_index);
            for (q, quarter) in (1..).zip(others) {
                let past = _mm256_sub_epi8(box_index, _mm256_set1_epi8(16 * q));
                found = _mm256_xor_si256(found, _mm256_shuffle_epi8(load(quarter), past));
            }
            *sum = _mm256_and_si256(found, load(&WIRES[p]));
        }
        let sum = _mm256_xor_si256(
            _mm256_xor_si256(sums[0], sums[1]),
            _mm256_xor_si256(sums[2], sums[3]),
        );
        _mm256_xor_si256(sum, _mm256_permute2x128_si256::<1>(sum, sum))
    }
}

/// Single bits of `source`, brought together: bit `c` of every byte is the bit that `plan[c]`
/// names, within the lane.
#[inline(always)]
unsafe fn gather<const BITS: usize>(source: __m256i, plan: &[Pick; BITS]) -> __m256i {
    // SAFETY: the caller's.
    unsafe {
        let mut all = _mm256_setzero_si256();
        for (c, pick) in plan.iter().enumerate() {
            let bit = load(&pick.bit);
            let bytes = _mm256_and_si256(_mm256_shuffle_epi8(source, load(&pick.byte)), bit);
            let set = _mm256_cmpeq_epi8(bytes, bit);
            all = _mm256_or_si256(
                all,
                _mm256_and_si256(set, _mm256_set1_epi8((1u8 << c).cast_signed())),
            );
        }
        all
    }
}

#[inline(always)]
unsafe fn low_twice(v: __m256i) -> __m256i {
    // SAFETY: the caller's.
    unsafe { _mm256_permute2x128_si256::<0x00>(v, v) }
}

#[inline(always)]
unsafe fn high_twice(v: __m256i) -> __m256i {
    // SAFETY: the caller's.
    unsafe { _mm256_permute2x128_si256::<0x11>(v, v) }
}

#[inline(always)]
unsafe fn load(bytes: &Bytes) -> __m256i {
    // SAFETY: the caller's; the type is aligned.
    unsafe { _mm256_load_si256((&raw const *bytes).cast()) }
}

/// One register's content.
#[derive(Clone, Copy)]
#[repr(align(32))]
struct Bytes([u8; 32]);

/// For every byte: which byte of its lane, and which bit of that.
#[derive(Clone, Copy)]
struct Pick {
    byte: Bytes,
    bit: Bytes,
}

/// By pair of boxes: the box's index in every byte of its card.
static COPY: [Bytes; 4] = {
    let mut copy = [Bytes([0; 32]); 4];
    let mut i = 0;
    while i < 4 * 32 {
        let (p, lane, card) = (i / 32, i / 16 % 2, i / 8 % 2);
        copy[p].0[i % 32] = (8 * card + 2 * p + lane) as u8;
        i += 1;
    }
    copy
};

/// By pair of boxes and quarter: the difference from the quarter before.
static QUARTERS: [[Bytes; 4]; 4] = {
    let mut quarters = [[Bytes([0; 32]); 4]; 4];
    let mut i = 0;
    while i < 4 * 4 * 32 {
        let (p, q, lane, entry) = (i / 128, i / 32 % 4, i / 16 % 2, i % 16);
        let table = &WIRED[2 * p + lane];
        let before = if q == 0 { 0 } else { table[16 * (q - 1) + entry] };
        quarters[p][q].0[i % 32] = table[16 * q + entry] ^ before;
        i += 1;
    }
    quarters
};

/// By pair of boxes: the one wire, if any, from the box to each target.
static WIRES: [Bytes; 4] = {
    let mut wires = [Bytes([0; 32]); 4];
    let mut i = 0;
    while i < 4 * 32 {
        let colour = COLOUR[2 * (i / 32) + i / 16 % 2][i % 8];
        wires[i / 32].0[i % 32] = if colour == NONE { 0 } else { 1 << colour };
        i += 1;
    }
    wires
};

/// From blocks, one a card, to wires: of L in the low lane, of R in the high one.
static PACK: [Pick; 6] = {
    let mut plan = [Pick { byte: Bytes([0; 32]), bit: Bytes([0; 32]) }; 6];
    let mut i = 0;
    while i < 6 * 32 {
        let (e, at) = (i / 32, i % 32);
        let (half, card, t) = (at / 16, at / 8 % 2, at % 8);
        let bit = IP[32 * half + fips::E[6 * t + e] as usize - 1] - 1;
        let pick = &mut plan[POSITION[t][e] as usize];
        pick.byte.0[at] = 8 * card as u8 + bit / 8;
        pick.bit.0[at] = 0x80 >> (bit % 8);
        i += 1;
    }
    plan
};

/// From the wires of `R16` (low) and `L16` (high) to the block, its last byte first, of the card in
/// each lane.
static UNPACK: [Pick; 8] = {
    let mut plan = [Pick { byte: Bytes([0; 32]), bit: Bytes([0; 32]) }; 8];
    let mut i = 0;
    while i < 64 {
        // Bit i of L || R comes from one of a box's own bits, e = 1 … 4, and belongs to bit IP[i]
        // of the block.
        let (half, t, e) = (i / 32, i % 32 / 4, i % 4 + 1);
        let to = IP[i] as usize - 1;
        let mut lane = 0;
        while lane < 2 {
            let pick = &mut plan[7 - to % 8];
            let at = 16 * lane + 7 - to / 8;
            pick.byte.0[at] = (8 * half + t) as u8;
            pick.bit.0[at] = 1 << POSITION[t][e];
            lane += 1;
        }
        i += 1;
    }
    plan
};
