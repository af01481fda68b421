//! The library's cases: no report allowed.
//!
//! Secret are the key, the digits of PAN, expiry and service code, the digits of a value, packed
//! cards, and everything computed from them. Public, and so declared or avoided, are:
//!
//! - whether text is well-formed: parsers branch on characters and positions, so objects are marked
//!   after they were parsed;
//! - whether a policy accepts a key, and why not: keys are loaded under `Policy::TestVectors`,
//!   which refuses nothing;
//! - a key check value, which is made to be shown and is computed with table look-ups;
//! - a verdict, and whether a call's self-test passed (`memcheck.supp`);
//! - a value after it was compared or handed to the caller: `secret::publish`.

use core::num::NonZeroUsize;

use cvv2::{ComputeError, CvkPair, Cvv, CvvLength, Expiry, ExpiryOrder, Grouping, Kernel};
use cvv2::{PackedCard, Pan, Policy, ServiceCode, Verdict};
use subtle::ConstantTimeEq;

use crate::{Case, Expected, secret};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![key_parity(), key_compare(), pan_compare(), card_compare(), cvv_compare()];
    for len in Pan::LEN_MIN..=Pan::LEN_MAX {
        cases.extend([ExpiryOrder::YyMm, ExpiryOrder::MmYy].map(|order| pack(len, order)));
    }
    for kernel in Kernel::all().filter(|kernel| kernel.name() != "reference") {
        cases.push(key_set_up(kernel));
        for digits in CvvLength::MIN..=CvvLength::MAX {
            // Alone, a pair, around 64 lanes, more than two of their passes, more than any pass.
            for count in [1, 2, 63, 64, 65, 130, 600] {
                let name = format!("{}: generate {count} x {digits} digits", kernel.name());
                cases.push(generate(name, kernel, count, digits, Expected::Clean));
            }
            cases.extend((0..=digits).map(|wrong| verify(kernel, digits, wrong)));
        }
        cases.push(generate_threaded(kernel));
        cases.push(generate_grouped(kernel));
    }
    cases
}

/// `count` different cards under a secret key; a twin's case too.
pub(crate) fn generate(
    name: String,
    kernel: Kernel,
    count: usize,
    digits: usize,
    expected: Expected,
) -> Case {
    let length = CvvLength::new(digits).expect("1 to 5 digits");
    let key = secret_key(kernel);
    compute(name, count, length, expected, move |cards, out| key.generate_many(cards, length, out))
}

/// Two threads, which valgrind runs in turns.
fn generate_threaded(kernel: Kernel) -> Case {
    let name = format!("{}: generate 130 on two threads", kernel.name());
    let key = secret_key(kernel);
    let threads = NonZeroUsize::new(2).expect("not zero");
    compute(name, 130, CvvLength::THREE, Expected::Clean, move |cards, out| {
        key.generate_many_threaded(cards, CvvLength::THREE, out, threads)
    })
}

/// A batch of cards of two keys, in turns. They are the same key, which the batch cannot know.
fn generate_grouped(kernel: Kernel) -> Case {
    let name = format!("{}: generate 130 under two keys", kernel.name());
    let keys = [(); 2].map(|()| secret_key(kernel));
    let mut grouping = Grouping::new();
    compute(name, 130, CvvLength::THREE, Expected::Clean, move |cards, out| {
        let key_of: Vec<_> = (0..cards.len()).map(|number| number % 2).collect();
        grouping.generate(&keys, &key_of, cards, CvvLength::THREE, out)
    })
}

/// `count` different cards, whose values have to be those of the reference.
fn compute(
    name: String,
    count: usize,
    length: CvvLength,
    expected: Expected,
    mut call: impl FnMut(&[PackedCard], &mut [Cvv]) -> Result<(), ComputeError> + 'static,
) -> Case {
    let clear: Vec<_> = (0..count).map(card).collect();
    let mut right = vec![Cvv::EMPTY; count];
    reference().generate_many(&clear, length, &mut right).expect("the reference computes");
    let cards = secret::cards(clear);
    let mut out = vec![Cvv::EMPTY; count];
    Case::new(name, expected, move || {
        let result = call(&cards, &mut out);
        let marked = out.iter().all(secret::is_secret);
        secret::publish(&mut out);
        match secret::public(result) {
            Err(_) => Err("REFUSED TO COMPUTE"),
            Ok(()) if out != right => Err("WRONG VALUE"),
            Ok(()) if expected == Expected::Clean && !marked => Err(MARK_LOST),
            Ok(()) => Ok(()),
        }
    })
}

/// Loading a key, in all forms that the kernel needs.
fn key_set_up(kernel: Kernel) -> Case {
    let key = Box::new(secret::bytes(KEY));
    Case::new(format!("{}: key set-up", kernel.name()), Expected::Clean, move || {
        let loaded = CvkPair::from_bytes(&key, ExpiryOrder::YyMm, Policy::TestVectors);
        drop(loaded.map(|pair| pair.with_kernel(kernel)));
        Ok(())
    })
}

