//! A card verification value cannot be formatted for people.
fn main() {
    let cvv = cvv2::Cvv::parse("042", cvv2::CvvLength::THREE).unwrap();
    println!("{cvv}");
}
