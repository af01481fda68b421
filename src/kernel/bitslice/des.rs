//! The four DES of a card verification value, bitsliced: `X = E_A(b1) ^ b2`, then
//! `E_A(D_B(E_A(X)))`.
//!
//! In plane form the initial and final permutations, the expansion E and the permutation P move
//! nothing: they only say which plane is read or written. The final permutation of one DES cancels
//! against the initial permutation of the next, so the four DES run on the same 64 planes, and what
//! remains of a round is the S-boxes and the XORs.
//!
//! All cards of a pass share the key, so a round-key bit is a plane of all ones or all zeros, and
//! the key can be carried in the state: a plane of a half is stored XOR-ed with the key bit that
//! its *inner* use will meet next. (E hands every bit to one S-box as one of its four inner inputs,
//! and every second bit to a neighbour as an outer input too.) Then
//!
//! - the four inner inputs of an S-box are read as they are;
//! - the two outer inputs are XOR-ed with the difference between their key bit and the one they
//!   carry;
//! - updating a plane of the other half takes off its old key bit and puts on its next one: `new =
//!   old ^ f ^ difference`, one three-input XOR where there is one.
//!
//! Between two DES nothing is done for the key: the half that a DES reads last is the half that the
//! next one reads first, so it is read with the bits of the DES before still on it, and all six
//! inputs of an S-box take a difference in that one round. The differences are computed in
//! `key.rs`.

use core::hint::black_box;

use super::key::{BitsliceKey, BoxPlanes, DesPlanes, FirstBoxPlanes};
use super::word::Word;
use crate::card::PackedCard;
use crate::kernel::fips::P;

/// The planes of one block after the initial permutation.
#[derive(Clone, Copy)]
#[repr(C)]
pub(in crate::kernel) struct Halves<W> {
    pub(in crate::kernel) left: [W; 32],
    pub(in crate::kernel) right: [W; 32],
}

impl<W: Word> Halves<W> {
    /// All planes zero.
    #[inline(always)]
    pub(in crate::kernel) fn zero(isa: W::Isa) -> Self {
        let zero = W::splat(isa, 0);
        Self { left: [zero; 32], right: [zero; 32] }
    }

    /// Where the initial permutation puts bit `bit` (0 is the most significant) of byte `byte`.
    #[inline(always)]
    pub(in crate::kernel) fn plane(&mut self, byte: usize, bit: usize) -> &mut W {
        let (half, at) = Self::place(byte, bit);
        if half == 0 { &mut self.left[at] } else { &mut self.right[at] }
    }

    /// The same as a half, 0 the left one, and a number in it.
    ///
    /// FIPS 46-3, IP: even columns go to the left half, odd columns to the right, the last byte
    /// first.
    #[inline(always)]
    pub(in crate::kernel) const fn place(byte: usize, bit: usize) -> (usize, usize) {
        (1 - bit % 2, 8 * (bit / 2) + 7 - byte)
    }
}

/// Replaces the planes of `b1` in `blocks[0]` by those of `E_A(D_B(E_A(E_A(b1) ^ b2)))`, as if
/// still to be finally permuted: [`Halves::plane`] names the bits of the result.
#[inline(always)]
pub(in crate::kernel) fn four_des<W: Word>(
    isa: W::Isa,
    key: &BitsliceKey,
    blocks: &mut [Halves<W>; 2],
) {
    let [Halves { left, right }, second] = blocks;
    let (mut from, mut to) = (right, left);
    for (number, planes) in key.chain().into_iter().enumerate() {
        // One body for the four: unrolled, they crowd the instruction cache.
        let [from_now, to_now] = black_box([&mut *from, &mut *to]);
        encipher(isa, black_box(planes), from_now, to_now);
        if number == 0 {
            // The halves leave a DES swapped: the one read last is the right half of what comes
            // next.
            add_digits(from, &second.left);
            add_digits(to, &second.right);
        }
        core::mem::swap(&mut from, &mut to);
    }
    // The half read last still carries the key bits of its last round; by now it is `from`.
    for (plane, mask) in from.iter_mut().zip(key.end()) {
        *plane = plane.xor(W::splat(isa, *mask));
    }
}

/// XORs half of a second block to a half. The second block has ten digits at most, so that its last
/// three bytes are zero.
#[inline(always)]
fn add_digits<W: Word>(half: &mut [W; 32], digits: &[W; 32]) {
    for at in (0..32).filter(|at| 7 - at % 8 < SECOND_BYTES) {
        half[at] = half[at].xor(digits[at]);
    }
}

/// Sixteen rounds. `from` is the half read first, with the bits that `planes` knows of on it; `to`
/// enters bare. After them `to` has been read last, and carries the key bits of the last round;
/// `from` is bare.
#[inline(always)]
fn encipher<W: Word>(isa: W::Isa, planes: DesPlanes<'_>, from: &mut [W; 32], to: &mut [W; 32]) {
    even_round(isa, planes.first, from, to);
    odd_round(isa, planes.second, to, from);
    for pair in planes.others.as_chunks::<2>().0 {
        even_round(isa, &pair[0], from, to);
        odd_round(isa, &pair[1], to, from);
    }
}

