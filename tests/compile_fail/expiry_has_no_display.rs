//! An expiry cannot be formatted for people.
fn main() {
    let expiry = cvv2::Expiry::parse_yymm("2701").unwrap();
    println!("{expiry}");
}
