//! The one place that chooses how DES is computed.
//!
//! Everything above names a [`Kernel`] at most; everything below is one way of computing the same
//! values, and has to agree with `reference`, which is short and read beside the standard.
//!
//! | module | holds |
//! |---|---|
//! | `material` | what kernels read of a key: its bytes, each kernel's form of it, the known answer |
//! | `known` | the known-answer card, by which every pass proves itself |
//! | `bitslice` | bulk: a plane for each bit of 64, 256 or 512 cards, generic over the word |
//! | `permute` | small calls on AVX-512: a byte lane for each card, S-boxes as permutations |
//! | `portable`, `avx2`, `avx512` | the words, and the entries compiled for them |
//! | `portable_row`, `avx2_row`, `avx512_permute` | small calls |
//! | `passes` | bulk passes, then the rest by whichever is cheaper |
//! | `fips`, `routes` | the tables of FIPS 46-3, and the way of its wires through byte lanes |
//! | `decimalize` | the digits of one result |
//! | `reference` | the oracle; its look-ups depend on key and card |
#![allow(
    clippy::inline_always,
    reason = "left behind in a function of its own, a vector intrinsic is a call: the same code is \
              correct and fifty times slower"
)]
#![cfg_attr(
    not(all(target_arch = "x86_64", feature = "std")),
    allow(dead_code, unused_imports, reason = "what vectors need; only `portable` is left")
)]
#![allow(
    clippy::cast_possible_truncation,
    reason = "kernels cut words into digits and bytes; a branch that checks would depend on them"
)]

mod bitslice;
mod decimalize;
mod fips;
mod known;
mod material;
mod passes;
mod portable;
mod portable_row;
pub(crate) mod reference;
#[cfg(all(target_arch = "x86_64", feature = "std"))]
mod routes;

#[cfg(all(target_arch = "x86_64", feature = "std"))]
#[allow(unsafe_code, reason = "AVX2 intrinsics, each behind the witness")]
mod avx2;
#[cfg(all(target_arch = "x86_64", feature = "std"))]
#[allow(unsafe_code, reason = "AVX2 intrinsics, each behind the witness")]
mod avx2_row;
#[cfg(all(target_arch = "x86_64", feature = "std"))]
#[allow(unsafe_code, reason = "AVX-512 intrinsics, each behind the witness")]
mod avx512;
#[cfg(all(target_arch = "x86_64", feature = "std"))]
#[allow(unsafe_code, reason = "AVX-512 intrinsics, each behind the witness")]
mod avx512_permute;
#[cfg(all(target_arch = "x86_64", feature = "std"))]
mod permute;

#[cfg(test)]
mod tests;

use core::fmt;

#[cfg(all(target_arch = "x86_64", feature = "std"))]
use self::avx2::HasAvx2;
#[cfg(all(target_arch = "x86_64", feature = "std"))]
use self::avx512::HasAvx512;
pub(crate) use self::material::KeyMaterial;
use crate::card::{Cvv, CvvLength, PackedCard};

/// A way of computing card verification values on this machine.
///
/// | name | small calls | bulk | needs |
/// |---|---|---|---|
/// | `avx512` | byte lanes, 63 cards a pass | bitslice, 511 cards a pass | AVX-512 F, BW, VL, VBMI; GFNI, BMI2, POPCNT |
/// | `avx2` | S-boxes side by side, one card | bitslice, 255 cards a pass | AVX2 |
/// | `portable` | S-boxes side by side, one card | bitslice, 63 cards a pass | nothing |
/// | `reference` | RustCrypto's `des` | the same | nothing |
///
/// All but `reference` run the same instructions at the same addresses for every key and card. No
/// pass allocates. Of a key they keep a fixed form of some 12 KiB; of cards nothing: what they use
/// of the stack is zeroized before they return.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kernel(Choice);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Choice {
    Reference,
    Portable,
    #[cfg(all(target_arch = "x86_64", feature = "std"))]
    Avx2(HasAvx2),
    #[cfg(all(target_arch = "x86_64", feature = "std"))]
    Avx512(HasAvx512),
}

impl Kernel {
    /// The fastest kernel that this machine can run. Without the feature `std` it is `portable`.
    #[must_use]
    pub fn detect() -> Self {
        #[cfg(all(target_arch = "x86_64", feature = "std"))]
        {
            if let Some(isa) = HasAvx512::detect() {
                return Self(Choice::Avx512(isa));
            }
            if let Some(isa) = HasAvx2::detect() {
                return Self(Choice::Avx2(isa));
            }
        }
        Self(Choice::Portable)
    }

    /// Every kernel that this machine can run, for tests and benchmarks; `reference` is the first.
    pub fn all() -> impl Iterator<Item = Self> {
        [Some(Choice::Reference), Some(Choice::Portable)]
            .into_iter()
            .chain(detected())
            .flatten()
            .map(Self)
    }

    /// The kernel with this [`name`](Self::name), if this machine can run it.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::all().find(|kernel| kernel.name() == name)
    }

    /// What operators call the kernel.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            Choice::Reference => "reference",
            Choice::Portable => "portable",
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            Choice::Avx2(_) => "avx2",
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            Choice::Avx512(_) => "avx512",
        }
    }

    /// Fills `out` with the values of `cards`; the two have the same length.
    ///
    /// `None` if a known-answer card came out wrong: what is in `out` then must not leave.
    #[must_use]
    pub(crate) fn generate(
        self,
        key: &KeyMaterial,
        cards: &[PackedCard],
        length: CvvLength,
        out: &mut [Cvv],
    ) -> Option<Proof> {
        let proven = match self.0 {
            Choice::Reference => reference::generate(key, cards, length, out),
            Choice::Portable => passes::run(portable::Portable, key, cards, length, out),
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            Choice::Avx2(isa) => passes::run(isa, key, cards, length, out),
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            Choice::Avx512(isa) => passes::run(isa, key, cards, length, out),
        };
        proven.then_some(Proof(()))
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kernel({})", self.name())
    }
}

/// Says that a known-answer card was computed in every pass and came out right.
pub(crate) struct Proof(());

#[cfg(all(target_arch = "x86_64", feature = "std"))]
fn detected() -> [Option<Choice>; 2] {
    [HasAvx2::detect().map(Choice::Avx2), HasAvx512::detect().map(Choice::Avx512)]
}

#[cfg(not(all(target_arch = "x86_64", feature = "std")))]
fn detected() -> [Option<Choice>; 0] {
    []
}
