//! The byte-lane engine: one byte lane per card, an S-box is one table of 64 bytes.
//!
//! The state of a DES half is eight vectors. Byte lane `c` of vector `t` holds the six bits that
//! card `c` feeds into S-box `t`, at the positions that [`routes`](super::routes) gives them. `L`
//! and `R` both live in this expanded form, so a round is
//!
//! 1. eight look-ups, `f[t] = table[t][R[t]]`, in tables that contain the round key
//!    ([`PermuteKey`]);
//! 2. three stages of exchanges, which are `P` and `E`: two vectors give each other the bits
//!    outside a mask;
//! 3. `L ^= …`.
//!
//! A look-up is a byte permutation inside the register file. There is no address in it that depends
//! on a card or a key.
//!
//! The engine is generic over the vector. Everything is `inline(always)` because it must end up
//! inside an entry that is compiled for the instruction set.

use super::routes::{BUTTERFLY, TARGETS};
use zeroize::Zeroize;

/// What the engine asks of a vector of bytes.
pub(super) trait ByteLanes: Copy {
    /// Proof that the machine has the instructions.
    type Witness: Copy;

    /// All lanes equal to `byte`.
    fn splat(witness: Self::Witness, byte: u8) -> Self;
    /// The same masks through a pointer that the compiler cannot tell to be the same, so that it
    /// fetches them again.
    fn fetched(masks: &Fetched) -> &Fetched;
    /// Every eight lanes equal to `bytes`; any vector proves that the machine can.
    fn fetch(proof: Self, bytes: u64) -> Self;
    /// `table[lane & 63]` in every lane. `again` is the same table under another name, see
    /// [`Self::again`].
    fn look_up(table: &[u8; 64], again: &[u8; 64], lanes: Self) -> Self;
    /// The same key through a pointer that the compiler cannot tell to be the same, for vectors
    /// that need it.
    #[inline(always)]
    fn again(key: &PermuteKey) -> &PermuteKey {
        key
    }
    /// Bits of `a` where `mask` is set, of `b` elsewhere.
    fn choose(mask: Self, a: Self, b: Self) -> Self;
    /// `a ^ (b & mask)`.
    fn xor_where(a: Self, b: Self, mask: Self) -> Self;
    /// `a ^ (b & !mask)`.
    fn xor_elsewhere(a: Self, b: Self, mask: Self) -> Self;
    /// `a ^ b`.
    fn xor(a: Self, b: Self) -> Self;
    /// `sum`, XOR the bytes of a table.
    fn fold(sum: Self, table: &[u8; 64]) -> Self;
    /// The XOR of the vector's words.
    fn folded(self) -> u64;
}

/// The S-box tables of one round.
pub(super) type RoundTables = [[u8; 64]; 8];

/// A key pair as the engine reads it: 16 KiB.
///
/// The tables of `E_A`, then those of `D_B`, each in the order of its rounds: table `t` of a round
/// holds at index `i` what S-box `t` makes of `i ^ round key`.
#[repr(C, align(64))]
pub(super) struct PermuteKey {
    pub(super) encrypt_a: [RoundTables; 16],
    pub(super) decrypt_b: [RoundTables; 16],
    /// The XOR of all tables, as they were made.
    fold: [u64; 8],
}

impl Zeroize for PermuteKey {
    fn zeroize(&mut self) {
        self.encrypt_a.as_flattened_mut().as_flattened_mut().zeroize();
        self.decrypt_b.as_flattened_mut().as_flattened_mut().zeroize();
        self.fold.zeroize();
    }
}

impl PermuteKey {
    /// Takes down the XOR of all tables, once they are made.
    #[inline(always)]
    pub(super) fn seal(&mut self) {
        self.fold = [0; 8];
        for table in self.encrypt_a.as_flattened().iter().chain(self.decrypt_b.as_flattened()) {
            for (lane, word) in self.fold.iter_mut().zip(table.as_chunks::<8>().0) {
                *lane ^= u64::from_le_bytes(*word);
            }
        }
    }

    /// What a sum of all words that were read has to be.
    #[inline(always)]
    pub(super) fn fold(&self) -> u64 {
        self.fold.iter().fold(0, |all, word| all ^ word)
    }
}

impl Default for PermuteKey {
    /// A key to be filled in place; it computes nothing of use before.
    fn default() -> Self {
        Self { encrypt_a: [[[0; 64]; 8]; 16], decrypt_b: [[[0; 64]; 8]; 16], fold: [0; 8] }
    }
}

/// `L` and `R` of every lane, in expanded form.
#[derive(Clone, Copy)]
pub(super) struct State<V> {
    pub left: [V; 8],
    pub right: [V; 8],
}

