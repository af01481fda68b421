//! The eight DES S-boxes as the standard prints them, and as truth tables.
//!
//! # Source
//! FIPS PUB 46-3, appendix 1, "Primitive functions for the data encryption algorithm".

/// Number of S-boxes.
pub(crate) const BOXES: usize = 8;
/// Inputs of an S-box.
pub(crate) const INPUTS: usize = 6;
/// Outputs of an S-box.
pub(crate) const OUTPUTS: usize = 4;

/// Truth table of input `i` of an S-box: bit `v` is the value of that input when the six inputs
/// together spell the number `v`. Input 0 is the most significant bit (`b1` in the standard).
#[must_use]
pub(crate) const fn input(i: usize) -> u64 {
    assert!(i < INPUTS, "an S-box has six inputs");
    let mut table = 0;
    let mut v = 0;
    while v < 64 {
        table |= ((v >> (INPUTS - 1 - i)) & 1) << v;
        v += 1;
    }
    table
}

/// Truth tables of the four outputs of S-box `index` (0 for S1), the most significant output first.
#[must_use]
pub(crate) fn outputs(index: usize) -> [u64; OUTPUTS] {
    let mut tables = [0; OUTPUTS];
    for v in 0..64 {
        let value = lookup(index, v);
        for (i, table) in tables.iter_mut().enumerate() {
            *table |= u64::from((value >> (OUTPUTS - 1 - i)) & 1) << v;
        }
    }
    tables
}

/// What S-box `index` (0 for S1) gives for the six-bit input `v`: `b1 b6` name the row of the
/// standard's table and `b2 b3 b4 b5` the column.
#[must_use]
pub(crate) fn lookup(index: usize, v: usize) -> u8 {
    let row = (v >> 4 & 2) | (v & 1);
    let column = v >> 1 & 15;
    S[index][row][column]
}

