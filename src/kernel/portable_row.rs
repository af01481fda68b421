//! Any machine: one card at a time, its eight S-boxes side by side in a word.
//!
//! A word holds 32 bits of two cards, the caller's and the known one: bit `16 k + 2 t + c` is bit
//! `4 t + k + 1` of a half of card `c`. So the four bits of half that S-box `t` calls its own lie
//! in four *planes* of 16 bits, and a round is
//!
//! 1. `E`: input `e` of all boxes is a plane, or one moved by a box, copied to all four planes by a
//!    multiplication;
//! 2. the round key;
//! 3. the S-boxes: all 32 output bits of both cards are one polynomial over GF(2) in the six
//!    inputs, with a coefficient for each of 64 products in each bit of a word. Horner's rule takes
//!    63 ANDs and 63 XORs;
//! 4. `P`: rotations by a few distances, each under a mask. An S-box may deliver its outputs in any
//!    order ([`PLANES`]), and the best of them needs nine distances.
//!
//! No table is looked up at all.

use super::decimalize::{decimal, leading};
use super::fips::{self, P, RoundKeys};
use super::known::KnownAnswer;
use crate::card::{Cvv, PackedCard};
use core::hint::black_box;
use zeroize::Zeroize;

/// A key pair as this kernel reads it: 1.5 KiB. Each round's six inputs' key bits, in every plane
/// and for both cards.
#[derive(Default)]
pub(super) struct PortableKey {
    encrypt_a: [[u64; 6]; 16],
    decrypt_b: [[u64; 6]; 16],
}

impl Zeroize for PortableKey {
    fn zeroize(&mut self) {
        self.encrypt_a.as_flattened_mut().zeroize();
        self.decrypt_b.as_flattened_mut().zeroize();
    }
}

impl PortableKey {
    /// The exclusive-or of all words.
    #[inline(always)]
    pub(super) fn fold(&self) -> u64 {
        let words = self.encrypt_a.as_flattened().iter().chain(self.decrypt_b.as_flattened());
        words.fold(0, |all, word| all ^ word)
    }

    /// Fills `into` with the round keys of the pair `a`, `b`.
    pub(super) fn expand(into: &mut Self, a: &[u8; 8], b: &[u8; 8]) {
        let mut rounds = RoundKeys::default();
        fips::schedule(&mut rounds, a);
        for (words, round) in into.encrypt_a.iter_mut().zip(&rounds) {
            spread(words, round);
        }
        fips::schedule(&mut rounds, b);
        for (words, round) in into.decrypt_b.iter_mut().rev().zip(&rounds) {
            spread(words, round);
        }
        rounds.zeroize();
    }
}

fn spread(words: &mut [u64; 6], round: &[u8; 8]) {
    for (e, word) in words.iter_mut().enumerate() {
        let mut plane = 0;
        for (t, &bits) in round.iter().enumerate() {
            plane |= u64::from(bits >> (5 - e) & 1) << (2 * t);
        }
        *word = plane.wrapping_mul(3 * IN_EVERY_PLANE);
    }
}

/// The CVVs of `cards`, one pass each, of `digits` (1–5) digits, into `out`. Not zero if the
/// known-answer card came out wrong in any pass: then nothing in `out` is to be used.
///
/// # Panics
/// If `out` is shorter than `cards`.
#[must_use]
#[inline(never)]
pub(super) fn pass(
    key: &PortableKey,
    known: &KnownAnswer,
    digits: u32,
    cards: &[PackedCard],
    out: &mut [Cvv],
) -> u64 {
    let out = &mut out[..cards.len()];
    let mut mismatch = 0;
    for (card, cvv) in cards.iter().zip(out) {
        let [block, known_block] = row(key, card, known.card());
        cvv.set_bits(leading(decimal(block), digits));
        mismatch |= known.mismatch(known_block, decimal(known_block));
    }
    mismatch
}

