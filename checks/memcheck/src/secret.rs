//! What is marked secret, and how it is found inside the library's types.
//!
//! Their fields are private, so the marks are put on the bytes of the objects. That is sound: a
//! mark is valgrind's and changes no byte. It is also exact, whatever the representation: which
//! bytes hold digits is found by comparing two objects of the same shape in which every digit
//! differs. Bytes that are equal in both (a length, the padding of a short PAN) are public and stay
//! unmarked.
#![expect(unsafe_code, reason = "reads and marks the bytes of objects with private fields")]
#![expect(
    clippy::unnecessary_box_returns,
    reason = "a mark is on a place; what is moved may lose it"
)]

use core::hint::black_box;
use core::slice;

use cvv2::{Cvv, CvvLength, Expiry, PackedCard, Pan, ServiceCode};

use crate::valgrind;

/// A secret array: keys and raw digits.
pub(crate) fn bytes<const N: usize>(mut value: [u8; N]) -> [u8; N] {
    valgrind::make_undefined(value.as_mut_ptr(), N);
    black_box(value)
}

/// A PAN with secret digits and a public length.
pub(crate) fn pan(digits: &str) -> Box<Pan> {
    let [zeros, nines] = ["0", "9"].map(|digit| digit.repeat(digits.len()));
    let parse = |digits: &str| Pan::parse(digits).expect("a PAN");
    marked(parse(digits), &parse(&zeros), &parse(&nines))
}

/// A secret expiry.
pub(crate) fn expiry(yymm: &str) -> Box<Expiry> {
    let parse = |yymm: &str| Expiry::parse_yymm(yymm).expect("an expiry");
    marked(parse(yymm), &parse("0001"), &parse("9912"))
}

/// A secret service code.
pub(crate) fn service_code(digits: &str) -> Box<ServiceCode> {
    let parsed = ServiceCode::parse(digits).expect("a service code");
    marked(parsed, &ServiceCode::CVV2, &ServiceCode::ICVV)
}

/// A value with secret digits and a public length.
pub(crate) fn cvv(digits: &str) -> Box<Cvv> {
    let [zeros, nines] = ["0", "9"].map(|digit| digit.repeat(digits.len()));
    let length = CvvLength::new(digits.len()).expect("1 to 5 digits");
    let parse = |digits: &str| Cvv::parse(digits, length).expect("a value");
    marked(parse(digits), &parse(&zeros), &parse(&nines))
}

/// Secret packed cards, all of every card.
pub(crate) fn cards(mut cards: Vec<PackedCard>) -> Vec<PackedCard> {
    valgrind::make_undefined(cards.as_mut_ptr().cast(), size_of_val(cards.as_slice()));
    black_box(cards)
}

/// Declares a result public: from here on the program may branch on it.
pub(crate) fn public<T>(value: T) -> T {
    let mut value = black_box(value);
    valgrind::make_defined((&raw mut value).cast(), size_of::<T>());
    black_box(value)
}

/// The same for results in place.
pub(crate) fn publish<T>(values: &mut [T]) {
    valgrind::make_defined(values.as_mut_ptr().cast(), size_of_val(values));
    black_box(values);
}

/// Whether a secret reached `value`. One that did not was computed from something else, or lost its
/// mark in a table look-up; either way a case without reports shows nothing.
pub(crate) fn is_secret<T>(value: &T) -> bool {
    valgrind::any_undefined(object_bytes(value))
}

/// Marks the bytes of `value` that differ between `low` and `high`.
fn marked<T>(value: T, low: &T, high: &T) -> Box<T> {
    let mut value = Box::new(value);
    let start: *mut u8 = (&raw mut *value).cast();
    let pairs = object_bytes(low).iter().zip(object_bytes(high));
    for (at, _) in pairs.enumerate().filter(|(_, (low, high))| low != high) {
        valgrind::make_undefined(start.wrapping_add(at), 1);
    }
    assert!(is_secret(&*value), "two objects with different digits differ in some byte");
    black_box(value)
}

fn object_bytes<T>(value: &T) -> &[u8] {
    // SAFETY: the card types consist of integers and arrays of them, without padding or interior
    // mutability, so each of their bytes is initialised for as long as `value` is borrowed.
    unsafe { slice::from_raw_parts((&raw const *value).cast(), size_of::<T>()) }
}
