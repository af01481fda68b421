//! Every kernel against the reference, at every seam, and with faults injected.

use alloc::vec;
use alloc::vec::Vec;

use zeroize::Zeroize;

use super::bitslice::{Halves, decimalize, sbox_lut2, sbox_lut3};
use super::material::faults;
use super::reference::{self, Steps};
use super::{Choice, Kernel, KeyMaterial, fips};
use crate::card::{Cvv, CvvLength, PackedCard};
use crate::secret::{Protection, Secret};

/// xorshift64*: different cards in every lane, the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: usize) -> usize {
        ((self.next() >> 32) as usize) % end
    }

    fn key(&mut self) -> Secret<KeyMaterial> {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.next().to_be_bytes());
        bytes[8..].copy_from_slice(&self.next().to_be_bytes());
        key(bytes)
    }

    /// All bits that a card has are random: the kernels do not count on decimal digits.
    fn card(&mut self) -> PackedCard {
        let mut blocks = [0; 16];
        blocks[..8].copy_from_slice(&self.next().to_be_bytes());
        blocks[8..].copy_from_slice(&self.next().to_be_bytes());
        blocks[PackedCard::BYTES..].fill(0);
        PackedCard::from_blocks(blocks)
    }

    fn cards(&mut self, count: usize) -> Vec<PackedCard> {
        (0..count).map(|_| self.card()).collect()
    }
}

fn key(bytes: [u8; 16]) -> Secret<KeyMaterial> {
    let mut key = KeyMaterial::zeros(Protection::Wiped).unwrap();
    *key.bytes_mut() = bytes;
    key.expand();
    key
}

fn fast_kernels() -> impl Iterator<Item = Kernel> {
    Kernel::all().filter(|kernel| *kernel != Kernel(Choice::Reference))
}

fn length(digits: usize) -> CvvLength {
    CvvLength::new(digits).unwrap()
}

fn expected(key: &KeyMaterial, cards: &[PackedCard], length: CvvLength) -> Vec<Cvv> {
    cards.iter().map(|card| Steps::of(key, card).cvv(length)).collect()
}

fn check(kernel: Kernel, key: &KeyMaterial, cards: &[PackedCard], length: CvvLength) {
    let mut out = vec![Cvv::EMPTY; cards.len()];
    let proof = kernel.generate(key, cards, length, &mut out);
    let what = (kernel.name(), cards.len(), length.get());
    assert!(proof.is_some(), "{what:?}: the known answer");
    for (lane, (value, expected)) in out.iter().zip(expected(key, cards, length)).enumerate() {
        assert!(*value == expected, "{what:?}: card {lane}");
    }
}

#[test]
fn every_size_around_every_seam_equals_the_reference() {
    let mut random = Random(1);
    let seams = [
        96, 127, 128, 129, 191, 192, // several small passes
        254, 255, 256, 257, 319, 320,
        321, // AVX2's lanes, and where AVX-512 goes over to bulk
        447, 448, 449, 495, 496, 497, 509, 510, 511, 512, 513, 514, // AVX-512's lanes
        830, 831, 832, 1021, 1022, 1023, 1024, 1025, // two passes and a rest
    ];
    for kernel in fast_kernels() {
        for size in (0..=80).chain(seams) {
            let key = random.key();
            for digits in if size <= 80 { 1..=5 } else { 3..=4 } {
                check(kernel, &key, &random.cards(size), length(digits));
            }
        }
        let key = random.key();
        check(kernel, &key, &random.cards(31 * 512 + 1), CvvLength::THREE);
    }
}

#[test]
fn weak_and_extreme_keys_equal_the_reference() {
    let mut random = Random(7);
    let halves =
        [[0; 8], [255; 8], [1; 8], [0xFE; 8], [0x1F, 0x1F, 0x1F, 0x1F, 0x0E, 0x0E, 0x0E, 0x0E]];
    for (a, b) in halves.iter().flat_map(|a| halves.iter().map(move |b| (a, b))) {
        let key = key(core::array::from_fn(|i| if i < 8 { a[i] } else { b[i - 8] }));
        for kernel in fast_kernels() {
            for size in [1, 40, 600] {
                check(kernel, &key, &random.cards(size), length(5));
            }
        }
    }
}

#[test]
fn parity_bits_do_not_count() {
    let bytes = core::array::from_fn(|i| 0x13_u8.wrapping_mul(2 * i as u8 + 1));
    let (even, odd) = (key(bytes), key(bytes.map(|byte| byte ^ 1)));
    let cards = Random(9).cards(600);
    for kernel in fast_kernels() {
        for size in [1, 600] {
            let mut out = [vec![Cvv::EMPTY; size], vec![Cvv::EMPTY; size]];
            for (key, out) in [&even, &odd].into_iter().zip(&mut out) {
                kernel.generate(key, &cards[..size], length(5), out).unwrap();
            }
            assert!(out[0] == out[1], "{}", kernel.name());
        }
    }
}

/// The known answer is learnt from two kernels; this holds what was learnt to the reference.
#[test]
fn the_known_answer_is_the_references() {
    let mut random = Random(11);
    for _ in 0..200 {
        let key = random.key();
        let steps = Steps::of(&key, key.known().card());
        assert_eq!(key.known().block().to_be_bytes(), steps.result);
    }
}

