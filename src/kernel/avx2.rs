//! AVX2: 256 cards a pass, two-input circuits.

use core::arch::x86_64::{
    __m256i, _MM_HINT_T1, _mm_prefetch, _mm256_and_si256, _mm256_andnot_si256,
    _mm256_extract_epi64, _mm256_loadu_si256, _mm256_loadu2_m128i, _mm256_or_si256,
    _mm256_permutevar8x32_epi32, _mm256_set1_epi32, _mm256_setr_epi32, _mm256_slli_epi32,
    _mm256_srli_epi32, _mm256_storeu_si256, _mm256_unpackhi_epi8, _mm256_unpackhi_epi16,
    _mm256_unpacklo_epi8, _mm256_unpacklo_epi16, _mm256_xor_si256,
};
use core::mem::MaybeUninit;

use super::avx2_row;
use super::bitslice::{self, BitsliceKey, Halves, Lanes, Word, pack};
use super::known::KnownAnswer;
use super::material::KeyMaterial;
use super::passes::Engine;
use crate::card::{Cvv, PackedCard};

/// Proof that the machine has AVX2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct HasAvx2(());

impl HasAvx2 {
    /// The proof, if it holds.
    pub(super) fn detect() -> Option<Self> {
        std::is_x86_feature_detected!("avx2").then_some(Self(()))
    }
}

/// One pass of up to 255 cards, three digits: 0 if the known answer came out right.
#[inline(always)]
#[must_use]
pub(super) fn pass3(
    isa: HasAvx2,
    key: &BitsliceKey,
    known: &KnownAnswer,
    cards: &[PackedCard],
    out: &mut [Cvv],
) -> u32 {
    // SAFETY: `isa` proves that the machine has the feature of the entry.
    unsafe { entry3(isa, key, known, cards, out) }
}

/// As [`pass3`], five digits.
#[inline(always)]
#[must_use]
pub(super) fn pass5(
    isa: HasAvx2,
    key: &BitsliceKey,
    known: &KnownAnswer,
    cards: &[PackedCard],
    out: &mut [Cvv],
) -> u32 {
    // SAFETY: `isa` proves that the machine has the feature of the entry.
    unsafe { entry5(isa, key, known, cards, out) }
}

#[target_feature(enable = "avx2")]
#[inline(never)]
fn entry3(
    isa: HasAvx2,
    key: &BitsliceKey,
    known: &KnownAnswer,
    cards: &[PackedCard],
    out: &mut [Cvv],
) -> u32 {
    bitslice::pass::<Avx2, 3>(isa, key, known, cards, out)
}

#[target_feature(enable = "avx2")]
#[inline(never)]
fn entry5(
    isa: HasAvx2,
    key: &BitsliceKey,
    known: &KnownAnswer,
    cards: &[PackedCard],
    out: &mut [Cvv],
) -> u32 {
    bitslice::pass::<Avx2, 5>(isa, key, known, cards, out)
}

impl Engine for HasAvx2 {
    const BULK: usize = 255;
    const SMALL: usize = 1;
    const BULK_FROM: usize = 8;

    fn bulk_faults(self, key: &KeyMaterial) -> u64 {
        key.bitslice_faults()
    }

    fn small_faults(self, key: &KeyMaterial) -> u64 {
        key.row_faults()
    }

    fn bulk3(self, key: &KeyMaterial, cards: &[PackedCard], out: &mut [Cvv]) -> u64 {
        u64::from(pass3(self, key.bitslice(), key.known(), cards, out))
    }

    fn bulk5(self, key: &KeyMaterial, cards: &[PackedCard], out: &mut [Cvv]) -> u64 {
        u64::from(pass5(self, key.bitslice(), key.known(), cards, out))
    }

    fn small(self, key: &KeyMaterial, digits: u32, cards: &[PackedCard], out: &mut [Cvv]) -> u64 {
        avx2_row::pass(self, key.row(), key.known(), digits, cards, out)
    }
}

/// 256 bits.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Avx2(__m256i);

impl Word for Avx2 {
    type Isa = HasAvx2;
    const CARDS: usize = 256;

