//! An integer does not become a card verification value.
fn main() {
    let _ = cvv2::Cvv::from(42_u32);
}