/// The output block of one card.
#[inline(never)]
pub(super) fn block(key: &PortableKey, card: &PackedCard) -> u64 {
    row(key, card, card)[0]
}

/// The output blocks of two cards.
#[inline(always)]
fn row(key: &PortableKey, card: &PackedCard, known: &PackedCard) -> [u64; 2] {
    // Otherwise the compiler writes the coefficients into the code, ten bytes each.
    let boxes = black_box(&COEFFICIENTS);
    let (left, right) = pack(half(card, 0), half(known, 0));
    let (mut left, mut right) = des(boxes, &key.encrypt_a, left, right);
    let (second_left, second_right) = pack(half(card, 8), half(known, 8));
    left ^= second_left;
    right ^= second_right;
    for rounds in [&key.encrypt_a, &key.decrypt_b, &key.encrypt_a] {
        (left, right) = des(boxes, rounds, left, right);
    }
    unpack(left, right)
}

#[inline(always)]
fn half(card: &PackedCard, at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&card.blocks()[at..at + 8]);
    u64::from_le_bytes(bytes)
}

/// Sixteen rounds and the final swap.
#[inline(always)]
fn des(boxes: &[u64; 64], keys: &[[u64; 6]; 16], mut left: u64, mut right: u64) -> (u64, u64) {
    for key in keys {
        (left, right) = (right, left ^ f(boxes, key, right));
    }
    (right, left)
}

/// `P(S(E(right) ^ key))`.
#[inline(always)]
fn f(boxes: &[u64; 64], key: &[u64; 6], right: u64) -> u64 {
    let plane = |k: u32| (right >> (16 * k)) as u16;
    let planes =
        [plane(3).rotate_left(2), plane(0), plane(1), plane(2), plane(3), plane(0).rotate_right(2)];
    let mut inputs = *key;
    for (input, plane) in inputs.iter_mut().zip(planes) {
        *input ^= u64::from(plane).wrapping_mul(IN_EVERY_PLANE);
    }
    let outputs = six(&inputs, boxes);
    let mut permuted = 0;
    for &(distance, mask) in &ROUTES {
        permuted ^= outputs.rotate_left(distance) & mask;
    }
    permuted
}

/// One level of Horner's rule: the polynomial in `$n` variables from two in `$n - 1`.
macro_rules! horner {
    ($name:ident, $n:literal, $below:ident) => {
        #[inline(always)]
        fn $name(x: &[u64; 6], a: &[u64]) -> u64 {
            let (without, with) = a.split_at(1 << ($n - 1));
            $below(x, without) ^ x[$n - 1] & $below(x, with)
        }
    };
}
horner!(five, 5, four);
horner!(four, 4, three);
horner!(three, 3, two);
horner!(two, 2, one);
horner!(one, 1, constant);

#[inline(always)]
fn constant(_: &[u64; 6], a: &[u64]) -> u64 {
    a[0]
}

#[inline(always)]
fn six(x: &[u64; 6], a: &[u64; 64]) -> u64 {
    let (without, with) = a.split_at(32);
    five(x, without) ^ x[5] & five(x, with)
}

/// The halves of two blocks, given as little-endian words, after the initial permutation.
///
/// `IP` moves bits by permuting the bits of their *numbers*. Read backwards, bit `32 q2 + 16 q1 + 8
/// q0 + 4 r1 + 2 r0 + h` of a block is bit `8 r + q + 1` of R (h = 0) or L (h = 1); the kernel
/// wants it in bit `32 q1 + 16 q0 + 8 r1 + 4 r0 + 2 q2 + c`.
#[inline(always)]
fn pack(card: u64, known: u64) -> (u64, u64) {
    let (card, known) = (card.reverse_bits(), known.reverse_bits());
    let right = card & EVEN | (known & EVEN) << 1;
    let left = card >> 1 & EVEN | known & !EVEN;
    (inward(left), inward(right))
}

