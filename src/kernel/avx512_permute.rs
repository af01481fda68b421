//! AVX-512 with VBMI and GFNI: small calls in byte lanes.
//!
//! A call of 1–3 cards packs and unpacks them in a single register and computes in the low lanes of
//! 256-bit vectors; up to 31 cards fill those; 63 cards fill 512-bit ones. The last lane of each
//! pass is the known-answer card's.

use super::avx512::HasAvx512;
use super::decimalize::leading;
use super::known::KnownAnswer;
use super::permute::{self, ByteLanes, PermuteKey, State, TABLES, TABLES_FOLD};
use super::routes::POSITION;
use crate::card::{Cvv, PackedCard};
#[allow(clippy::wildcard_imports, reason = "their names tell where they come from")]
use core::arch::x86_64::*;

/// Cards of one pass.
pub(super) const CARDS_MAX: usize = 63;

/// The CVVs of 1–[`CARDS_MAX`] `cards`, of `digits` (1–5) digits each, into `out`. Not zero if the
/// known-answer card came out wrong: then nothing in `out` is to be used.
///
/// # Panics
/// If `out` is shorter than `cards`, or `cards` is empty or longer than a pass.
#[must_use]
pub(super) fn pass(
    _: HasAvx512,
    key: &PermuteKey,
    known: &KnownAnswer,
    digits: u32,
    cards: &[PackedCard],
    out: &mut [Cvv],
) -> u64 {
    let out = &mut out[..cards.len()];
    // SAFETY: the witness.
    unsafe {
        match cards.len() {
            1..=3 => few(key, known, digits, cards, out),
            4..=31 => half(key, known, digits, cards, out),
            32..=CARDS_MAX => full(key, known, digits, cards, out),
            n => panic!("a pass takes 1 to {CARDS_MAX} cards, not {n}"),
        }
    }
}

#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,gfni,bmi2,popcnt")]
fn few(
    key: &PermuteKey,
    known: &KnownAnswer,
    digits: u32,
    cards: &[PackedCard],
    out: &mut [Cvv],
) -> u64 {
    let [first, second] = pack_few(cards, known.card());
    let state = permute::chain(InEntry(()), key, first, &second);
    let blocks = unpack_few(&state);
    answer(known, digits, &blocks, out) | faults(key) | disagreement(&state)
}

#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,gfni,bmi2,popcnt")]
fn half(
    key: &PermuteKey,
    known: &KnownAnswer,
    digits: u32,
    cards: &[PackedCard],
    out: &mut [Cvv],
) -> u64 {
    let [first, second] = pack(cards, known.card(), 32);
    let state = permute::chain(InEntry(()), key, low(&first), &low(&second));
    let blocks = unpack(&wide(&state));
    let blocks: &[u64; 32] = blocks.first_chunk().expect("32 of 64 lanes");
    answer(known, digits, blocks, out) | faults(key)
}

#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,gfni,bmi2,popcnt")]
fn full(
    key: &PermuteKey,
    known: &KnownAnswer,
    digits: u32,
    cards: &[PackedCard],
    out: &mut [Cvv],
) -> u64 {
    let [first, second] = pack(cards, known.card(), 64);
    let state = permute::chain(InEntry(()), key, first, &second);
    let blocks = unpack(&state);
    answer(known, digits, &blocks, out) | faults(key)
}

/// What has changed in the key's form since it was made, or in the tables that all keys share: zero
/// if nothing has.
///
/// A known answer alone proves one entry in 64 of a table for each of its look-ups.
#[inline(always)]
fn faults(key: &PermuteKey) -> u64 {
    // Left to itself, the compiler makes gathers of it.
    let mut sum = Zmm::load(&TABLES.0[0]);
    for table in &TABLES.0[1..] {
        sum = Zmm::xor(sum, Zmm::load(table));
    }
    for row in &key.encrypt_a {
        sum = Zmm::xor(sum, Zmm::load_words(row));
    }
    for row in &key.decrypt_b {
        sum = Zmm::xor(sum, Zmm::load_words(row));
    }
    let mut words = [0; 8];
    // SAFETY: inlined into an entry with these features; the place has 64 bytes.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), sum.0) }
    words.into_iter().fold(key.fold ^ TABLES_FOLD, |all, word: u64| all ^ word)
}

