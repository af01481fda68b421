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

/// The masks for one S-box in the first round of a DES, where every input takes one.
#[derive(Clone, Copy)]
#[repr(C)]
pub(in crate::kernel) struct FirstBoxPlanes {
    /// For each input: its key bit, XOR what the plane carries from the DES before.
    pub(in crate::kernel) input: [u32; 6],
    /// As in [`BoxPlanes`].
    pub(in crate::kernel) target: [u32; 4],
}

/// The masks for one round, S1 to S8.
type RoundPlanes = [BoxPlanes; 8];

/// The masks for one of the four DES.
#[derive(Clone, Copy)]
pub(in crate::kernel) struct DesPlanes<'a> {
    pub(in crate::kernel) first: &'a [FirstBoxPlanes; 8],
    pub(in crate::kernel) second: &'a RoundPlanes,
    pub(in crate::kernel) others: &'a [RoundPlanes; 14],
}

/// A CVK as key-difference masks: 7,552 bytes, the same for every word.
///
/// The first two rounds of each of the four DES, which depend on the DES before; the other fourteen
/// of `E_A` and `D_B`; and what the half that is read last carries in the end. A half carries the
/// key bits of its inner uses, see `des.rs`.
#[derive(Clone)]
#[repr(C, align(64))]
pub(in crate::kernel) struct BitsliceKey {
    first: [[FirstBoxPlanes; 8]; 4],
    second: [RoundPlanes; 4],
    others_a: [RoundPlanes; 14],
    others_b: [RoundPlanes; 14],
    end: [u32; 32],
}

const BARE: [u32; 32] = [0; 32];
const NO_PLANES: BoxPlanes = BoxPlanes { outer: [0; 2], target: [0; 4] };
const NO_FIRST_PLANES: FirstBoxPlanes = FirstBoxPlanes { input: [0; 6], target: [0; 4] };

impl BitsliceKey {
    /// All zeros, to be filled by [`BitsliceKey::expand`].
    #[must_use]
    pub(in crate::kernel) const fn empty() -> Self {
        Self {
            first: [[NO_FIRST_PLANES; 8]; 4],
            second: [[NO_PLANES; 8]; 4],
            others_a: [[NO_PLANES; 8]; 14],
            others_b: [[NO_PLANES; 8]; 14],
            end: BARE,
        }
    }

    /// Fills `into` with the forms of the keys `a` and `b`; parity bits are ignored.
    #[inline(never)]
    pub(in crate::kernel) fn expand(into: &mut Self, a: &[u8; 8], b: &[u8; 8]) {
        let mut schedule = Schedule::empty();
        let [first_1, first_2, first_3, first_4] = &mut into.first;
        let [second_1, second_2, second_3, second_4] = &mut into.second;
        schedule.load(a, Direction::Encrypt);
        let mut carried_by_a = schedule.carried(15);
        schedule.open(first_1, second_1, &BARE);
        schedule.open(first_2, second_2, &carried_by_a);
        schedule.go_on(&mut into.others_a);
        schedule.load(b, Direction::Decrypt);
        let mut carried_by_b = schedule.carried(15);
        schedule.open(first_3, second_3, &carried_by_a);
        schedule.go_on(&mut into.others_b);
        schedule.load(a, Direction::Encrypt);
        schedule.open(first_4, second_4, &carried_by_b);
        into.end.copy_from_slice(&carried_by_a);
        schedule.zeroize();
        carried_by_a.zeroize();
        carried_by_b.zeroize();
    }

    /// The four DES in order: `E_A`, `E_A`, `D_B`, `E_A`.
    #[inline(always)]
    pub(in crate::kernel) fn chain(&self) -> [DesPlanes<'_>; 4] {
        let of = |number: usize, others| DesPlanes {
            first: &self.first[number],
            second: &self.second[number],
            others,
        };
        [of(0, &self.others_a), of(1, &self.others_a), of(2, &self.others_b), of(3, &self.others_a)]
    }

    /// What the half that is read last carries in the end.
    #[inline(always)]
    pub(in crate::kernel) fn end(&self) -> &[u32; 32] {
        &self.end
    }

    /// The exclusive-or of all words.
    #[inline(always)]
    pub(in crate::kernel) fn fold(&self) -> u64 {
        let mut lanes = [0; 10];
        for planes in self.first.as_flattened() {
            for (lane, mask) in lanes.iter_mut().zip(planes.input.iter().chain(&planes.target)) {
                *lane ^= mask;
            }
        }
        for planes in self.rounds().flatten() {
            for (lane, mask) in lanes.iter_mut().zip(planes.outer.iter().chain(&planes.target)) {
                *lane ^= mask;
            }
        }
        u64::from(lanes.iter().chain(&self.end).fold(0, |all, word| all ^ word))
    }

    /// All rounds but the first ones.
    #[inline(always)]
    fn rounds(&self) -> impl Iterator<Item = &RoundPlanes> {
        self.second.iter().chain(&self.others_a).chain(&self.others_b)
    }
}

impl Zeroize for BitsliceKey {
    fn zeroize(&mut self) {
        for planes in self.first.as_flattened_mut() {
            planes.input.zeroize();
            planes.target.zeroize();
        }
        for planes in
            self.second.iter_mut().chain(&mut self.others_a).chain(&mut self.others_b).flatten()
        {
            planes.outer.zeroize();
            planes.target.zeroize();
        }
        self.end.zeroize();
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

    /// The first two rounds; the half that is read first carries `before`, the other one nothing.
    fn open(&self, first: &mut [FirstBoxPlanes; 8], second: &mut RoundPlanes, before: &[u32; 32]) {
        let key = &self.rounds[0];
        let next = self.carried(1);
        for (number, planes) in first.iter_mut().enumerate() {
            for (at, mask) in planes.input.iter_mut().enumerate() {
                *mask = key[6 * number + at] ^ before[(4 * number + 31 + at) % 32];
            }
            planes.target = target(number, &BARE, &next);
        }
        self.round(1, before, second);
    }

    /// The other rounds.
    fn go_on(&self, into: &mut [RoundPlanes; 14]) {
        for (planes, number) in into.iter_mut().zip(2..) {
            self.round(number, &self.carried(number - 1), planes);
        }
    }

    /// Round `number` of 16 but the first; the half that is written carries `old`.
    fn round(&self, number: usize, old: &[u32; 32], into: &mut RoundPlanes) {
        let key = &self.rounds[number];
        let read = self.carried(number);
        // It is read one round later; after the last round it is bare.
        let new = if number == 15 { BARE } else { self.carried(number + 1) };
        for (box_number, planes) in into.iter_mut().enumerate() {
            let inner = 4 * box_number;
            planes.outer[0] = key[6 * box_number] ^ read[(inner + 31) % 32];
            planes.outer[1] = key[6 * box_number + 5] ^ read[(inner + 4) % 32];
            planes.target = target(box_number, old, &new);
        }
    }
}

/// The masks for the planes that take the outputs of an S-box.
fn target(number: usize, old: &[u32; 32], new: &[u32; 32]) -> [u32; 4] {
    let mut masks = [0; 4];
    for (bit, mask) in masks.iter_mut().enumerate() {
        let at = TARGET[4 * number + bit];
        let inverted = u32::from(INVERTED[number] >> (3 - bit) & 1).wrapping_neg();
        *mask = old[at] ^ new[at] ^ inverted;
    }
    masks
}

impl Zeroize for Schedule {
    fn zeroize(&mut self) {
        self.rounds.as_flattened_mut().zeroize();
    }
}
