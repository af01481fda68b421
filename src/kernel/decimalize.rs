//! `dec`: sixteen hexadecimal digits to sixteen decimal ones, in constant time, for one block at a
//! time.

/// All decimal digits of `block` from left to right, then its letters A–F from left to right, each
/// minus 10.
///
/// A letter moves right by the digits that follow it, a digit left by the letters before it; both
/// counts are at most 15, so a nibble holds one, and a multiplication by ones adds them up. A move
/// is four conditional moves by 1, 2, 4 and 8 nibbles; that no two digits, and no two letters, ever
/// meet is the same argument as for any stable compression.
#[inline(always)]
#[must_use]
pub(super) fn decimal(block: u64) -> u64 {
    // A nibble is a letter if its 8 is set and its 4 or 2.
    let letter = block >> 3 & (block >> 2 | block >> 1) & ONES;
    let digit = letter ^ ONES;
    let letters = filled(letter);
    // Running sums, from the right of the nibbles on the right, from the left of those on the left,
    // without the own one.
    let digits_after = (digit << 4).wrapping_mul(ONES);
    let letters_before = swap_nibbles((swap_nibbles(letter) << 4).wrapping_mul(ONES));
    let mut low = (block.wrapping_sub(letter.wrapping_mul(10))) & letters;
    let mut high = block & !letters;
    let (mut down, mut up) = (digits_after & letters, letters_before & !letters);
    for step in 0..4 {
        let distance = 4 << step;
        let going = filled(down >> step & ONES);
        low = low & !going | (low & going) >> distance;
        down = down & !going | (down & going) >> distance;
        let going = filled(up >> step & ONES);
        high = high & !going | (high & going) << distance;
        up = up & !going | (up & going) << distance;
    }
    high | low
}

/// The first `digits` (1–5) of sixteen.
#[inline(always)]
#[must_use]
pub(super) fn leading(decimal: u64, digits: u32) -> u32 {
    (decimal >> (64 - 4 * digits)) as u32 | digits << 24
}

/// Nibbles of ones where there is a one. (A plain `*` checks for overflow in a debug build, by a
/// branch on the product.)
#[inline(always)]
fn filled(ones: u64) -> u64 {
    ones.wrapping_mul(15)
}

/// The nibbles in reverse order.
#[inline(always)]
fn swap_nibbles(x: u64) -> u64 {
    let x = x.swap_bytes();
    x >> 4 & 0x0F0F_0F0F_0F0F_0F0F | (x & 0x0F0F_0F0F_0F0F_0F0F) << 4
}

const ONES: u64 = 0x1111_1111_1111_1111;

#[cfg(test)]
mod tests {
    fn twin(block: u64) -> u64 {
        reference::decimalize(&block.to_be_bytes())
            .fold(0, |all, digit| all << 4 | u64::from(digit))
    }
    use super::*;
    use crate::kernel::{reference, tests::letters_at};

    #[test]
    fn all_65536_patterns_of_letters_and_digits() {
        for pattern in 0..=u16::MAX {
            let bytes = letters_at(pattern);
            let block = u64::from_be_bytes(bytes);
            assert_eq!(decimal(block), twin(block), "{block:016x}");
        }
    }

    #[test]
    fn random_results_equal_the_reference() {
        let mut x = 1u64;
        for i in 0..200_000u64 {
            x = x.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(i);
            // Some of them with mostly letters, mostly digits.
            for block in [
                x,
                x | x << 1 & 0x8888_8888_8888_8888 | 0x8888_8888_8888_8888,
                x & 0x7777_7777_7777_7777,
            ] {
                assert_eq!(decimal(block), twin(block), "{block:016x}");
            }
        }
        for block in
            [0, u64::MAX, 0xAAAA_AAAA_AAAA_AAAA, 0x9999_9999_9999_9999, 0xF000_0000_0000_0000, 0xF]
        {
            assert_eq!(decimal(block), twin(block), "{block:016x}");
        }
    }
}
