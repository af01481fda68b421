//! The byte-lane engine: one byte lane per card, an S-box is one table of 64 bytes.
//!
//! The state of a DES half is eight vectors. Byte lane `c` of vector `t` holds the six bits that
//! card `c` feeds into S-box `t`, at the positions that [`routes`](super::routes) gives them. `L`
//! and `R` both live in this expanded form, so a round is
//!
//! 1. eight look-ups, `f[t] = table[t][R[t]]`;
//! 2. three stages of exchanges, which are `P` and `E`: two vectors give each other the bits
//!    outside a mask;
//! 3. `L ^= …`.
//!
//! The round keys are carried in the state: a half is stored XOR-ed with the key that its next
//! reading wants, and an update takes off the old key and puts on the next one, which waits for no
//! look-up ([`PermuteKey`]).
//!
//! A look-up is a byte permutation inside the register file. There is no address in it that depends
//! on a card or a key.
//!
//! The engine is generic over the vector. Everything is `inline(always)` because it must end up
//! inside an entry that is compiled for the instruction set.

use super::fips::{self, RoundKeys};
use super::routes::{BUTTERFLY, TARGETS, WIRED, scattered};
use zeroize::Zeroize;

/// What the engine asks of a vector of bytes.
pub(super) trait ByteLanes: Copy {
    /// Proof that the machine has the instructions.
    type Witness: Copy;

    /// All lanes equal to `byte`.
    fn splat(witness: Self::Witness, byte: u8) -> Self;
    /// The same constants through a pointer that the compiler cannot tell to be the same, so that
    /// it fetches them again.
    fn anew<T>(constants: &T) -> &T;
    /// Every eight lanes equal to `bytes`; any vector proves that the machine can.
    fn fetch(proof: Self, bytes: u64) -> Self;
    /// `table[lane & 63]` in every lane. `again` is the same table, where [`Self::anew`] gave it
    /// another name.
    fn look_up(table: &[u8; 64], again: &[u8; 64], lanes: Self) -> Self;
    /// Bits of `a` where `mask` is set, of `b` elsewhere.
    fn choose(mask: Self, a: Self, b: Self) -> Self;
    /// `a ^ (b & mask)`.
    fn xor_where(a: Self, b: Self, mask: Self) -> Self;
    /// `a ^ (b & !mask)`.
    fn xor_elsewhere(a: Self, b: Self, mask: Self) -> Self;
    /// `a ^ b`.
    fn xor(a: Self, b: Self) -> Self;
}

/// A key pair as the engine reads it: 2,312 bytes.
#[derive(Default)]
#[repr(C)]
pub(super) struct PermuteKey {
    pub(super) encrypt_a: Rounds,
    pub(super) decrypt_b: Rounds,
    /// The XOR of all words, as they were made.
    pub(super) fold: u64,
}

/// What goes on the state in one DES: for each S-box a byte, eight times over.
///
/// First, for the half that is read first, the key of its first reading. Then, for the half that
/// each of sixteen rounds updates, the key of its last reading, if it had one in this DES, XOR that
/// of its next one. Last, for the half that is read last, the key that is still on it.
pub(super) type Rounds = [[u64; 8]; 18];

impl PermuteKey {
    /// Fills `into` with the form of the pair `a`, `b`. In constant time.
    #[inline(never)]
    pub(super) fn expand(into: &mut Self, a: &[u8; 8], b: &[u8; 8]) {
        let mut rounds = RoundKeys::default();
        fips::schedule(&mut rounds, a);
        fill(&mut into.encrypt_a, &rounds);
        fips::schedule(&mut rounds, b);
        rounds.reverse();
        fill(&mut into.decrypt_b, &rounds);
        rounds.zeroize();
        let words = into.encrypt_a.as_flattened().iter().chain(into.decrypt_b.as_flattened());
        into.fold = words.fold(0, |all, word| all ^ word);
    }
}

/// From round keys in the order of use.
fn fill(into: &mut Rounds, keys: &RoundKeys) {
    let bare = [0; 8];
    let key = |round: usize| keys.get(round).unwrap_or(&bare);
    let [first, updates @ .., last] = into;
    for t in 0..8 {
        let word = |bits: u8| eightfold(scattered(t, bits));
        first[t] = word(key(0)[t]);
        last[t] = word(key(15)[t]);
        for (round, update) in updates.iter_mut().enumerate() {
            update[t] = word(key(round.wrapping_sub(1))[t] ^ key(round + 1)[t]);
        }
    }
}

impl Zeroize for PermuteKey {
    fn zeroize(&mut self) {
        self.encrypt_a.as_flattened_mut().zeroize();
        self.decrypt_b.as_flattened_mut().zeroize();
        self.fold.zeroize();
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
#[inline(always)]
pub(super) fn chain<V: ByteLanes>(
    witness: V::Witness,
    key: &PermuteKey,
    first: State<V>,
    second: &State<V>,
) -> State<V> {
    let masks = Masks::new(witness);
    let mut state = des(&masks, &key.encrypt_a, first);
    for t in 0..8 {
        state.left[t] = V::xor(state.left[t], second.left[t]);
        state.right[t] = V::xor(state.right[t], second.right[t]);
    }
    for rounds in [&key.encrypt_a, &key.decrypt_b, &key.encrypt_a] {
        state = des(&masks, rounds, state);
    }
    state
}

/// Sixteen rounds and the final swap.
#[inline(always)]
fn des<V: ByteLanes>(masks: &Masks<V>, rounds: &Rounds, state: State<V>) -> State<V> {
    let State { mut left, mut right } = state;
    let [first, updates @ .., last] = rounds;
    xor_words(&mut right, first);
    for [even, odd] in updates.as_chunks().0 {
        round(masks, even, &right, &mut left);
        round(masks, odd, &left, &mut right);
    }
    xor_words(&mut left, last);
    State { left: right, right: left }
}

/// `left ^= E(P(S(right)))`, with both in the form that carries the keys.
#[inline(always)]
fn round<V: ByteLanes>(masks: &Masks<V>, update: &[u64; 8], right: &[V; 8], left: &mut [V; 8]) {
    xor_words(left, update);
    let fetched = V::anew(&FETCHED);
    let tables = V::anew(&TABLES);
    let again = V::anew(&TABLES);
    let any = right[0];
    let mut quads = [[any; 4]; 2];
    for p in 0..4 {
        let a = V::look_up(&tables.0[2 * p], &again.0[2 * p], right[2 * p]);
        let b = V::look_up(&tables.0[2 * p + 1], &again.0[2 * p + 1], right[2 * p + 1]);
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

#[inline(always)]
fn xor_words<V: ByteLanes>(half: &mut [V; 8], words: &[u64; 8]) {
    for (vector, word) in half.iter_mut().zip(words) {
        *vector = V::xor(*vector, V::fetch(*vector, *word));
    }
}

/// The S-boxes in wire form, the same for all keys.
#[repr(C, align(64))]
pub(super) struct Tables(pub(super) [[u8; 64]; 8]);

pub(super) static TABLES: Tables = Tables(WIRED);

/// The XOR of all words of [`TABLES`], as they were compiled.
pub(super) const TABLES_FOLD: u64 = {
    let bytes = WIRED.as_flattened();
    let words = bytes.as_chunks::<8>().0;
    let mut all = 0;
    let mut i = 0;
    while i < words.len() {
        all ^= u64::from_le_bytes(words[i]);
        i += 1;
    }
    all
};

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
struct Fetched {
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
    // A product would be checked for overflow in debug builds, by a branch on the byte.
    u64::from_ne_bytes([byte; 8])
}