/// Writes the values of the caller's cards from the blocks of all lanes, and compares the last lane's
/// with the known answer: not zero where it differs.
#[inline(always)]
fn answer<const LANES: usize>(
    known: &KnownAnswer,
    digits: u32,
    blocks: &[u64; LANES],
    out: &mut [Cvv],
) -> u64 {
    for (cvv, &block) in out.iter_mut().zip(blocks) {
        cvv.set_bits(leading(decimal(block), digits));
    }
    known.mismatch(blocks[LANES - 1], decimal(blocks[LANES - 1]))
}

/// `dec`: the digits of `block` in order, then its letters minus 10.
///
/// `pext` takes the same time for every operand on every machine that has AVX-512.
#[inline(always)]
fn decimal(block: u64) -> u64 {
    const ONES: u64 = 0x1111_1111_1111_1111;
    // A nibble is a letter if its 8 is set and its 4 or 2.
    let letter = block >> 3 & (block >> 2 | block >> 1) & ONES;
    let letters = letter * 15;
    // SAFETY: inlined into an entry with BMI2.
    let (digits, rest) =
        unsafe { (_pext_u64(block, !letters), _pext_u64(block - letter * 10, letters)) };
    let count = letter.count_ones();
    // Two shifts, for sixteen letters.
    digits << (2 * count) << (2 * count) | rest
}

/// Proof, for the functions below, that they are inlined into an entry.
#[derive(Clone, Copy)]
struct InEntry(());

/// 64 byte lanes.
#[derive(Clone, Copy)]
struct Zmm(__m512i);

/// 32 byte lanes.
#[derive(Clone, Copy)]
struct Ymm(__m256i);

/// Both blocks of up to three cards and the known one, in every group of four lanes: known in the
/// last.
#[inline(always)]
fn pack_few(cards: &[PackedCard], known: &PackedCard) -> [State<Ymm>; 2] {
    // SAFETY: inlined into an entry with these features; the mask admits the cards' bytes only.
    let mut halves = [[0u32; 16]; 2];
    unsafe {
        let present = (1u32 << (2 * cards.len())) - 1;
        let cards = _mm512_maskz_loadu_epi64(present as u8, cards.as_ptr().cast());
        let known = _mm_loadu_si128(known.blocks().as_ptr().cast());
        let blocks = _mm512_inserti32x4::<3>(cards, known);
        for (columns, lanes) in [LEFT_COLUMNS, RIGHT_COLUMNS].into_iter().zip(&mut halves) {
            let half = _mm512_gf2p8affine_epi64_epi8::<0>(_mm512_set1_epi64(columns), blocks);
            let chunks = _mm512_multishift_epi64_epi8(_mm512_set1_epi64(CHUNKS), half);
            let boxes = _mm512_permutexvar_epi8(Zmm::load(&CARDS_TO_BOXES).0, chunks);
            let wires = _mm512_gf2p8affine_epi64_epi8::<0>(boxes, Zmm::load_words(&TO_WIRES).0);
            _mm512_storeu_si512(lanes.as_mut_ptr().cast(), wires);
        }
    }
    let zero = Ymm::lanes4(0);
    let mut states = [State { left: [zero; 8], right: [zero; 8] }; 2];
    for (block, state) in states.iter_mut().enumerate() {
        for t in 0..8 {
            state.left[t] = Ymm::lanes4(halves[0][2 * t + block]);
            state.right[t] = Ymm::lanes4(halves[1][2 * t + block]);
        }
    }
    states
}

