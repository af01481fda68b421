//! From the two DES keys of a CVK to the masks that the bitsliced DES XORs into its planes.
//!
//! Constant time: a round-key bit is a key bit at a public place, so the expansion reads and writes
//! fixed addresses only.

use zeroize::Zeroize;

use super::des::TARGET;
use super::sbox_lut2::INVERTED;
use crate::kernel::fips::{self, RoundKeys};

/// The masks for one S-box in one round; each is all ones or all zeros.
#[derive(Clone, Copy)]
#[repr(C)]
pub(in crate::kernel) struct BoxPlanes {
    /// For the first and the last input: its key bit, XOR the key bit that the plane carries.
    pub(in crate::kernel) outer: [u32; 2],
    /// For the plane that takes each output: the key bit it carries, XOR the one it is to carry,
    /// XOR the circuit's inversion.
    pub(in crate::kernel) target: [u32; 4],
}

/// The masks for one round, S1 to S8.
pub(in crate::kernel) type RoundPlanes = [BoxPlanes; 8];

/// A CVK as key-difference masks: 6,784 bytes, the same for every word.
///
/// Sixteen rounds for `E_A` and for `D_B`, and five seams: what the half that is read first must be
/// XORED with before, between and after the four DES. A half carries the key bits of its inner
/// uses, see `des.rs`.
#[derive(Clone)]
#[repr(C, align(64))]
pub(in crate::kernel) struct BitsliceKey {
    a: [RoundPlanes; 16],
    b: [RoundPlanes; 16],
    pub(in crate::kernel) start: [u32; 32],
    pub(in crate::kernel) a_to_a: [u32; 32],
    pub(in crate::kernel) a_to_b: [u32; 32],
    pub(in crate::kernel) b_to_a: [u32; 32],
    pub(in crate::kernel) end: [u32; 32],
}

const BARE: [u32; 32] = [0; 32];
const NO_PLANES: BoxPlanes = BoxPlanes { outer: [0; 2], target: [0; 4] };

impl BitsliceKey {
    /// All zeros, to be filled by [`BitsliceKey::expand`].
    #[must_use]
    pub(in crate::kernel) const fn empty() -> Self {
        Self {
            a: [[NO_PLANES; 8]; 16],
            b: [[NO_PLANES; 8]; 16],
            start: BARE,
            a_to_a: BARE,
            a_to_b: BARE,
            b_to_a: BARE,
            end: BARE,
        }
    }

    /// Fills `into` with the forms of the keys `a` and `b`; parity bits are ignored.
    #[inline(never)]
    pub(in crate::kernel) fn expand(into: &mut Self, a: &[u8; 8], b: &[u8; 8]) {
        let mut schedule = Schedule::empty();
        schedule.load(a, Direction::Encrypt);
        schedule.differences(&mut into.a);
        into.start = schedule.carried(0);
        into.end = schedule.carried(15);
        into.a_to_a = difference(&into.end, &into.start);
        schedule.load(b, Direction::Decrypt);
        schedule.differences(&mut into.b);
        into.a_to_b = difference(&into.end, &schedule.carried(0));
        into.b_to_a = difference(&schedule.carried(15), &into.start);
        schedule.zeroize();
    }

    /// The exclusive-or of all words.
    #[inline(always)]
    pub(in crate::kernel) fn fold(&self) -> u64 {
        let mut lanes = [0; 6];
        for planes in self.a.as_flattened().iter().chain(self.b.as_flattened()) {
            for (lane, mask) in lanes.iter_mut().zip(planes.outer.iter().chain(&planes.target)) {
                *lane ^= mask;
            }
        }
        let seams = [&self.start, &self.a_to_a, &self.a_to_b, &self.b_to_a, &self.end];
        let words = lanes.iter().chain(seams.into_iter().flatten());
        u64::from(words.fold(0, |all, word| all ^ word))
    }

    #[inline(always)]
    pub(in crate::kernel) fn a(&self) -> &[RoundPlanes; 16] {
        &self.a
    }

    #[inline(always)]
    pub(in crate::kernel) fn b(&self) -> &[RoundPlanes; 16] {
        &self.b
    }
}

impl Zeroize for BitsliceKey {
    fn zeroize(&mut self) {
        for planes in self.a.iter_mut().chain(&mut self.b).flatten() {
            planes.outer.zeroize();
            planes.target.zeroize();
        }
        for seam in
            [&mut self.start, &mut self.a_to_a, &mut self.a_to_b, &mut self.b_to_a, &mut self.end]
        {
            seam.zeroize();
        }
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Encrypt,
    Decrypt,
}

/// The round keys of one DES key in the order of use, a mask for each bit.
struct Schedule {
    rounds: [[u32; 48]; 16],
}

impl Schedule {
    const fn empty() -> Self {
        Self { rounds: [[0; 48]; 16] }
    }

    fn load(&mut self, key: &[u8; 8], direction: Direction) {
        let mut rounds = RoundKeys::default();
        fips::schedule(&mut rounds, key);
        if let Direction::Decrypt = direction {
            rounds.reverse();
        }
        for (masks, round) in self.rounds.iter_mut().zip(&rounds) {
            for (i, mask) in masks.iter_mut().enumerate() {
                *mask = u32::from(round[i / 6] >> (5 - i % 6) & 1).wrapping_neg();
            }
        }
        rounds.zeroize();
    }

    /// The key bits that a half carries when round `round` reads it: those of the four inner inputs
    /// of each S-box.
    fn carried(&self, round: usize) -> [u32; 32] {
        let mut carried = BARE;
        for (i, mask) in carried.iter_mut().enumerate() {
            *mask = self.rounds[round][6 * (i / 4) + 1 + i % 4];
        }
        carried
    }

    fn differences(&self, into: &mut [RoundPlanes; 16]) {
        for (i, boxes) in into.iter_mut().enumerate() {
            let read = self.carried(i);
            // The half that is written was read one round before and is read one round after; it
            // enters and leaves bare.
            let old = if i == 0 { BARE } else { self.carried(i - 1) };
            let new = if i == 15 { BARE } else { self.carried(i + 1) };
            for (number, planes) in boxes.iter_mut().enumerate() {
                planes.outer[0] = self.rounds[i][6 * number] ^ read[(4 * number + 31) % 32];
                planes.outer[1] = self.rounds[i][6 * number + 5] ^ read[(4 * number + 4) % 32];
                for (bit, mask) in planes.target.iter_mut().enumerate() {
                    let at = TARGET[4 * number + bit];
                    let inverted = u32::from(INVERTED[number] >> (3 - bit) & 1).wrapping_neg();
                    *mask = old[at] ^ new[at] ^ inverted;
                }
            }
        }
    }
}

impl Zeroize for Schedule {
    fn zeroize(&mut self) {
        self.rounds.as_flattened_mut().zeroize();
    }
}

fn difference(a: &[u32; 32], b: &[u32; 32]) -> [u32; 32] {
    let mut out = BARE;
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = a ^ b;
    }
    out
}
