//! A PAN cannot be formatted for people.
fn main() {
    let pan = cvv2::Pan::parse("4123456789012345").unwrap();
    println!("{pan}");
}