/// A bit of the key's forms flips after the key was loaded. Whatever it was, either the call fails
/// or no value is wrong (the bit was a parity bit, or of a form that this call does not read).
#[test]
fn a_thousand_faults_in_each_kernels_forms_let_no_wrong_value_out() {
    let mut random = Random(13);
    for kernel in Kernel::all() {
        let mut caught = 0;
        for _ in 0..1000 {
            let mut key = random.key();
            let size = [1, 2, 64, 400][random.below(4)];
            let cards = random.cards(size);
            let right = expected(&key, &cards, CvvLength::THREE);
            let forms = faults::forms(&mut key);
            let form = random.below(forms.len());
            let (name, bytes) = forms.into_iter().nth(form).unwrap();
            let (at, bit) = (random.below(bytes.len()), random.below(8));
            bytes[at] ^= 1 << bit;
            let mut out = vec![Cvv::EMPTY; size];
            match kernel.generate(&key, &cards, CvvLength::THREE, &mut out) {
                None => caught += 1,
                Some(_) => assert!(
                    out == right,
                    "{}: a wrong value left, {size} cards, bit {bit} of byte {at} of `{name}`",
                    kernel.name()
                ),
            }
        }
        assert!(caught > 50, "{}: {caught} of 1000 faults were caught", kernel.name());
    }
}

/// A bit of one lane flips while AVX-512 computes one to three cards: the cards of an online call.
#[test]
#[cfg(all(target_arch = "x86_64", feature = "std"))]
fn a_thousand_faults_in_the_state_of_an_online_call_let_no_wrong_value_out() {
    let Some(kernel) = Kernel::by_name("avx512") else {
        return std::eprintln!("not tested: this machine has no AVX-512");
    };
    let mut random = Random(17);
    let mut caught = 0;
    for _ in 0..1000 {
        let key = random.key();
        let size = 1 + random.below(3);
        let cards = random.cards(size);
        let right = expected(&key, &cards, CvvLength::THREE);
        let (after, lane) = (random.below(4 * 16 * 8), random.below(32));
        let bit = random.below(8) as u32;
        faults::STRIKE.set(Some(faults::Strike { after, lane, bit }));
        let mut out = vec![Cvv::EMPTY; size];
        let proof = kernel.generate(&key, &cards, CvvLength::THREE, &mut out);
        assert!(faults::STRIKE.take().is_none(), "the fault has struck");
        match proof {
            None => caught += 1,
            Some(_) => assert!(out == right, "look-up {after}, lane {lane}, bit {bit}"),
        }
    }
    assert!(caught > 500, "{caught} of 1000 faults were caught");
}

#[test]
fn wiping_leaves_zeros() {
    let mut key = Random(15).key();
    for (name, form) in faults::forms(&mut key) {
        assert!(form.iter().any(|byte| *byte != 0), "the control: `{name}` is there");
    }
    key.zeroize();
    for (name, form) in faults::forms(&mut key) {
        assert!(form.iter().all(|byte| *byte == 0), "`{name}` is wiped");
    }
}

type Circuit = fn([u64; 6]) -> [u64; 4];

#[test]
fn circuits_equal_fips_46_3() {
    use sbox_lut2 as two;
    use sbox_lut3 as three;

    let two: [Circuit; 8] =
        [two::s1, two::s2, two::s3, two::s4, two::s5, two::s6, two::s7, two::s8];
    let three: [Circuit; 8] =
        [three::s1, three::s2, three::s3, three::s4, three::s5, three::s6, three::s7, three::s8];
    for number in 0..8 {
        for circuit in [two[number], three[number]] {
            let mut input = [0; 6];
            for x in 0..64 {
                for (bit, plane) in input.iter_mut().enumerate() {
                    *plane |= (x >> (5 - bit) & 1) << x;
                }
            }
            let output = circuit(input);
            for x in 0..64 {
                let value = output.iter().fold(0, |all, plane| all << 1 | (plane >> x & 1) as u8);
                let expected = fips::sbox(number, x) ^ sbox_lut2::INVERTED[number];
                assert_eq!(value, expected, "S{} of {x:06b}", number + 1);
            }
        }
    }
}

/// A `u64` that can look up three bits, to run the three-input circuits on any machine.
impl super::bitslice::Lut3 for u64 {
    fn lut3<const TABLE: i32>(a: Self, b: Self, c: Self) -> Self {
        (0..8)
            .filter(|row| TABLE >> row & 1 == 1)
            .map(|row: u32| {
                let is = |plane: u64, bit: u32| if row >> bit & 1 == 1 { plane } else { !plane };
                is(a, 2) & is(b, 1) & is(c, 0)
            })
            .fold(0, |sum, term| sum | term)
    }
}

#[test]
fn planes_are_decimalised_like_the_reference_for_every_pattern_of_letters() {
    for batch in 0..1024 {
        let results: [[u8; 8]; 64] =
            core::array::from_fn(|lane| letters_at(batch * 64 + lane as u16));
        let mut halves = Halves::<u64>::zero(());
        for (lane, result) in results.iter().enumerate() {
            for place in 0..64 {
                let bit = u64::from(result[place / 8] >> (7 - place % 8) & 1);
                *halves.plane(place / 8, place % 8) |= bit << lane;
            }
        }
        let digits = decimalize::decimalize::<u64, 5>((), &mut halves);
        for (lane, result) in results.iter().enumerate() {
            let got =
                digits.map(|planes| planes.iter().fold(0, |d, p| d << 1 | (p >> lane & 1) as u8));
            assert!(reference::decimalize(result).take(5).eq(got), "{result:02x?}");
        }
    }
}

/// Sixteen nibbles of which those are letters whose bit is set in `pattern`, the first nibble's the
/// highest; which letter or digit each is varies with both.
pub(super) fn letters_at(pattern: u16) -> [u8; 8] {
    core::array::from_fn(|byte| {
        let nibble = |i: usize| {
            let vary = usize::from(pattern >> 3) + 7 * i;
            let letter = pattern >> (15 - i) & 1 == 1;
            (if letter { 10 + vary % 6 } else { vary % 10 }) as u8
        };
        nibble(2 * byte) << 4 | nibble(2 * byte + 1)
    })
}
