//! The Luhn check digit (ISO/IEC 7812-1, annex B), of EXIDs.

/// Whether the last digit is the check digit of the others. `ascii` holds ASCII digits only.
pub(crate) fn passes(ascii: &[u8]) -> bool {
    sum(ascii.iter().rev().enumerate()).is_multiple_of(10)
}

/// The ASCII digit that makes `ascii`, followed by it, pass.
pub(crate) fn check_digit(ascii: &[u8]) -> u8 {
    let sum = sum(ascii.iter().rev().zip(1..).map(|(digit, place)| (place, digit)));
    b'0' + u8::try_from((10 - sum % 10) % 10).expect("one digit")
}

/// The sum over digits with their places from the right, the check digit's being 0: every second
/// digit is doubled, and a doubled digit counts as the sum of its own digits.
fn sum<'a>(digits: impl Iterator<Item = (usize, &'a u8)>) -> u32 {
    digits
        .map(|(place, ascii)| {
            let digit = u32::from(ascii - b'0');
            if place % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_numbers_pass_and_no_other_last_digit_does() {
        for published in ["99984100148297467162", "4111111111111111", "378282246310005", "0"] {
            let (body, last) = published.as_bytes().split_at(published.len() - 1);
            assert!(passes(published.as_bytes()));
            assert_eq!(check_digit(body), last[0]);
            for digit in b'0'..=b'9' {
                assert_eq!(passes(&[body, &[digit]].concat()), digit == last[0]);
            }
        }
    }
}