/// Not zero unless every group of four lanes holds what the first group does.
///
/// The known card proves its own lane. The eight groups compute the same cards, so that a bit that
/// flips in any lane of the state makes its group differ from the others.
#[inline(always)]
fn disagreement(state: &State<Ymm>) -> u64 {
    let mut differing = Ymm::lanes4(0);
    for t in 0..8 {
        for vector in [state.left[t], state.right[t]] {
            // SAFETY: inlined into an entry with these features.
            differing.0 = unsafe {
                let first = _mm256_broadcastd_epi32(_mm256_castsi256_si128(vector.0));
                _mm256_ternarylogic_epi64::<OR_DIFFERENCE>(differing.0, vector.0, first)
            };
        }
    }
    // SAFETY: as above.
    u64::from(unsafe { _mm256_testz_si256(differing.0, differing.0) } == 0)
}

/// The output blocks of the first four lanes.
#[inline(always)]
fn unpack_few(state: &State<Ymm>) -> [u64; 4] {
    // SAFETY: inlined into an entry with these features.
    unsafe {
        let mut boxes = [_mm_setzero_si128(); 8];
        for (t, pair) in boxes.iter_mut().enumerate() {
            let left = _mm256_castsi256_si128(state.left[t].0);
            let right = _mm256_castsi256_si128(state.right[t].0);
            *pair = _mm_unpacklo_epi32(left, right);
        }
        let low = _mm256_inserti128_si256::<1>(
            _mm256_castsi128_si256(_mm_unpacklo_epi64(boxes[0], boxes[1])),
            _mm_unpacklo_epi64(boxes[2], boxes[3]),
        );
        let high = _mm256_inserti128_si256::<1>(
            _mm256_castsi128_si256(_mm_unpacklo_epi64(boxes[4], boxes[5])),
            _mm_unpacklo_epi64(boxes[6], boxes[7]),
        );
        let wires = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high);
        let nibbles = _mm512_gf2p8affine_epi64_epi8::<0>(wires, Zmm::load_words(&FROM_WIRES).0);
        let even = _mm512_permutexvar_epi8(Zmm::load(&EVEN_BOXES_TO_CARDS).0, nibbles);
        let odd = _mm512_permutexvar_epi8(Zmm::load(&ODD_BOXES_TO_CARDS).0, nibbles);
        let columns = _mm512_castsi512_si256(_mm512_or_si512(even, odd));
        let blocks = _mm256_gf2p8affine_epi64_epi8::<0>(_mm256_set1_epi64x(BITS), columns);
        let mut out = [0u64; 4];
        _mm256_storeu_si256(out.as_mut_ptr().cast(), blocks);
        out
    }
}

/// Both blocks of `cards`, one a lane, the known one in lane `lanes - 1`.
#[inline(always)]
fn pack(cards: &[PackedCard], known: &PackedCard, lanes: usize) -> [State<Zmm>; 2] {
    // SAFETY: inlined into an entry with these features; the masks admit the cards' bytes only.
    unsafe {
        let mut groups = [[_mm512_setzero_si512(); 8]; 2];
        for g in 0..lanes / 8 {
            let mut quads = [_mm512_setzero_si512(); 2];
            for (h, quad) in quads.iter_mut().enumerate() {
                let done = 8 * g + 4 * h;
                let left = cards.len().saturating_sub(done).min(4);
                let present = ((1u32 << (2 * left)) - 1) as u8;
                *quad = _mm512_maskz_loadu_epi64(present, cards.as_ptr().wrapping_add(done).cast());
            }
            if g == lanes / 8 - 1 {
                let known = _mm_loadu_si128(known.blocks().as_ptr().cast());
                quads[1] = _mm512_inserti32x4::<3>(quads[1], known);
            }
            for (b, group) in groups.iter_mut().enumerate() {
                let blocks =
                    _mm512_permutex2var_epi64(quads[0], Zmm::load_words(&BLOCKS[b]).0, quads[1]);
                let columns =
                    _mm512_gf2p8affine_epi64_epi8::<0>(_mm512_set1_epi64(COLUMNS), blocks);
                group[g] = _mm512_permutexvar_epi8(Zmm::load(&TRANSPOSE).0, columns);
            }
        }
        let zero = Zmm(_mm512_setzero_si512());
        let mut states = [State { left: [zero; 8], right: [zero; 8] }; 2];
        for b in 0..2 {
            let columns = transpose(groups[b]);
            for t in 0..8 {
                states[b].left[t] =
                    expand_box(t, &[columns[0], columns[1], columns[2], columns[3]]);
                states[b].right[t] =
                    expand_box(t, &[columns[4], columns[5], columns[6], columns[7]]);
            }
        }
        states
    }
}