// The order of the S-boxes is free, and it matters: a box cannot start before six boxes of the
// round before it have written their planes. In these two orders no box reads what one of the three
// boxes computed just before it wrote.

#[inline(always)]
fn even_round<W: Word, K: Inputs>(isa: W::Isa, key: &[K; 8], from: &[W; 32], to: &mut [W; 32]) {
    substitute::<W, K, 1>(isa, key, from, to);
    substitute::<W, K, 3>(isa, key, from, to);
    substitute::<W, K, 4>(isa, key, from, to);
    substitute::<W, K, 5>(isa, key, from, to);
    barrier();
    substitute::<W, K, 6>(isa, key, from, to);
    substitute::<W, K, 7>(isa, key, from, to);
    substitute::<W, K, 0>(isa, key, from, to);
    substitute::<W, K, 2>(isa, key, from, to);
    barrier();
}

#[inline(always)]
fn odd_round<W: Word, K: Inputs>(isa: W::Isa, key: &[K; 8], from: &[W; 32], to: &mut [W; 32]) {
    substitute::<W, K, 0>(isa, key, from, to);
    substitute::<W, K, 2>(isa, key, from, to);
    substitute::<W, K, 4>(isa, key, from, to);
    substitute::<W, K, 5>(isa, key, from, to);
    barrier();
    substitute::<W, K, 6>(isa, key, from, to);
    substitute::<W, K, 7>(isa, key, from, to);
    substitute::<W, K, 1>(isa, key, from, to);
    substitute::<W, K, 3>(isa, key, from, to);
    barrier();
}

/// For the compiler only: what follows starts from memory. Left alone, LLVM keeps the halves in
/// registers that do not exist and spills more than it saves.
#[inline(always)]
fn barrier() {
    black_box(());
}

/// One S-box: reads six planes, updates four.
#[inline(always)]
fn substitute<W: Word, K: Inputs, const BOX: usize>(
    isa: W::Isa,
    key: &[K; 8],
    from: &[W; 32],
    to: &mut [W; 32],
) {
    let key = &key[BOX];
    let [a, b, c, d] = W::sbox::<BOX>(key.read(isa, 4 * BOX, from));
    let masks = key.target();
    let [at_a, at_b, at_c, at_d] =
        [TARGET[4 * BOX], TARGET[4 * BOX + 1], TARGET[4 * BOX + 2], TARGET[4 * BOX + 3]];
    to[at_a] = a.update::<0>(isa, to[at_a], masks);
    to[at_b] = b.update::<1>(isa, to[at_b], masks);
    to[at_c] = c.update::<2>(isa, to[at_c], masks);
    to[at_d] = d.update::<3>(isa, to[at_d], masks);
}

/// The masks of one S-box in one round.
trait Inputs {
    /// The six inputs of the S-box whose inner inputs start at plane `inner`.
    fn read<W: Word>(&self, isa: W::Isa, inner: usize, from: &[W; 32]) -> [W; 6];
    /// The masks for the planes that take the outputs.
    fn target(&self) -> &[u32; 4];
}

impl Inputs for BoxPlanes {
    #[inline(always)]
    fn read<W: Word>(&self, isa: W::Isa, inner: usize, from: &[W; 32]) -> [W; 6] {
        [
            from[(inner + 31) % 32].xor(W::splat(isa, self.outer[0])),
            from[inner],
            from[inner + 1],
            from[inner + 2],
            from[inner + 3],
            from[(inner + 4) % 32].xor(W::splat(isa, self.outer[1])),
        ]
    }

    #[inline(always)]
    fn target(&self) -> &[u32; 4] {
        &self.target
    }
}

impl Inputs for FirstBoxPlanes {
    #[inline(always)]
    fn read<W: Word>(&self, isa: W::Isa, inner: usize, from: &[W; 32]) -> [W; 6] {
        let input =
            |number: usize| from[(inner + 31 + number) % 32].xor(W::splat(isa, self.input[number]));
        [input(0), input(1), input(2), input(3), input(4), input(5)]
    }

    #[inline(always)]
    fn target(&self) -> &[u32; 4] {
        &self.target
    }
}

/// Bytes of a second block that hold digits.
const SECOND_BYTES: usize = PackedCard::BYTES - 8;

/// Where S-box output bit `i` goes: the inverse of FIPS 46-3's P.
pub(in crate::kernel) const TARGET: [usize; 32] = {
    let mut target = [0; 32];
    let mut i = 0;
    while i < 32 {
        target[P[i] as usize - 1] = i;
        i += 1;
    }
    target
};