    #[inline(always)]
    fn splat(_: HasAvx2, mask: u32) -> Self {
        // SAFETY: the witness proves AVX2.
        Self(unsafe { _mm256_set1_epi32(mask.cast_signed()) })
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: made from a witness, so there is AVX2.
        Self(unsafe { _mm256_xor_si256(self.0, other.0) })
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        // SAFETY: made from a witness, so there is AVX2.
        Self(unsafe { _mm256_and_si256(self.0, other.0) })
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        // SAFETY: made from a witness, so there is AVX2.
        Self(unsafe { _mm256_or_si256(self.0, other.0) })
    }

    #[inline(always)]
    fn andn(self, other: Self) -> Self {
        // SAFETY: made from a witness, so there is AVX2.
        Self(unsafe { _mm256_andnot_si256(self.0, other.0) })
    }

    #[inline(always)]
    fn last(self) -> u8 {
        // SAFETY: made from a witness, so there is AVX2.
        unsafe { _mm256_extract_epi64::<3>(self.0) }.to_le_bytes()[7] >> 7
    }

    #[inline(always)]
    fn pack<'a>(
        isa: HasAvx2,
        cards: &[PackedCard],
        filler: &PackedCard,
        blocks: &'a mut MaybeUninit<[Halves<Self>; 2]>,
    ) -> &'a mut [Halves<Self>; 2] {
        pack::pack(isa, cards, filler, blocks)
    }

    #[inline(always)]
    fn unpack<const SLOTS: usize>(
        isa: HasAvx2,
        digits: &[[Self; 4]; SLOTS],
        spare: &mut [Self; 32],
        out: &mut [Cvv],
    ) -> u32 {
        pack::unpack(isa, digits, spare, out)
    }
}

impl Lanes for Avx2 {
    #[inline(always)]
    fn load(_: HasAvx2, cards: &[PackedCard]) -> Self {
        let row: &[PackedCard; 2] = cards.try_into().expect("a row is two cards");
        // SAFETY: the witness proves AVX2; two cards are 32 bytes, and the load asks for no
        // alignment.
        Self(unsafe { _mm256_loadu_si256(row.as_ptr().cast()) })
    }

    #[inline(always)]
    fn load_padded(_: HasAvx2, cards: &[PackedCard], filler: &PackedCard) -> Self {
        let at = |index: usize| cards.get(index).unwrap_or(filler).blocks().as_ptr().cast();
        // SAFETY: the witness proves AVX2; a card is 16 bytes, and the loads ask for no alignment.
        Self(unsafe { _mm256_loadu2_m128i(at(1), at(0)) })
    }

    #[inline(always)]
    fn prefetch(_: HasAvx2, at: *const PackedCard) {
        // SAFETY: every x86-64 has SSE; a prefetch reads nothing, so that any address will do.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }

    #[inline(always)]
    fn store(self, values: &mut [Cvv]) {
        let row: &mut [Cvv; 8] = values.try_into().expect("a row is eight values");
        // SAFETY: made from a witness, so there is AVX2; eight values are 32 bytes, any bits are a
        // `Cvv`, and the store asks for no alignment.
        unsafe { _mm256_storeu_si256(row.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    fn interleave_bytes(self, other: Self) -> [Self; 2] {
        // SAFETY: made from a witness, so there is AVX2.
        unsafe {
            [
                Self(_mm256_unpacklo_epi8(self.0, other.0)),
                Self(_mm256_unpackhi_epi8(self.0, other.0)),
            ]
        }
    }

    #[inline(always)]
    fn interleave_pairs(self, other: Self) -> [Self; 2] {
        // SAFETY: made from a witness, so there is AVX2.
        unsafe {
            [
                Self(_mm256_unpacklo_epi16(self.0, other.0)),
                Self(_mm256_unpackhi_epi16(self.0, other.0)),
            ]
        }
    }

    #[inline(always)]
    fn shift_left<const BY: i32>(self) -> Self {
        // SAFETY: made from a witness, so there is AVX2.
        Self(unsafe { _mm256_slli_epi32::<BY>(self.0) })
    }

    #[inline(always)]
    fn shift_right<const BY: i32>(self) -> Self {
        // SAFETY: made from a witness, so there is AVX2.
        Self(unsafe { _mm256_srli_epi32::<BY>(self.0) })
    }

    #[inline(always)]
    fn order(self) -> Self {
        // SAFETY: made from a witness, so there is AVX2.
        unsafe {
            // Place 4 * i + j holds value 2 * j + i.
            let from = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
            Self(_mm256_permutevar8x32_epi32(self.0, from))
        }
    }
}