#[rustfmt::skip]
const S: [[[u8; 16]; 4]; BOXES] = [
    [ // S1
        [14,  4, 13,  1,  2, 15, 11,  8,  3, 10,  6, 12,  5,  9,  0,  7],
        [ 0, 15,  7,  4, 14,  2, 13,  1, 10,  6, 12, 11,  9,  5,  3,  8],
        [ 4,  1, 14,  8, 13,  6,  2, 11, 15, 12,  9,  7,  3, 10,  5,  0],
        [15, 12,  8,  2,  4,  9,  1,  7,  5, 11,  3, 14, 10,  0,  6, 13],
    ],
    [ // S2
        [15,  1,  8, 14,  6, 11,  3,  4,  9,  7,  2, 13, 12,  0,  5, 10],
        [ 3, 13,  4,  7, 15,  2,  8, 14, 12,  0,  1, 10,  6,  9, 11,  5],
        [ 0, 14,  7, 11, 10,  4, 13,  1,  5,  8, 12,  6,  9,  3,  2, 15],
        [13,  8, 10,  1,  3, 15,  4,  2, 11,  6,  7, 12,  0,  5, 14,  9],
    ],
    [ // S3
        [10,  0,  9, 14,  6,  3, 15,  5,  1, 13, 12,  7, 11,  4,  2,  8],
        [13,  7,  0,  9,  3,  4,  6, 10,  2,  8,  5, 14, 12, 11, 15,  1],
        [13,  6,  4,  9,  8, 15,  3,  0, 11,  1,  2, 12,  5, 10, 14,  7],
        [ 1, 10, 13,  0,  6,  9,  8,  7,  4, 15, 14,  3, 11,  5,  2, 12],
    ],
    [ // S4
        [ 7, 13, 14,  3,  0,  6,  9, 10,  1,  2,  8,  5, 11, 12,  4, 15],
        [13,  8, 11,  5,  6, 15,  0,  3,  4,  7,  2, 12,  1, 10, 14,  9],
        [10,  6,  9,  0, 12, 11,  7, 13, 15,  1,  3, 14,  5,  2,  8,  4],
        [ 3, 15,  0,  6, 10,  1, 13,  8,  9,  4,  5, 11, 12,  7,  2, 14],
    ],
    [ // S5
        [ 2, 12,  4,  1,  7, 10, 11,  6,  8,  5,  3, 15, 13,  0, 14,  9],
        [14, 11,  2, 12,  4,  7, 13,  1,  5,  0, 15, 10,  3,  9,  8,  6],
        [ 4,  2,  1, 11, 10, 13,  7,  8, 15,  9, 12,  5,  6,  3,  0, 14],
        [11,  8, 12,  7,  1, 14,  2, 13,  6, 15,  0,  9, 10,  4,  5,  3],
    ],
    [ // S6
        [12,  1, 10, 15,  9,  2,  6,  8,  0, 13,  3,  4, 14,  7,  5, 11],
        [10, 15,  4,  2,  7, 12,  9,  5,  6,  1, 13, 14,  0, 11,  3,  8],
        [ 9, 14, 15,  5,  2,  8, 12,  3,  7,  0,  4, 10,  1, 13, 11,  6],
        [ 4,  3,  2, 12,  9,  5, 15, 10, 11, 14,  1,  7,  6,  0,  8, 13],
    ],
    [ // S7
        [ 4, 11,  2, 14, 15,  0,  8, 13,  3, 12,  9,  7,  5, 10,  6,  1],
        [13,  0, 11,  7,  4,  9,  1, 10, 14,  3,  5, 12,  2, 15,  8,  6],
        [ 1,  4, 11, 13, 12,  3,  7, 14, 10, 15,  6,  8,  0,  5,  9,  2],
        [ 6, 11, 13,  8,  1,  4, 10,  7,  9,  5,  0, 15, 14,  2,  3, 12],
    ],
    [ // S8
        [13,  2,  8,  4,  6, 15, 11,  1, 10,  9,  3, 14,  5,  0, 12,  7],
        [ 1, 15, 13,  8, 10,  3,  7,  4, 12,  5,  6, 11,  0, 14,  9,  2],
        [ 7, 11,  4,  1,  9, 12, 14,  2,  0,  6, 10, 13, 15,  3,  5,  8],
        [ 2,  1, 14,  7,  4, 10,  8, 13, 15, 12,  9,  0,  3,  5,  6, 11],
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row of the standard is a permutation of 0 to 15.
    #[test]
    fn rows_are_permutations() {
        for rows in &S {
            for row in rows {
                assert_eq!(row.iter().fold(0u32, |seen, &v| seen | 1 << v), 0xffff);
            }
        }
    }

    /// Coppersmith's design criterion S-4 of the S-boxes, which a mistyped entry is likely to
    /// break: inputs that differ in one bit give outputs that differ in at least two.
    #[test]
    fn one_input_bit_changes_two_output_bits() {
        for index in 0..BOXES {
            for v in 0..64 {
                for bit in 0..6 {
                    let change = lookup(index, v) ^ lookup(index, v ^ 1 << bit);
                    assert!(change.count_ones() >= 2, "S{} at {v}", index + 1);
                }
            }
        }
    }

    /// The worked example that usually accompanies the standard: S1(011011) = 5.
    #[test]
    fn row_and_column_come_from_the_right_bits() {
        assert_eq!(lookup(0, 0b01_1011), 5);
    }

    #[test]
    fn truth_tables_spell_the_entries() {
        for index in 0..BOXES {
            let tables = outputs(index);
            for v in 0..64 {
                let spelled = tables.iter().fold(0, |value, table| value << 1 | (table >> v & 1));
                assert_eq!(spelled, u64::from(lookup(index, v)));
                let inputs = (0..INPUTS).fold(0, |value, i| value << 1 | (input(i) >> v & 1));
                assert_eq!(inputs, v as u64);
            }
        }
    }
}