/// The wires of box `t` from the four columns of a half.
#[inline(always)]
unsafe fn expand_box(t: usize, columns: &[__m512i; 4]) -> Zmm {
    let own = t / 2;
    let neighbour = if t.is_multiple_of(2) { (own + 3) % 4 } else { (own + 1) % 4 };
    // SAFETY: the caller's.
    unsafe {
        let own = _mm512_gf2p8affine_epi64_epi8::<0>(columns[own], matrix(OWN_TO_WIRES[t]));
        let other =
            _mm512_gf2p8affine_epi64_epi8::<0>(columns[neighbour], matrix(NEIGHBOUR_TO_WIRES[t]));
        Zmm(_mm512_xor_si512(own, other))
    }
}

/// The output blocks of all lanes.
#[inline(always)]
fn unpack(state: &State<Zmm>) -> [u64; 64] {
    let mut out = [0; 64];
    // SAFETY: inlined into an entry with these features.
    unsafe {
        let mut columns = [_mm512_setzero_si512(); 8];
        for r in 0..4 {
            for (m, half) in [&state.right, &state.left].into_iter().enumerate() {
                let even =
                    _mm512_gf2p8affine_epi64_epi8::<0>(half[2 * r].0, matrix(FROM_WIRES[2 * r]));
                let odd = _mm512_gf2p8affine_epi64_epi8::<0>(
                    half[2 * r + 1].0,
                    matrix(FROM_WIRES[2 * r + 1]),
                );
                columns[2 * r + m] = _mm512_or_si512(even, odd);
            }
        }
        for (g, group) in transpose(columns).into_iter().enumerate() {
            let cards = _mm512_permutexvar_epi8(Zmm::load(&TRANSPOSE).0, group);
            let blocks = _mm512_gf2p8affine_epi64_epi8::<0>(_mm512_set1_epi64(BITS), cards);
            _mm512_storeu_si512(out.as_mut_ptr().add(8 * g).cast(), blocks);
        }
    }
    out
}

/// The same matrix for all lanes.
#[inline(always)]
unsafe fn matrix(matrix: u64) -> __m512i {
    // SAFETY: the caller's.
    unsafe { _mm512_set1_epi64(matrix.cast_signed()) }
}

/// Transposes eight by eight quadwords.
#[inline(always)]
unsafe fn transpose(rows: [__m512i; 8]) -> [__m512i; 8] {
    // SAFETY: the caller's.
    unsafe {
        let mut out = rows;
        for odd in 0..2 {
            let mut pairs = [rows[0]; 4];
            for i in 0..4 {
                pairs[i] = if odd == 0 {
                    _mm512_unpacklo_epi64(rows[2 * i], rows[2 * i + 1])
                } else {
                    _mm512_unpackhi_epi64(rows[2 * i], rows[2 * i + 1])
                };
            }
            let [a, b, c, d] = pairs;
            let even_lanes =
                [_mm512_shuffle_i64x2::<0x88>(a, b), _mm512_shuffle_i64x2::<0x88>(c, d)];
            let odd_lanes =
                [_mm512_shuffle_i64x2::<0xDD>(a, b), _mm512_shuffle_i64x2::<0xDD>(c, d)];
            out[odd] = _mm512_shuffle_i64x2::<0x88>(even_lanes[0], even_lanes[1]);
            out[odd + 4] = _mm512_shuffle_i64x2::<0xDD>(even_lanes[0], even_lanes[1]);
            out[odd + 2] = _mm512_shuffle_i64x2::<0x88>(odd_lanes[0], odd_lanes[1]);
            out[odd + 6] = _mm512_shuffle_i64x2::<0xDD>(odd_lanes[0], odd_lanes[1]);
        }
        out
    }
}

