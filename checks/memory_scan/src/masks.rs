//! Round keys as masks: one word of zeros or ones for each bit, as a bitsliced kernel has them.

use std::collections::HashSet;

/// Bytes of one mask: integers of 8 to 64 bits and vectors of 128 to 512.
pub(crate) const SIZES: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];

/// Every run of [`BITS`] consecutive bits of the round keys, in both directions, inverted or not.
pub(crate) struct Runs(HashSet<u32>);

impl Runs {
    pub(crate) fn new(round_keys: &[u64]) -> Self {
        let windows = |key: u64| (0..=48 - BITS).map(move |by| low_bits(key >> by));
        let runs = round_keys.iter().copied().flat_map(windows);
        Self(runs.flat_map(|run| [run, !run, run.reverse_bits(), !run.reverse_bits()]).collect())
    }

    /// Where in `memory` masks of `size` bytes spell one of the runs.
    pub(crate) fn places(&self, memory: &[u8], size: usize) -> Vec<usize> {
        // Masks of vectors need not be aligned to their whole size.
        let step = size.min(8);
        (0..size).step_by(step).flat_map(|start| self.places_from(memory, size, start)).collect()
    }

    fn places_from(&self, memory: &[u8], size: usize, start: usize) -> Vec<usize> {
        let mut places = Vec::new();
        let (mut run, mut bits) = (0_u32, 0);
        for (number, mask) in memory.get(start..).unwrap_or(&[]).chunks_exact(size).enumerate() {
            let first = mask[0];
            if !(first == 0 || first == 0xFF) || mask.iter().any(|byte| *byte != first) {
                bits = 0;
                continue;
            }
            run = run << 1 | u32::from(first & 1);
            bits += 1;
            // Long runs of equal bits are empty memory.
            if bits >= BITS && run != 0 && run != u32::MAX && self.0.contains(&run) {
                places.push(start + number * size);
            }
        }
        places
    }
}

/// A round key as masks of `size` bytes.
pub(crate) fn spell(round_key: u64, size: usize) -> Vec<u8> {
    (0..48)
        .rev()
        .map(|bit| if round_key >> bit & 1 == 1 { 0xFF } else { 0 })
        .flat_map(|mask| std::iter::repeat_n(mask, size))
        .collect()
}

#[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
fn low_bits(bits: u64) -> u32 {
    bits as u32
}

/// How many bits have to be spelled: two thirds of a round key.
const BITS: u32 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_of_every_size_are_found_at_every_aligned_place() {
        let round_key = 0x1B02_EFFC_7072;
        for size in SIZES {
            for before in (0..=64).step_by(size.min(8)) {
                let memory = [vec![0xA5; before], spell(round_key, size), vec![0xA5; 9]].concat();
                assert!(!Runs::new(&[round_key]).places(&memory, size).is_empty());
                assert!(Runs::new(&[round_key ^ 0xFF_FFFF]).places(&memory, size).is_empty());
            }
        }
    }
}
