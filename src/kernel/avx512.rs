//! AVX-512: 512 cards a pass, three-input circuits. Needs AVX-512F and AVX-512BW.

use core::arch::x86_64::{
    __m512i, _MM_HINT_T1, _mm_cvtsi32_si128, _mm_loadu_si128, _mm_prefetch, _mm512_and_si512,
    _mm512_andnot_si512, _mm512_castsi128_si512, _mm512_inserti32x4, _mm512_loadu_si512,
    _mm512_or_si512, _mm512_permutexvar_epi32, _mm512_set1_epi32, _mm512_setr_epi32,
    _mm512_sll_epi32, _mm512_srl_epi32, _mm512_storeu_si512, _mm512_ternarylogic_epi32,
    _mm512_unpackhi_epi8, _mm512_unpackhi_epi16, _mm512_unpacklo_epi8, _mm512_unpacklo_epi16,
    _mm512_xor_si512,
};

use super::avx512_permute;
use super::bitslice::{self, BitsliceKey, Halves, Lanes, Word, pack};
use super::bitslice::{Lut3, sbox_lut3};
use super::known::KnownAnswer;
use super::material::KeyMaterial;
use super::passes::Engine;
use crate::card::{Cvv, PackedCard};

/// Proof that the machine has the AVX-512 features that the kernel of that name is made of: F, BW, VL
/// and VBMI, and beside them GFNI, BMI2 and POPCNT. Every processor with the first four has the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct HasAvx512(());

impl HasAvx512 {
    /// The proof, if it holds.
    #[cfg(feature = "std")]
    pub(super) fn detect() -> Option<Self> {
        let all = std::is_x86_feature_detected!("avx512f")
            && std::is_x86_feature_detected!("avx512bw")
            && std::is_x86_feature_detected!("avx512vl")
            && std::is_x86_feature_detected!("avx512vbmi")
            && std::is_x86_feature_detected!("gfni")
            && std::is_x86_feature_detected!("bmi2")
            && std::is_x86_feature_detected!("popcnt");
        all.then_some(Self(()))
    }
}

/// One pass of up to 511 cards, three digits: 0 if the known answer came out right.
#[inline(always)]
#[must_use]
pub(super) fn pass3(
    isa: HasAvx512,
    key: &BitsliceKey,
    known: &KnownAnswer,
    cards: &[PackedCard],
    out: &mut [Cvv],
) -> u32 {
    // SAFETY: `isa` proves that the machine has the features of the entry.
    unsafe { entry3(isa, key, known, cards, out) }
}

/// As [`pass3`], five digits.
#[inline(always)]
#[must_use]
pub(super) fn pass5(
    isa: HasAvx512,
    key: &BitsliceKey,
    known: &KnownAnswer,
    cards: &[PackedCard],
    out: &mut [Cvv],
) -> u32 {
    // SAFETY: `isa` proves that the machine has the features of the entry.
    unsafe { entry5(isa, key, known, cards, out) }
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline(never)]
fn entry3(
    isa: HasAvx512,
    key: &BitsliceKey,
    known: &KnownAnswer,
    cards: &[PackedCard],
    out: &mut [Cvv],
) -> u32 {
    bitslice::pass::<Avx512, 3>(isa, key, known, cards, out)
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline(never)]
fn entry5(
    isa: HasAvx512,
    key: &BitsliceKey,
    known: &KnownAnswer,
    cards: &[PackedCard],
    out: &mut [Cvv],
) -> u32 {
    bitslice::pass::<Avx512, 5>(isa, key, known, cards, out)
}

impl Engine for HasAvx512 {
    const BULK: usize = 511;
    const SMALL: usize = avx512_permute::CARDS_MAX;
    const BULK_FROM: usize = 320;

    fn bulk_faults(self, key: &KeyMaterial) -> u64 {
        key.bitslice_faults()
    }

    fn small_faults(self, key: &KeyMaterial) -> u64 {
        avx512_permute::faults(self, key)
    }

    fn bulk3(self, key: &KeyMaterial, cards: &[PackedCard], out: &mut [Cvv]) -> u64 {
        u64::from(pass3(self, key.bitslice(), key.known(), cards, out))
    }

    fn bulk5(self, key: &KeyMaterial, cards: &[PackedCard], out: &mut [Cvv]) -> u64 {
        u64::from(pass5(self, key.bitslice(), key.known(), cards, out))
    }

    fn small(self, key: &KeyMaterial, digits: u32, cards: &[PackedCard], out: &mut [Cvv]) -> u64 {
        avx512_permute::pass(self, key.permute(), key.known(), digits, cards, out)
    }
}

/// 512 bits.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Avx512(__m512i);

impl Word for Avx512 {
    type Isa = HasAvx512;
    const CARDS: usize = 512;

    #[inline(always)]
    fn splat(_: HasAvx512, mask: u32) -> Self {
        // SAFETY: the witness proves AVX-512F.
        Self(unsafe { _mm512_set1_epi32(mask.cast_signed()) })
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: made from a witness, so there is AVX-512F.
        Self(unsafe { _mm512_xor_si512(self.0, other.0) })
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        // SAFETY: made from a witness, so there is AVX-512F.
        Self(unsafe { _mm512_and_si512(self.0, other.0) })
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        // SAFETY: made from a witness, so there is AVX-512F.
        Self(unsafe { _mm512_or_si512(self.0, other.0) })
    }

