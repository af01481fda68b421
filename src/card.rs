//! Card data, parsed once: after that it is true.
//!
//! What holds card data has no `Display`, redacts `Debug`, compares in constant time and is
//! wiped when dropped. Errors say where a value was wrong and why, never what it was.

mod cvv;
mod expiry;
mod packed;
mod pan;
mod service_code;

pub use cvv::{Cvv, CvvError, CvvLength, CvvText};
pub use expiry::{Expiry, ExpiryError, ExpiryOrder};
pub use packed::PackedCard;
pub use pan::{MaskedPan, Pan, PanError};
pub use service_code::{ServiceCode, ServiceCodeError};

/// What kept a text from being a run of ASCII digits of an accepted length.
enum DigitsError {
    /// The character at this zero-based position is no ASCII digit.
    NotADigit { at: usize },
    /// All characters are digits, but there are this many of them.
    Length { digits: usize },
}

/// Copies the ASCII digits of `text` to the front of `into` and returns how many there are.
///
/// Digits of other scripts (full-width, Arabic-Indic, …) are refused like any other character:
/// systems that accept them disagree about what they mean.
fn copy_digits(text: &str, min: usize, into: &mut [u8]) -> Result<usize, DigitsError> {
    if let Some(at) = text.chars().position(|c| !c.is_ascii_digit()) {
        return Err(DigitsError::NotADigit { at });
    }
    let digits = text.len();
    if !(min..=into.len()).contains(&digits) {
        return Err(DigitsError::Length { digits });
    }
    into[..digits].copy_from_slice(text.as_bytes());
    Ok(digits)
}