/// Lanes 0–31.
#[inline(always)]
fn low(state: &State<Zmm>) -> State<Ymm> {
    let mut low = State { left: [Ymm::lanes4(0); 8], right: [Ymm::lanes4(0); 8] };
    for t in 0..8 {
        // SAFETY: inlined into an entry with these features.
        unsafe {
            low.left[t] = Ymm(_mm512_castsi512_si256(state.left[t].0));
            low.right[t] = Ymm(_mm512_castsi512_si256(state.right[t].0));
        }
    }
    low
}

/// Lanes 0–31; the others are of no use.
#[inline(always)]
fn wide(state: &State<Ymm>) -> State<Zmm> {
    // SAFETY: inlined into an entry with these features.
    unsafe {
        let zero = Zmm(_mm512_setzero_si512());
        let mut wide = State { left: [zero; 8], right: [zero; 8] };
        for t in 0..8 {
            wide.left[t] = Zmm(_mm512_zextsi256_si512(state.left[t].0));
            wide.right[t] = Zmm(_mm512_zextsi256_si512(state.right[t].0));
        }
        wide
    }
}

/// The same reference, though the compiler cannot tell.
#[allow(clippy::pointers_in_nomem_asm_block)] // Nothing is read or written: there is no instruction.
#[inline(always)]
fn anew<T>(reference: &T) -> &T {
    let mut pointer: *const T = reference;
    // SAFETY: no instruction at all; the pointer stays as it is.
    unsafe {
        core::arch::asm!("/* {0} */", inout(reg) pointer, options(nomem, nostack, preserves_flags));
        &*pointer
    }
}

/// `vpternlog`: the first operand where the third is set, the second elsewhere.
const CHOOSE: i32 = 0xE4;
/// The first operand, OR where the other two differ.
const OR_DIFFERENCE: i32 = 0xF6;
/// The first operand, XOR the second where the third is set.
const XOR_WHERE: i32 = 0x78;
/// The first operand, XOR the second where the third is not set.
const XOR_ELSEWHERE: i32 = 0xB4;

// SAFETY, for both: a vector proves that the code is inlined into an entry with these features, as
// does the witness.
impl ByteLanes for Zmm {
    type Witness = InEntry;

    #[inline(always)]
    fn splat(_: InEntry, byte: u8) -> Self {
        Self(unsafe { _mm512_set1_epi8(byte.cast_signed()) })
    }
    #[inline(always)]
    fn anew<T>(constants: &T) -> &T {
        anew(constants)
    }
    #[inline(always)]
    fn fetch(_: Self, bytes: u64) -> Self {
        Self(unsafe { _mm512_set1_epi64(bytes.cast_signed()) })
    }
    #[inline(always)]
    fn look_up(table: &[u8; 64], _: &[u8; 64], lanes: Self) -> Self {
        Self(unsafe { _mm512_permutexvar_epi8(lanes.0, Self::load(table).0) })
    }
    #[inline(always)]
    fn choose(mask: Self, a: Self, b: Self) -> Self {
        Self(unsafe { _mm512_ternarylogic_epi64::<CHOOSE>(a.0, b.0, mask.0) })
    }
    #[inline(always)]
    fn xor_where(a: Self, b: Self, mask: Self) -> Self {
        Self(unsafe { _mm512_ternarylogic_epi64::<XOR_WHERE>(a.0, b.0, mask.0) })
    }
    #[inline(always)]
    fn xor_elsewhere(a: Self, b: Self, mask: Self) -> Self {
        Self(unsafe { _mm512_ternarylogic_epi64::<XOR_ELSEWHERE>(a.0, b.0, mask.0) })
    }
    #[inline(always)]
    fn xor(a: Self, b: Self) -> Self {
        Self(unsafe { _mm512_xor_si512(a.0, b.0) })
    }
}