    #[inline(always)]
    fn andn(self, other: Self) -> Self {
        // SAFETY: made from a witness, so there is AVX-512F.
        Self(unsafe { _mm512_andnot_si512(self.0, other.0) })
    }

    #[inline(always)]
    fn xor3(self, b: Self, c: Self) -> Self {
        Self::lut3::<0x96>(self, b, c)
    }

    #[inline(always)]
    fn select(self, ones: Self, zeros: Self) -> Self {
        Self::lut3::<0xca>(self, ones, zeros)
    }

    #[inline(always)]
    fn sbox<const BOX: usize>(input: [Self; 6]) -> [Self; 4] {
        match BOX {
            0 => sbox_lut3::s1(input),
            1 => sbox_lut3::s2(input),
            2 => sbox_lut3::s3(input),
            3 => sbox_lut3::s4(input),
            4 => sbox_lut3::s5(input),
            5 => sbox_lut3::s6(input),
            6 => sbox_lut3::s7(input),
            _ => sbox_lut3::s8(input),
        }
    }

    #[inline(always)]
    fn pack(
        isa: HasAvx512,
        cards: &[PackedCard],
        filler: &PackedCard,
        blocks: &mut [Halves<Self>; 2],
    ) {
        pack::pack(isa, cards, filler, blocks);
    }

    #[inline(always)]
    fn unpack<const SLOTS: usize>(
        isa: HasAvx512,
        digits: &[[Self; 4]; SLOTS],
        spare: &mut [Self; 32],
        out: &mut [Cvv],
    ) -> u32 {
        pack::unpack(isa, digits, spare, out)
    }
}

impl Lut3 for Avx512 {
    #[inline(always)]
    fn lut3<const TABLE: i32>(a: Self, b: Self, c: Self) -> Self {
        // SAFETY: made from a witness, so there is AVX-512F.
        Self(unsafe { _mm512_ternarylogic_epi32::<TABLE>(a.0, b.0, c.0) })
    }
}

impl Lanes for Avx512 {
    #[inline(always)]
    fn load(_: HasAvx512, cards: &[PackedCard]) -> Self {
        let row: &[PackedCard; 4] = cards.try_into().expect("a row is four cards");
        // SAFETY: the witness proves AVX-512F; four cards are 64 bytes, and the load asks for no alignment.
        Self(unsafe { _mm512_loadu_si512(row.as_ptr().cast()) })
    }

    #[inline(always)]
    fn load_padded(_: HasAvx512, cards: &[PackedCard], filler: &PackedCard) -> Self {
        let at = |index: usize| cards.get(index).unwrap_or(filler).blocks().as_ptr().cast();
        // SAFETY: the witness proves AVX-512F; a card is 16 bytes, and the loads ask for no alignment.
        unsafe {
            let row = _mm512_castsi128_si512(_mm_loadu_si128(at(0)));
            let row = _mm512_inserti32x4::<1>(row, _mm_loadu_si128(at(1)));
            let row = _mm512_inserti32x4::<2>(row, _mm_loadu_si128(at(2)));
            Self(_mm512_inserti32x4::<3>(row, _mm_loadu_si128(at(3))))
        }
    }

    #[inline(always)]
    fn prefetch(_: HasAvx512, at: *const PackedCard) {
        // SAFETY: every x86-64 has SSE; a prefetch reads nothing, so that any address will do.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }

    #[inline(always)]
    fn store(self, values: &mut [Cvv]) {
        let row: &mut [Cvv; 16] = values.try_into().expect("a row is sixteen values");
        // SAFETY: made from a witness, so there is AVX-512F; sixteen values are 64 bytes, any bits are a `Cvv`, and the store
        // asks for no alignment.
        unsafe { _mm512_storeu_si512(row.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    fn interleave_bytes(self, other: Self) -> [Self; 2] {
        // SAFETY: made from a witness, so there is AVX-512BW.
        unsafe {
            [
                Self(_mm512_unpacklo_epi8(self.0, other.0)),
                Self(_mm512_unpackhi_epi8(self.0, other.0)),
            ]
        }
    }

    #[inline(always)]
    fn interleave_pairs(self, other: Self) -> [Self; 2] {
        // SAFETY: made from a witness, so there is AVX-512BW.
        unsafe {
            [
                Self(_mm512_unpacklo_epi16(self.0, other.0)),
                Self(_mm512_unpackhi_epi16(self.0, other.0)),
            ]
        }
    }

    #[inline(always)]
    fn shift_left<const BY: i32>(self) -> Self {
        // SAFETY: made from a witness, so there is AVX-512F.
        Self(unsafe { _mm512_sll_epi32(self.0, _mm_cvtsi32_si128(BY)) })
    }

    #[inline(always)]
    fn shift_right<const BY: i32>(self) -> Self {
        // SAFETY: made from a witness, so there is AVX-512F.
        Self(unsafe { _mm512_srl_epi32(self.0, _mm_cvtsi32_si128(BY)) })
    }

    #[inline(always)]
    fn order(self) -> Self {
        // SAFETY: made from a witness, so there is AVX-512F.
        unsafe {
            // Place 4 * i + j holds value 4 * j + i.
            let from = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            Self(_mm512_permutexvar_epi32(from, self.0))
        }
    }
}
