//! A verdict that nobody looks at is an error where warnings are.
#![deny(unused_must_use)]
use cvv2::{CvkPair, Cvv, PackedCard};

fn pay(key: &CvkPair, card: &PackedCard, typed: &Cvv) {
    key.verify(card, typed).unwrap();
}

fn main() {}
