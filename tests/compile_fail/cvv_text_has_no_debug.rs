//! The exposed digits cannot be printed without asking for the text.
fn main() {
    let cvv = cvv2::Cvv::parse("042", cvv2::CvvLength::THREE).unwrap();
    println!("{:?}", cvv.expose());
}