impl ByteLanes for Ymm {
    type Witness = InEntry;

    #[inline(always)]
    fn splat(_: InEntry, byte: u8) -> Self {
        Self(unsafe { _mm256_set1_epi8(byte.cast_signed()) })
    }
    #[inline(always)]
    fn anew<T>(constants: &T) -> &T {
        anew(constants)
    }
    #[inline(always)]
    fn fetch(_: Self, bytes: u64) -> Self {
        Self(unsafe { _mm256_set1_epi64x(bytes.cast_signed()) })
    }
    /// From the same place the compiler sees that two 32-byte halves are one 64-byte table, and
    /// turns the 256-bit two-table permutation into a 512-bit one of half the throughput and a
    /// longer latency.
    #[inline(always)]
    fn look_up(table: &[u8; 64], again: &[u8; 64], lanes: Self) -> Self {
        unsafe {
            let low = _mm256_loadu_si256(table.as_ptr().cast());
            let high = _mm256_loadu_si256(again.as_ptr().add(32).cast());
            let found = Self(_mm256_permutex2var_epi8(low, lanes.0, high));
            #[cfg(test)]
            let found = found.struck();
            found
        }
    }
    #[inline(always)]
    fn choose(mask: Self, a: Self, b: Self) -> Self {
        Self(unsafe { _mm256_ternarylogic_epi64::<CHOOSE>(a.0, b.0, mask.0) })
    }
    #[inline(always)]
    fn xor_where(a: Self, b: Self, mask: Self) -> Self {
        Self(unsafe { _mm256_ternarylogic_epi64::<XOR_WHERE>(a.0, b.0, mask.0) })
    }
    #[inline(always)]
    fn xor_elsewhere(a: Self, b: Self, mask: Self) -> Self {
        Self(unsafe { _mm256_ternarylogic_epi64::<XOR_ELSEWHERE>(a.0, b.0, mask.0) })
    }
    #[inline(always)]
    fn xor(a: Self, b: Self) -> Self {
        Self(unsafe { _mm256_xor_si256(a.0, b.0) })
    }
}

impl Zmm {
    #[inline(always)]
    fn load(bytes: &[u8; 64]) -> Self {
        // SAFETY: inlined into an entry with these features.
        Self(unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) })
    }
    #[inline(always)]
    fn load_words(words: &[u64; 8]) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_loadu_si512(words.as_ptr().cast()) })
    }
}

impl Ymm {
    /// The vector with the bit flipped that fault injection has its eye on by now, if any.
    #[cfg(test)]
    fn struck(self) -> Self {
        let mut bytes = [0; 32];
        // SAFETY: inlined into an entry with these features; the places have 32 bytes.
        unsafe {
            _mm256_storeu_si256(bytes.as_mut_ptr().cast(), self.0);
            super::material::faults::strike(&mut bytes);
            Self(_mm256_loadu_si256(bytes.as_ptr().cast()))
        }
    }

    /// The same four lanes eight times.
    #[inline(always)]
    fn lanes4(lanes: u32) -> Self {
        // SAFETY: inlined into an entry with these features.
        Self(unsafe { _mm256_set1_epi32(lanes.cast_signed()) })
    }
}

// Bit bookkeeping. `vgf2p8affineqb` gives bit `i` of a result byte as the parity of matrix byte `7
// - i` and the operand byte. With the *data* as the matrix and single bits as operands it collects
// one bit column of an eight-byte block, and the bit columns of a block are exactly the rows of IP:
// column `6, 4, 2, 0` are L, `7, 5, 3, 1` are R, and bit `i` of a collected byte is bit `8 r + i +
// 1` of the half, for row `r` of its four.

