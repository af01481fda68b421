//! The one place that chooses how DES is computed.
//!
//! Everything above names a [`Kernel`] at most; everything below is one way of computing the same
//! values, and has to agree with `reference`, which is short and read beside the standard.

pub(crate) mod decimalize;
pub(crate) mod reference;

use crate::card::{Cvv, CvvLength, PackedCard};
use crate::key::KeyMaterial;

/// A way of computing card verification values on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kernel(Choice);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Choice {
    Reference,
}

impl Kernel {
    /// The fastest kernel that this machine can run.
    #[must_use]
    pub fn detect() -> Self {
        Self(Choice::Reference)
    }

    /// Every kernel that this machine can run, for tests and benchmarks.
    pub fn all() -> impl Iterator<Item = Self> {
        [Choice::Reference].into_iter().map(Self)
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
        }
    }

    /// Fills `out` with the values of `cards`; the two have the same length.
    ///
    /// `None` if the known-answer card came out wrong: what is in `out` then must not leave.
    #[must_use]
    pub(crate) fn generate(
        self,
        key: &KeyMaterial,
        cards: &[PackedCard],
        length: CvvLength,
        out: &mut [Cvv],
    ) -> Option<Proof> {
        match self.0 {
            Choice::Reference => reference::generate(key, cards, length, out),
        }
    }
}

/// Says that a known-answer card was computed beside the others and came out right.
pub(crate) struct Proof(());
