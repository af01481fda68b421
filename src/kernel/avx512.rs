//! AVX-512: 512 cards a pass, three-input circuits. Needs AVX-512F and AVX-512BW.

use core::arch::asm;
use core::arch::x86_64::{
    __m512i, _MM_HINT_T1, _mm_cvtsi32_si128, _mm_extract_epi64, _mm_loadu_si128, _mm_prefetch,
    _mm512_and_si512, _mm512_andnot_si512, _mm512_castsi128_si512, _mm512_extracti32x4_epi32,
    _mm512_inserti32x4, _mm512_loadu_si512, _mm512_or_si512, _mm512_permutexvar_epi32,
    _mm512_set1_epi32, _mm512_setr_epi32, _mm512_sll_epi32, _mm512_srl_epi32, _mm512_storeu_si512,
    _mm512_unpackhi_epi8, _mm512_unpackhi_epi16, _mm512_unpacklo_epi8, _mm512_unpacklo_epi16,
    _mm512_xor_si512,
};
use core::mem::MaybeUninit;

use super::avx512_permute;
use super::bitslice::{self, BitsliceKey, Halves, Lanes, Lut3, Word, pack, sbox_lut3};
use super::known::KnownAnswer;
use super::material::KeyMaterial;
use super::passes::Engine;
use crate::card::{Cvv, PackedCard};

/// Proof that the machine has the AVX-512 features that the kernel of that name is made of: F, BW,
/// VL and VBMI, and beside them GFNI, BMI2 and POPCNT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct HasAvx512(());

impl HasAvx512 {
    /// The proof, if it holds.
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

    /// None: each small pass compares what it reads itself.
    fn small_faults(self, _: &KeyMaterial) -> u64 {
        0
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
    fn update<const BIT: usize>(self, _: HasAvx512, old: Self, masks: &[u32; 4]) -> Self {
        // SAFETY: made from a witness, so there is AVX-512F.
        Self(unsafe { update::<BIT>(self.0, old.0, masks) })
    }

    #[inline(always)]
    fn select(self, ones: Self, zeros: Self) -> Self {
        Self::lut3::<0xb8>(zeros, self, ones)
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
    fn last(self) -> u8 {
        // SAFETY: made from a witness, so there is AVX-512F, and SSE4.1 with it.
        unsafe { _mm_extract_epi64::<1>(_mm512_extracti32x4_epi32::<3>(self.0)) }.to_le_bytes()[7]
            >> 7
    }

    #[inline(always)]
    fn pack<'a>(
        isa: HasAvx512,
        cards: &[PackedCard],
        filler: &PackedCard,
        blocks: &'a mut MaybeUninit<[Halves<Self>; 2]>,
    ) -> &'a mut [Halves<Self>; 2] {
        pack::pack(isa, cards, filler, blocks)
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
        Self(unsafe { ternary::<TABLE>(a.0, b.0, c.0) })
    }
}

/// `vpternlogd` with `a` in the place of its destination, which is why this is not the intrinsic:
/// compilers take the three sources of that for interchangeable. On Zen 4 they are not: if the
/// source in the destination's place is the last to be computed, the instruction issues at up to
/// 1.75 a cycle, and at 1.0 if another one is.
#[target_feature(enable = "avx512f")]
#[inline]
fn ternary<const TABLE: i32>(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    let result;
    // SAFETY: one instruction that reads and writes registers only.
    unsafe {
        asm!(
            "vpternlogd {a}, {b}, {c}, {table}",
            a = inlateout(zmm_reg) a => result,
            b = in(zmm_reg) b,
            c = in(zmm_reg) c,
            table = const TABLE,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    result
}

/// `a ^ old ^ masks[BIT]` in one instruction, which reads the mask where it stands. Left to the
/// compiler it is two; written by hand also because of what [`ternary`] says of its destination.
#[target_feature(enable = "avx512f")]
#[inline]
fn update<const BIT: usize>(a: __m512i, old: __m512i, masks: &[u32; 4]) -> __m512i {
    let result;
    // SAFETY: one instruction that writes a register only, and reads the four bytes of
    // `masks[BIT]`; more than three is no `BIT`.
    unsafe {
        asm!(
            "vpternlogd {a}, {old}, dword ptr [{masks} + {offset}]{{1to16}}, 0x96",
            a = inlateout(zmm_reg) a => result,
            old = in(zmm_reg) old,
            masks = in(reg) masks.as_ptr(),
            offset = const { assert!(BIT < 4, "there are four masks"); 4 * BIT },
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    result
}

impl Lanes for Avx512 {
    #[inline(always)]
    fn fill<'a>(
        isa: HasAvx512,
        cards: &[PackedCard],
        filler: &PackedCard,
        blocks: &'a mut MaybeUninit<[Halves<Self>; 2]>,
    ) -> &'a mut [Halves<Self>; 2] {
        let to: *mut Halves<Self> = blocks.as_mut_ptr().cast();
        for number in 0..8 {
            for (byte, row) in pack::group(isa, cards, filler, number).into_iter().enumerate() {
                let (half, at) = Halves::<Self>::place(byte % 8, number);
                let row = if byte < PackedCard::BYTES { row } else { Self::splat(isa, 0) };
                // SAFETY: two blocks of two halves of 32 planes follow each other, and `byte / 8`,
                // `half` and `at` are numbers of theirs.
                unsafe { to.add(byte / 8).cast::<Self>().add(32 * half + at).write(row) }
            }
        }
        // SAFETY: 16 bytes of 8 groups have been written, each to a place of its own: all 128
        // planes.
        unsafe { blocks.assume_init_mut() }
    }

    #[inline(always)]
    fn load(_: HasAvx512, cards: &[PackedCard]) -> Self {
        let row: &[PackedCard; 4] = cards.try_into().expect("a row is four cards");
        // SAFETY: the witness proves AVX-512F; four cards are 64 bytes, and the load asks for no
        // alignment.
        Self(unsafe { _mm512_loadu_si512(row.as_ptr().cast()) })
    }

    #[inline(always)]
    fn load_padded(_: HasAvx512, cards: &[PackedCard], filler: &PackedCard) -> Self {
        let at = |index: usize| cards.get(index).unwrap_or(filler).blocks().as_ptr().cast();
        // SAFETY: the witness proves AVX-512F; a card is 16 bytes, and the loads ask for no
        // alignment.
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
        // SAFETY: made from a witness, so there is AVX-512F; sixteen values are 64 bytes, any bits
        // are a `Cvv`, and the store asks for no alignment.
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