/// Operand bytes that collect the four columns of L twice over, so that its 32 bits can be read
/// round and round.
const LEFT_COLUMNS: i64 = i64::from_le_bytes([64, 16, 4, 1, 64, 16, 4, 1]);
/// The same for R.
const RIGHT_COLUMNS: i64 = i64::from_le_bytes([128, 32, 8, 2, 128, 32, 8, 2]);
/// The columns of L, then of R.
const COLUMNS: i64 = i64::from_le_bytes([64, 16, 4, 1, 128, 32, 8, 2]);
/// Back again, with the first byte of the block most significant.
const BITS: i64 = i64::from_le_bytes([1, 2, 4, 8, 16, 32, 64, 128]);
/// Where the input bits of box `t` start in a half that is read round and round.
const CHUNKS: i64 = i64::from_le_bytes([63, 3, 7, 11, 15, 19, 23, 27]);

/// Eight by eight bytes, transposed.
const TRANSPOSE: [u8; 64] = {
    let mut index = [0; 64];
    let mut i = 0;
    while i < 64 {
        index[i] = (i % 8 * 8 + i / 8) as u8;
        i += 1;
    }
    index
};

/// First or second blocks of eight cards in two registers.
const BLOCKS: [[u64; 8]; 2] = [[0, 2, 4, 6, 8, 10, 12, 14], [1, 3, 5, 7, 9, 11, 13, 15]];

/// Four cards of two blocks of eight boxes become eight boxes of two blocks of four cards.
const CARDS_TO_BOXES: [u8; 64] = {
    let mut index = [0; 64];
    let mut i = 0;
    while i < 64 {
        let (t, block, card) = (i / 8, i / 4 % 2, i % 4);
        index[i] = ((2 * card + block) * 8 + t) as u8;
        i += 1;
    }
    index
};

/// Eight boxes of (left, right) of four cards become four cards of the columns R, L, R, L …: the
/// even boxes' nibbles.
const EVEN_BOXES_TO_CARDS: [u8; 64] = boxes_to_cards(0);
/// The odd boxes' nibbles.
const ODD_BOXES_TO_CARDS: [u8; 64] = boxes_to_cards(1);

const fn boxes_to_cards(odd: usize) -> [u8; 64] {
    let mut index = [0; 64];
    let mut i = 0;
    while i < 32 {
        let (card, row, right) = (i / 8, i % 8 / 2, 1 - i % 2);
        index[i] = ((2 * row + odd) * 8 + 4 * right + card) as u8;
        i += 1;
    }
    index
}

/// By box: its six bits in order to its wires.
const TO_WIRES: [u64; 8] = {
    let mut matrices = [0; 8];
    let mut t = 0;
    while t < 8 {
        let mut e = 0;
        while e < 6 {
            matrices[t] |= moves(e, POSITION[t][e]);
            e += 1;
        }
        t += 1;
    }
    matrices
};

/// By box: what its own column gives to its wires. An even box has bits −1 to 4 of its column, an
/// odd one 3 to 8.
const OWN_TO_WIRES: [u64; 8] = column_to_wires(0);
/// By box: what the neighbouring column gives, one bit.
const NEIGHBOUR_TO_WIRES: [u64; 8] = column_to_wires(1);

const fn column_to_wires(neighbour: usize) -> [u64; 8] {
    let mut matrices = [0; 8];
    let mut t = 0;
    while t < 8 {
        let mut e = 0;
        while e < 6 {
            let bit = t % 2 * 4 + e + 7;
            if (bit / 8 == 1) == (neighbour == 0) {
                matrices[t] |= moves(bit % 8, POSITION[t][e]);
            }
            e += 1;
        }
        t += 1;
    }
    matrices
}

/// By box: its four own bits to its half of the column.
const FROM_WIRES: [u64; 8] = {
    let mut matrices = [0; 8];
    let mut t = 0;
    while t < 8 {
        let mut e = 1;
        while e < 5 {
            matrices[t] |= moves(POSITION[t][e] as usize, (t % 2 * 4 + e - 1) as u8);
            e += 1;
        }
        t += 1;
    }
    matrices
};

/// The matrix that carries bit `from` to bit `to`.
const fn moves(from: usize, to: u8) -> u64 {
    1 << (8 * (7 - to as usize) + from)
}
