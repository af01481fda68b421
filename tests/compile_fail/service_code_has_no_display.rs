//! A service code cannot be formatted for people.
fn main() {
    println!("{}", cvv2::ServiceCode::CVV2);
}
