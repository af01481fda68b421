//! The check value of a key, as text.

use std::fmt;

use cvv2::Kcv;

/// A key check value as it is written down: six hexadecimal digits.
///
/// ```
/// use cvv2_keyring::CheckValue;
///
/// assert_eq!(CheckValue::parse("08d7b4").unwrap().to_string(), "08D7B4");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CheckValue([u8; 3]);

impl CheckValue {
    pub(crate) fn new(bytes: [u8; 3]) -> Self {
        Self(bytes)
    }

    /// Reads six hexadecimal digits, in either case; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: &[u8; 6] = text.as_bytes().try_into().ok()?;
        let mut bytes = [0; 3];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
        }
        Some(Self(bytes))
    }
}

impl From<Kcv> for CheckValue {
    fn from(kcv: Kcv) -> Self {
        Self(kcv.bytes())
    }
}

impl fmt::Display for CheckValue {
    /// Six upper-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c] = self.0;
        write!(f, "{a:02X}{b:02X}{c:02X}")
    }
}

fn hex_digit(ascii: u8) -> Option<u8> {
    let digit = char::from(ascii).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_six_hexadecimal_digits_are_a_check_value() {
        assert_eq!(CheckValue::parse("00fFA9").unwrap().to_string(), "00FFA9");
        for text in ["", "08D7B", "08D7B40", "08D7BG", "0x08D7", "08 7B4", "０8D7"] {
            assert_eq!(CheckValue::parse(text), None, "{text}");
        }
    }
}
