//! The key schedule of DES, as plain as in the standard.
//!
//! # Source
//!
//! FIPS PUB 46-3, appendix 1: tables PC-1, PC-2 and the shifts.

/// What one round has of the key.
pub(crate) struct Round {
    /// C, then D: 28 bits each.
    pub(crate) halves: u64,
    /// The round key: 48 bits.
    pub(crate) key: u64,
}

/// The 16 rounds of a key; parity bits are ignored.
pub(crate) fn rounds(key: &[u8; 8]) -> Vec<Round> {
    let mut halves = choose(u64::from_be_bytes(*key), 64, &PC1);
    SHIFTS
        .iter()
        .map(|shift| {
            let rotate = |half: u64| (half << shift | half >> (28 - shift)) & HALF;
            halves = rotate(halves >> 28) << 28 | rotate(halves & HALF);
            Round { halves, key: choose(halves, 56, &PC2) }
        })
        .collect()
}

/// The bits of `from` (`width` bits, the first is the most significant) that `table` names from 1.
fn choose(from: u64, width: u32, table: &[u32]) -> u64 {
    table.iter().fold(0, |chosen, bit| chosen << 1 | from >> (width - bit) & 1)
}

const HALF: u64 = (1 << 28) - 1;

const SHIFTS: [u32; 16] = [1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1];

const PC1: [u32; 56] = [
    57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60,
    52, 44, 36, 63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29,
    21, 13, 5, 28, 20, 12, 4,
];

const PC2: [u32; 48] = [
    14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2, 41, 52,
    31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_example_of_a_key_schedule() {
        // J. Orlin Grabbe, "The DES Algorithm Illustrated": key 133457799BBCDFF1.
        let rounds = rounds(&0x1334_5779_9BBC_DFF1_u64.to_be_bytes());
        assert_eq!(rounds[0].halves, 0x00E1_9955_FAAC_CF1E);
        assert_eq!(rounds[0].key, 0x1B02_EFFC_7072);
        assert_eq!(rounds[15].key, 0xCB3D_8B0E_17F5);
    }
}
