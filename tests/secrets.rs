//! Secret types cannot be shown, serialised or compared by accident: misuse does not compile, and
//! what is left of a dropped value is zeros.

use std::mem::{ManuallyDrop, size_of};
use std::ptr;

use cvv2::{Cvv, CvvLength, Expiry, ExpiryOrder, PackedCard, Pan, ServiceCode};

#[test]
fn misuse_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}

#[test]
fn drop_leaves_zeros() {
    let pan = || Pan::parse("4123456789012345678").unwrap();
    let expiry = || Expiry::parse_yymm("2712").unwrap();
    assert_eq!(left_behind(pan()), [0; size_of::<Pan>()]);
    assert_eq!(left_behind(expiry()), [0; size_of::<Expiry>()]);
    assert_eq!(left_behind(ServiceCode::ICVV), [0; size_of::<ServiceCode>()]);
    assert_eq!(left_behind(Cvv::parse("561", CvvLength::THREE).unwrap()), [0; size_of::<Cvv>()]);
    let card = PackedCard::new(&pan(), &expiry(), ExpiryOrder::YyMm, &ServiceCode::ICVV);
    assert_eq!(left_behind(card), [0; size_of::<PackedCard>()]);
}

/// The bytes that a value's place holds after the value was dropped; some are not zero before.
#[expect(unsafe_code, reason = "looks at memory after the drop of what was in it")]
fn left_behind<T>(value: T) -> Vec<u8> {
    let mut slot = ManuallyDrop::new(value);
    let bytes = (&raw const *slot).cast::<u8>();
    // SAFETY: the types of this test are made of integers only, without padding, so each byte of
    // the slot is initialised, before and after the value's one drop.
    let read = || unsafe { (0..size_of::<T>()).map(|i| bytes.add(i).read_volatile()).collect() };
    let before: Vec<u8> = read();
    assert!(before.iter().any(|b| *b != 0), "the control: the value is there while it lives");
    // SAFETY: the slot holds a value that was not dropped yet and is not used afterwards.
    unsafe { ptr::drop_in_place(&raw mut *slot) };
    read()
}
