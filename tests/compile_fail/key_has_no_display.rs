//! A key cannot be formatted for people.
use cvv2::{CvkPair, ExpiryOrder, Policy};

fn main() {
    let hex = "0123456789ABCDEFFEDCBA9876543210";
    let key = CvkPair::from_hex(hex, ExpiryOrder::YyMm, Policy::Strict).unwrap();
    println!("{key}");
}
