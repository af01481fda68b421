//! Decimalisation in plane form: the first digits of "all decimal digits of the result from left to
//! right, then all letters A to F from left to right, minus 10".
//!
//! A push network: slots hold the first digits seen so far, and pushing a digit moves every slot
//! one place on. The result's sixteen hexadecimal digits are pushed from the last to the first,
//! first the letters and then the decimal digits, so that what belongs in front is pushed last. A
//! digit that does not belong to the scan leaves the slots alone, by a select on a plane: no
//! branch, no address depends on the result.

use super::des::Halves;
use super::word::Word;

/// The first `SLOTS` digits, each most significant bit first.
#[inline(always)]
pub(in crate::kernel) fn decimalize<W: Word, const SLOTS: usize>(
    isa: W::Isa,
    result: &mut Halves<W>,
) -> [[W; 4]; SLOTS] {
    let zero = W::splat(isa, 0);
    let ones = W::splat(isa, u32::MAX);
    // A letter minus 10 has three bits.
    let mut letters = [[zero; 3]; SLOTS];
    for digit in (0..16).rev() {
        let [n3, n2, n1, n0] = nibble(result, digit);
        let letter = n3.and(n2.or(n1));
        push(&mut letters, letter, [n2.and(n1), n1.xor(ones), n0]);
    }
    let mut slots = letters.map(|[b2, b1, b0]| [zero, b2, b1, b0]);
    for digit in (0..16).rev() {
        let [n3, n2, n1, n0] = nibble(result, digit);
        let decimal = n2.or(n1).and(n3).xor(ones);
        push(&mut slots, decimal, [n3, n2, n1, n0]);
    }
    slots
}

#[inline(always)]
fn push<W: Word, const BITS: usize, const SLOTS: usize>(
    slots: &mut [[W; BITS]; SLOTS],
    when: W,
    digit: [W; BITS],
) {
    for slot in (0..SLOTS).rev() {
        let before = if slot == 0 { digit } else { slots[slot - 1] };
        for bit in 0..BITS {
            slots[slot][bit] = when.select(before[bit], slots[slot][bit]);
        }
    }
}

/// Hexadecimal digit `digit` of the result, most significant bit first.
#[inline(always)]
fn nibble<W: Word>(result: &mut Halves<W>, digit: usize) -> [W; 4] {
    let (byte, bit) = (digit / 2, digit % 2 * 4);
    [
        *result.plane(byte, bit),
        *result.plane(byte, bit + 1),
        *result.plane(byte, bit + 2),
        *result.plane(byte, bit + 3),
    ]
}
