//! The process whose memory is read.

use std::hint::black_box;
use std::io::{self, Read, Write};

use cvv2::{CvkPair, Cvv, CvvLength, Expiry, ExpiryOrder, KcvMethod, Kernel, PackedCard, Pan};
use cvv2::{Policy, ServiceCode, Verdict};
use zeroize::Zeroize;

use crate::{forms, masks};

/// What the child does with its key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// All that a live system does.
    Everything,
    /// Only what returns nothing by value: a check value and a CVV depend on the key as well,
    /// belong to the caller, and leave copies where they are moved.
    Slots,
}

impl Task {
    /// The argument that makes this program a child with this task.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Everything => "child-everything",
            Self::Slots => "child-slots",
        }
    }

    pub(crate) fn by_name(name: &str) -> Option<Self> {
        [Self::Everything, Self::Slots].into_iter().find(|task| task.name() == name)
    }
}

/// Loads a key, drops it, plants another, and waits after each while the parent reads memory.
pub(crate) fn run(task: Task, kernel: &str) {
    let kernel = Kernel::by_name(kernel).expect("the parent has it from the same list");
    tell_parent();

    let pair = load(kernel);
    fill_slots(&pair);
    if task == Task::Everything {
        return_values(&pair);
    }
    tell_parent();
    wait();

    drop(pair);
    tell_parent();
    let mut key = receive_key();

    let controls = plant(&key);
    key.zeroize();
    tell_parent();
    wait();
    drop(controls);
}

#[inline(never)]
fn load(kernel: Kernel) -> CvkPair {
    let mut key = receive_key();
    let pair = CvkPair::from_bytes(&key, ExpiryOrder::YyMm, Policy::TestVectors);
    key.zeroize();
    pair.expect("refuses nothing").with_kernel(kernel)
}

/// Puts the two parts of a key together where it stays until it is wiped.
#[inline(never)]
#[expect(clippy::unnecessary_box_returns, reason = "returned by value it would be copied")]
fn receive_key() -> Box<[u8; 16]> {
    let mut key = Box::new([0; 16]);
    let mut pad = [0; 16];
    let mut stdin = io::stdin().lock();
    stdin.read_exact(&mut *key).expect("the parent sends a key");
    stdin.read_exact(&mut pad).expect("the parent sends a key");
    for (byte, pad) in key.iter_mut().zip(pad) {
        *byte ^= pad;
    }
    key
}

/// Numbers of cards that make every pass of a kernel run, and every number of digits.
#[inline(never)]
fn fill_slots(pair: &CvkPair) {
    for digits in CvvLength::MIN..=CvvLength::MAX {
        let length = CvvLength::new(digits).expect("1 to 5 digits");
        for count in [600, 64, 2, 1] {
            let mut out = vec![Cvv::EMPTY; count];
            let cards = vec![card(pair); count];
            pair.generate_many(&cards, length, &mut out).expect("the kernel computes");
        }
    }
}

/// One card, verifications, and both check values.
#[inline(never)]
fn return_values(pair: &CvkPair) {
    let card = card(pair);
    let cvv = pair.generate(&card, CvvLength::THREE).expect("the kernel computes");
    assert!(pair.verify(&card, &cvv).expect("the kernel computes") == Verdict::Match);
    black_box([KcvMethod::Cmac, KcvMethod::TdesZeros].map(|method| pair.kcv(method)));
}

fn card(pair: &CvkPair) -> PackedCard {
    let pan = Pan::parse("4123456789012345").expect("a PAN");
    let expiry = Expiry::parse_yymm("2912").expect("an expiry");
    pair.pack(&pan, &expiry, &ServiceCode::CVV2)
}

/// Writes `key` to memory in every form.
#[inline(never)]
fn plant(key: &[u8; 16]) -> Vec<Vec<u8>> {
    let encodings = forms::encodings(key).into_iter().map(|encoding| encoding.bytes);
    let round_keys = forms::round_keys(key);
    let spelled = masks::SIZES.map(|size| masks::spell(round_keys[9], size));
    black_box(encodings.chain(spelled).collect())
}

fn tell_parent() {
    let mut stdout = io::stdout().lock();
    stdout.write_all(b".").and_then(|()| stdout.flush()).expect("the parent reads");
}

fn wait() {
    io::stdin().lock().read_exact(&mut [0]).expect("the parent goes on");
}