/// The blocks that end with `R16`, `L16`: the inverse of [`pack`], first byte most significant.
#[inline(always)]
fn unpack(left: u64, right: u64) -> [u64; 2] {
    let (left, right) = (outward(left), outward(right));
    [right & EVEN | (left & EVEN) << 1, right >> 1 & EVEN | left & !EVEN]
        .map(|block| block.reverse_bits().swap_bytes())
}

/// `q2 q1 q0 r1 r0 c` to `q1 q0 r1 r0 q2 c`: a perfect shuffle of pairs, in four exchanges of
/// neighbours.
#[inline(always)]
fn inward(x: u64) -> u64 {
    let x = exchange(x, 16, 0x0000_FFFF_0000_0000 >> 16);
    let x = exchange(x, 8, 0x00FF_0000_00FF_0000 >> 8);
    let x = exchange(x, 4, 0x0F00_0F00_0F00_0F00 >> 4);
    exchange(x, 2, 0x3030_3030_3030_3030 >> 2)
}

/// The inverse of [`inward`].
#[inline(always)]
fn outward(x: u64) -> u64 {
    let x = exchange(x, 2, 0x3030_3030_3030_3030 >> 2);
    let x = exchange(x, 4, 0x0F00_0F00_0F00_0F00 >> 4);
    let x = exchange(x, 8, 0x00FF_0000_00FF_0000 >> 8);
    exchange(x, 16, 0x0000_FFFF_0000_0000 >> 16)
}

/// Exchanges the bits at `mask` with those `distance` above.
#[inline(always)]
fn exchange(x: u64, distance: u32, mask: u64) -> u64 {
    let moved = (x ^ x >> distance) & mask;
    x ^ moved ^ moved << distance
}

/// Bits of the caller's card.
const EVEN: u64 = 0x5555_5555_5555_5555;
/// One in each of four planes.
const IN_EVERY_PLANE: u64 = 0x0001_0001_0001_0001;

/// `PLANES[s][i]`: the plane in which S-box `s` delivers its output bit `i`. Of all 24⁸ orders
/// these need fewest distances.
const PLANES: [[usize; 4]; 8] = [
    [0, 1, 3, 2],
    [1, 0, 3, 2],
    [0, 1, 2, 3],
    [2, 1, 3, 0],
    [3, 0, 1, 2],
    [3, 0, 2, 1],
    [1, 3, 0, 2],
    [0, 1, 2, 3],
];

/// The coefficients of the products of inputs: bit `e` of an index stands for input `e`.
static COEFFICIENTS: [u64; 64] = {
    let mut a = [0; 64];
    let mut s = 0;
    while s < 8 {
        let mut i = 0;
        while i < 4 {
            let at = 16 * PLANES[s][i] + 2 * s;
            let mut product = 0usize;
            while product < 64 {
                // The coefficient is the sum of the values at all inputs within the product.
                let mut sum = 0;
                let mut input = 0usize;
                while input < 64 {
                    if input & !product == 0 {
                        // The standard's first input is its most significant.
                        let value = fips::sbox(s, input.reverse_bits() >> (usize::BITS - 6));
                        sum ^= (value >> (3 - i) & 1) as u64;
                    }
                    input += 1;
                }
                a[product] |= (sum * 3) << at;
                product += 1;
            }
            i += 1;
        }
        s += 1;
    }
    a
};

/// `P`: what to rotate to the left by how much, and which bits arrive.
const ROUTES: [(u32, u64); 9] = {
    let mut routes = [(u32::MAX, 0); 9];
    let mut bit = 0;
    while bit < 32 {
        let from = P[bit] as usize - 1;
        let from = 16 * PLANES[from / 4][from % 4] + 2 * (from / 4);
        let to = 16 * (bit % 4) + 2 * (bit / 4);
        let distance = ((64 + to - from) % 64) as u32;
        let mut r = 0;
        while routes[r].0 != distance && routes[r].0 != u32::MAX {
            r += 1;
        }
        routes[r].0 = distance;
        routes[r].1 |= 3 << to;
        bit += 1;
    }
    routes
};