/// `E_A · D_B · E_A (E_A(first) ^ second)`, for states without their initial and final
/// permutations.
///
/// The final permutation of one DES and the initial one of the next cancel, so what passes between
/// them is the swap of the halves that ends a DES. `second` is the second block after its initial
/// permutation; the result is `R16 || L16` before the final one.
///
/// Beside it, the XOR of all words that were read of the tables: each table of `E_A` three times,
/// each of `D_B` once, so it is [`PermuteKey::fold`] unless a bit of them has flipped. A known
/// answer alone would prove one entry in 64. The rounds wait for their look-ups, and the sum fills
/// the gaps.
#[inline(always)]
pub(super) fn chain<V: ByteLanes>(
    witness: V::Witness,
    key: &PermuteKey,
    first: State<V>,
    second: &State<V>,
) -> (State<V>, u64) {
    let masks = Masks::new(witness);
    let again = V::again(key);
    let mut sum = V::splat(witness, 0);
    let mut state = des(&masks, &key.encrypt_a, &again.encrypt_a, first, &mut sum);
    for t in 0..8 {
        state.left[t] = V::xor(state.left[t], second.left[t]);
        state.right[t] = V::xor(state.right[t], second.right[t]);
    }
    for (rounds, again) in [
        (&key.encrypt_a, &again.encrypt_a),
        (&key.decrypt_b, &again.decrypt_b),
        (&key.encrypt_a, &again.encrypt_a),
    ] {
        state = des(&masks, rounds, again, state, &mut sum);
    }
    (state, sum.folded())
}

/// Sixteen rounds and the final swap.
#[inline(always)]
fn des<V: ByteLanes>(
    masks: &Masks<V>,
    rounds: &[RoundTables; 16],
    again: &[RoundTables; 16],
    state: State<V>,
    sum: &mut V,
) -> State<V> {
    let State { mut left, mut right } = state;
    for i in 0..8 {
        round(masks, &rounds[2 * i], &again[2 * i], &right, &mut left, sum);
        round(masks, &rounds[2 * i + 1], &again[2 * i + 1], &left, &mut right, sum);
    }
    State { left: right, right: left }
}

/// `left ^= E(P(S(right ^ key)))`.
#[inline(always)]
fn round<V: ByteLanes>(
    masks: &Masks<V>,
    tables: &RoundTables,
    again: &RoundTables,
    right: &[V; 8],
    left: &mut [V; 8],
    sum: &mut V,
) {
    for table in tables {
        *sum = V::fold(*sum, table);
    }
    let fetched = V::fetched(&FETCHED);
    let any = right[0];
    let mut quads = [[any; 4]; 2];
    for p in 0..4 {
        let a = V::look_up(&tables[2 * p], &again[2 * p], right[2 * p]);
        let b = V::look_up(&tables[2 * p + 1], &again[2 * p + 1], right[2 * p + 1]);
        let mask = V::fetch(any, fetched.quads[p]);
        quads[0][p] = V::choose(mask, a, b);
        quads[1][p] = V::choose(mask, b, a);
    }
    let mut ends = [[[any; 2]; 2]; 2];
    for from in 0..2 {
        for q in 0..2 {
            let [a, b] = [quads[q][2 * from], quads[q][2 * from + 1]];
            let mask = masks.pairs[from][q];
            ends[from][q] = [V::choose(mask, a, b), V::choose(mask, b, a)];
        }
    }
    for q in 0..2 {
        for p in 0..2 {
            let mask = V::fetch(any, fetched.boxes[q][p]);
            let [t0, t1] = TARGETS[q][p];
            let [u, v] = [ends[0][q][p], ends[1][q][p]];
            left[t0] = V::xor_where(left[t0], u, mask);
            left[t1] = V::xor_elsewhere(left[t1], u, mask);
            left[t0] = V::xor_elsewhere(left[t0], v, mask);
            left[t1] = V::xor_where(left[t1], v, mask);
        }
    }
}

/// The middle stage's masks, which stay in registers.
///
/// `L`, `R` and one round's intermediate values take up to 26 of 32 registers. With all twelve
/// masks beside them the compiler spills state; it does better to fetch the others in every round
/// ([`Fetched`]).
struct Masks<V> {
    pairs: [[V; 2]; 2],
}

impl<V: ByteLanes> Masks<V> {
    #[inline(always)]
    fn new(witness: V::Witness) -> Self {
        let [[a, b], [c, d]] = BUTTERFLY.pairs;
        Self {
            pairs: [
                [V::splat(witness, a), V::splat(witness, b)],
                [V::splat(witness, c), V::splat(witness, d)],
            ],
        }
    }
}

/// The first and the last stage's masks, eight bytes each.
pub(super) struct Fetched {
    quads: [u64; 4],
    boxes: [[u64; 2]; 2],
}

static FETCHED: Fetched = Fetched {
    quads: [
        eightfold(BUTTERFLY.quads[0]),
        eightfold(BUTTERFLY.quads[1]),
        eightfold(BUTTERFLY.quads[2]),
        eightfold(BUTTERFLY.quads[3]),
    ],
    boxes: [
        [eightfold(BUTTERFLY.boxes[0][0]), eightfold(BUTTERFLY.boxes[0][1])],
        [eightfold(BUTTERFLY.boxes[1][0]), eightfold(BUTTERFLY.boxes[1][1])],
    ],
};

const fn eightfold(byte: u8) -> u64 {
    byte as u64 * 0x0101_0101_0101_0101
}
