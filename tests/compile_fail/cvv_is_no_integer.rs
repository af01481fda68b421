//! A card verification value does not become an integer: a leading zero would be lost.
fn main() {
    let cvv = cvv2::Cvv::parse("042", cvv2::CvvLength::THREE).unwrap();
    let _: u32 = cvv.into();
}
