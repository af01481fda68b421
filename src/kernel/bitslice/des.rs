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
//! A half enters and leaves a DES bare when it is the one that is not read first, so the seams
//! between two DES touch only the other half. The differences are computed in `key.rs`.

use core::hint::black_box;

use super::key::{BitsliceKey, RoundPlanes};
use super::word::Word;
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
    whiten(isa, right, &key.start);
    encipher(isa, key.a(), right, left);
    // The halves leave a DES swapped: the one read last is the right half of what comes next.
    for (plane, other) in right.iter_mut().zip(&second.left) {
        *plane = plane.xor(*other);
    }
    for ((plane, other), mask) in left.iter_mut().zip(&second.right).zip(&key.a_to_a) {
        *plane = plane.xor3(*other, W::splat(isa, *mask));
    }
    encipher(isa, key.a(), left, right);
    whiten(isa, right, &key.a_to_b);
    encipher(isa, key.b(), right, left);
    whiten(isa, left, &key.b_to_a);
    encipher(isa, key.a(), left, right);
    whiten(isa, right, &key.end);
}

/// Sixteen rounds. `from` is the half read first and enters with the key bits of the first round on
/// it; `to` enters bare. After them `to` has been read last, and carries the key bits of the last
/// round; `from` is bare.
#[inline(always)]
fn encipher<W: Word>(
    isa: W::Isa,
    rounds: &[RoundPlanes; 16],
    from: &mut [W; 32],
    to: &mut [W; 32],
) {
    for pair in rounds.as_chunks::<2>().0 {
        even_round(isa, &pair[0], from, to);
        odd_round(isa, &pair[1], to, from);
    }
}

// The order of the S-boxes is free, and it matters: a box cannot start before six boxes of the
// round before it have written their planes. In these two orders no box reads what one of the three
// boxes computed just before it wrote.

#[inline(always)]
fn even_round<W: Word>(isa: W::Isa, key: &RoundPlanes, from: &[W; 32], to: &mut [W; 32]) {
    substitute::<W, 1>(isa, key, from, to);
    substitute::<W, 3>(isa, key, from, to);
    substitute::<W, 4>(isa, key, from, to);
    substitute::<W, 5>(isa, key, from, to);
    barrier();
    substitute::<W, 6>(isa, key, from, to);
    substitute::<W, 7>(isa, key, from, to);
    substitute::<W, 0>(isa, key, from, to);
    substitute::<W, 2>(isa, key, from, to);
    barrier();
}

#[inline(always)]
fn odd_round<W: Word>(isa: W::Isa, key: &RoundPlanes, from: &[W; 32], to: &mut [W; 32]) {
    substitute::<W, 0>(isa, key, from, to);
    substitute::<W, 2>(isa, key, from, to);
    substitute::<W, 4>(isa, key, from, to);
    substitute::<W, 5>(isa, key, from, to);
    barrier();
    substitute::<W, 6>(isa, key, from, to);
    substitute::<W, 7>(isa, key, from, to);
    substitute::<W, 1>(isa, key, from, to);
    substitute::<W, 3>(isa, key, from, to);
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
fn substitute<W: Word, const BOX: usize>(
    isa: W::Isa,
    key: &RoundPlanes,
    from: &[W; 32],
    to: &mut [W; 32],
) {
    let key = &key[BOX];
    let inner = 4 * BOX;
    let input = [
        from[(inner + 31) % 32].xor(W::splat(isa, key.outer[0])),
        from[inner],
        from[inner + 1],
        from[inner + 2],
        from[inner + 3],
        from[(inner + 4) % 32].xor(W::splat(isa, key.outer[1])),
    ];
    let output = W::sbox::<BOX>(input);
    for (bit, plane) in output.into_iter().enumerate() {
        let target = TARGET[4 * BOX + bit];
        to[target] = plane.xor3(to[target], W::splat(isa, key.target[bit]));
    }
}

#[inline(always)]
fn whiten<W: Word>(isa: W::Isa, half: &mut [W; 32], masks: &[u32; 32]) {
    for (plane, mask) in half.iter_mut().zip(masks) {
        *plane = plane.xor(W::splat(isa, *mask));
    }
}

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
