//! A key is not copied behind the back of whoever has to wipe it.
use cvv2::{CvkPair, ExpiryOrder, Policy};

fn main() {
    let hex = "0123456789ABCDEFFEDCBA9876543210";
    let key = CvkPair::from_hex(hex, ExpiryOrder::YyMm, Policy::Strict).unwrap();
    let _ = key.clone();
}
