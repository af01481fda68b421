//! What is measured.
//!
//! Both classes are prepared for every sample, and the class only chooses what is copied to the one
//! place that the measured call reads: otherwise the test would measure caches and its own
//! branches.

use core::hint::black_box;

use cvv2::ServiceCode;
use cvv2::{CvkPair, Cvv, CvvLength, Expiry, ExpiryOrder, Kernel, PackedCard, Pan, Policy};

use crate::clock::ticks;
use crate::identifiers;
use crate::random::Random;

/// A call under two classes of input.
pub(crate) struct Test {
    pub(crate) name: String,
    pub(crate) expected: Expected,
    /// Prepares an input of the class, and measures the call.
    pub(crate) sample: Box<dyn FnMut(bool) -> u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// A kernel for live cards, or the service.
    Constant,
    /// The reference kernel: its tables fit the first cache, so that they may show or not.
    Anything,
    /// A leaky twin.
    Leak,
}

pub(crate) fn all() -> Vec<Test> {
    let mut tests = vec![Test {
        name: "twin: compare with early exit, first or last byte".into(),
        expected: Expected::Leak,
        sample: early_exit(),
    }];
    for kernel in Kernel::all() {
        let expected = match kernel.name() {
            "reference" => Expected::Anything,
            _ => Expected::Constant,
        };
        let mut add = |what: &str, sample| {
            tests.push(Test { name: format!("{}: {what}", kernel.name()), expected, sample });
        };
        add("generate, random or fixed key", keys(kernel));
        add("generate, random or fixed card", cards(kernel));
        add("verify, mismatch or match", values(kernel, [Some(2), None]));
        add("verify, mismatch in first or last digit", values(kernel, [Some(0), Some(2)]));
    }
    tests.extend(identifiers::tests());
    tests
}

fn keys(kernel: Kernel) -> Box<dyn FnMut(bool) -> u64> {
    let mut random = Random::new();
    let fixed = random.key();
    let [warm_up, card] = [random.pan(), random.pan()].map(|pan| pack(&pan));
    Box::new(move |class| {
        // A pair of its own each time lies where the last one was.
        let pair = load(kernel, &[random.key(), fixed][usize::from(class)]);
        black_box(pair.generate(&warm_up, CvvLength::THREE)).expect("the kernel computes");
        ticks(|| pair.generate(&card, CvvLength::THREE))
    })
}

fn cards(kernel: Kernel) -> Box<dyn FnMut(bool) -> u64> {
    let mut random = Random::new();
    let pair = load(kernel, &random.key());
    let fixed = pack(&random.pan());
    Box::new(move |class| {
        let both = black_box([pack(&random.pan()), fixed.clone()]);
        let card = both[usize::from(class)].clone();
        ticks(|| pair.generate(&card, CvvLength::THREE))
    })
}

/// Values that are wrong in the digit that each class says, or right.
fn values(kernel: Kernel, wrong: [Option<usize>; 2]) -> Box<dyn FnMut(bool) -> u64> {
    let mut random = Random::new();
    let pair = load(kernel, &random.key());
    let card = pack(&random.pan());
    let right = pair.generate(&card, CvvLength::THREE).expect("the kernel computes");
    let typed = wrong.map(|wrong| {
        let mut text = right.expose().as_str().as_bytes().to_vec();
        if let Some(at) = wrong {
            text[at] = b'0' + (text[at] - b'0' + 1) % 10;
        }
        let text = core::str::from_utf8(&text).expect("digits");
        Cvv::parse(text, CvvLength::THREE).expect("three digits")
    });
    Box::new(move |class| {
        let typed = typed[usize::from(class)].clone();
        ticks(|| pair.verify(&card, &typed))
    })
}

fn early_exit() -> Box<dyn FnMut(bool) -> u64> {
    let right = *b"4123456789012345";
    let mut typed = [right; 2];
    typed[0][0] ^= 1;
    typed[1][15] ^= 1;
    Box::new(move |class| {
        let typed = black_box(typed[usize::from(class)]);
        ticks(|| right.iter().zip(&typed).all(|(a, b)| black_box(a) == black_box(b)))
    })
}

fn load(kernel: Kernel, key: &[u8; 16]) -> CvkPair {
    CvkPair::from_bytes(key, ExpiryOrder::YyMm, Policy::TestVectors)
        .expect("refuses nothing")
        .with_kernel(kernel)
}

fn pack(pan: &str) -> PackedCard {
    let pan = Pan::parse(pan).expect("a PAN");
    let expiry = Expiry::parse_yymm("2912").expect("an expiry");
    PackedCard::new(&pan, &expiry, ExpiryOrder::YyMm, &ServiceCode::CVV2)
}