/// A typed value whose digit number `wrong` is wrong; none if there is no such digit.
fn verify(kernel: Kernel, digits: usize, wrong: usize) -> Case {
    let length = CvvLength::new(digits).expect("1 to 5 digits");
    let right = reference().generate(&card(7), length).expect("the reference computes");
    let mut typed = right.expose().as_str().as_bytes().to_vec();
    let expected = match typed.get_mut(wrong) {
        Some(digit) => {
            *digit = b'0' + (*digit - b'0' + 1) % 10;
            Verdict::Mismatch
        }
        None => Verdict::Match,
    };

    let key = secret_key(kernel);
    let cards = secret::cards(vec![card(7)]);
    let typed = secret::cvv(core::str::from_utf8(&typed).expect("digits"));
    let name = match expected {
        Verdict::Match => format!("{}: verify {digits} digits, match", kernel.name()),
        Verdict::Mismatch => {
            format!("{}: verify {digits} digits, mismatch at {}", kernel.name(), wrong + 1)
        }
    };
    Case::new(name, Expected::Clean, move || {
        let verdict = secret::public(key.verify(&cards[0], &typed));
        if verdict == Ok(expected) { Ok(()) } else { Err("WRONG VERDICT") }
    })
}

fn pack(len: usize, order: ExpiryOrder) -> Case {
    let pan = secret::pan(&"9876543210987654321"[..len]);
    let expiry = secret::expiry("3412");
    let service_code = secret::service_code("219");
    Case::new(format!("pack {len} digits, {order}"), Expected::Clean, move || {
        let packed = Box::new(PackedCard::new(&pan, &expiry, order, &service_code));
        if secret::is_secret(&*packed) { Ok(()) } else { Err(MARK_LOST) }
    })
}

fn key_parity() -> Case {
    let mut key = secret::bytes(KEY);
    Case::new("key parity", Expected::Clean, move || {
        cvv2::hazmat::force_odd_parity(&mut key);
        let marked = secret::is_secret(&key);
        match secret::public(key) == KEY {
            false => Err("WRONG PARITY"),
            true if !marked => Err(MARK_LOST),
            true => Ok(()),
        }
    })
}

fn key_compare() -> Case {
    let [a, b] = [(); 2].map(|()| secret_key(Kernel::detect()));
    Case::new("compare keys", Expected::Clean, move || {
        let verdict = a.ct_eq(&b);
        let marked = secret::is_secret(&verdict);
        if marked { equal(secret::public(verdict).into()) } else { Err(MARK_LOST) }
    })
}

fn pan_compare() -> Case {
    let [a, b] = [(); 2].map(|()| secret::pan("4123456789012345"));
    Case::new("compare PANs", Expected::Clean, move || equal(secret::public(a == b)))
}

fn card_compare() -> Case {
    let cards = secret::cards(vec![card(1), card(1)]);
    Case::new("compare packed cards", Expected::Clean, move || {
        equal(secret::public(cards[0] == cards[1]))
    })
}

fn cvv_compare() -> Case {
    let [a, b] = [(); 2].map(|()| secret::cvv("042"));
    Case::new("compare values", Expected::Clean, move || equal(secret::public(a == b)))
}

fn equal(equal: bool) -> Result<(), &'static str> {
    if equal { Ok(()) } else { Err("WRONG VERDICT") }
}

/// A loaded key, all of whose bits are secret. What loading it reports is the case of key set-up.
fn secret_key(kernel: Kernel) -> CvkPair {
    CvkPair::from_bytes(&secret::bytes(KEY), ExpiryOrder::YyMm, Policy::TestVectors)
        .expect("refuses nothing")
        .with_kernel(kernel)
}

/// The same key, with nothing marked.
fn reference() -> CvkPair {
    CvkPair::from_bytes(&KEY, ExpiryOrder::YyMm, Policy::TestVectors)
        .expect("refuses nothing")
        .with_kernel(Kernel::by_name("reference").expect("it runs everywhere"))
}

/// A card of its own for every number, with PANs of all lengths.
fn card(number: usize) -> PackedCard {
    let lengths = Pan::LEN_MAX - Pan::LEN_MIN + 1;
    let digits = format!("{:019}", 4_123_456_789_012_345_678 + 7_919_191_919 * number);
    let pan = Pan::parse(&digits[..Pan::LEN_MIN + number % lengths]).expect("a PAN");
    let expiry = Expiry::parse_yymm("2912").expect("an expiry");
    PackedCard::new(&pan, &expiry, ExpiryOrder::YyMm, &ServiceCode::CVV2)
}

/// A result that carries no mark was not computed from what was marked, or a table look-up took the
/// mark off on the way.
const MARK_LOST: &str = "SHOWS NOTHING: mark lost";

/// A published test key, of odd parity.
const KEY: [u8; 16] = *b"\x01\x23\x45\x67\x89\xAB\xCD\xEF\xFE\xDC\xBA\x98\x76\x54\x32\x10";
