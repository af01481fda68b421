//! Random inputs: fast, and unknown to the branch predictor. Nothing here has to be secret.

use std::hash::{BuildHasher, RandomState};

/// `SplitMix64` (G. L. Steele, D. Lea, C. H. Flood, 2014), started anew each time.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        // The standard library seeds its hash maps with the operating system's random bytes.
        Self(RandomState::new().hash_one(0))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    pub(crate) fn key(&mut self) -> [u8; 16] {
        let [a, b] = [self.next(), self.next()].map(u64::to_le_bytes);
        core::array::from_fn(|i| if i < 8 { a[i] } else { b[i - 8] })
    }

    /// The text of a PAN of 16 digits.
    pub(crate) fn pan(&mut self) -> String {
        format!("{:016}", self.next() % 10_u64.pow(16))
    }
}
