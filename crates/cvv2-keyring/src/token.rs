//! The name of a key, and of a scheme.

use std::fmt;
use std::ops::Deref;

/// A short name: 1 to 64 lower-case letters, digits, `-`, `_` and `.`, a letter or digit first.
///
/// Names go into listings, errors and logs, so a text with 16 or more hexadecimal digits in a row
/// is none: it may be a key that somebody pasted.
///
/// ```
/// use cvv2_keyring::{Token, TokenError};
///
/// assert_eq!(&*Token::parse("visa-cvv2-2026")?, "visa-cvv2-2026");
/// assert_eq!(Token::parse("Visa").unwrap_err(), TokenError::Character { at: 0 });
/// # Ok::<(), TokenError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(String);

impl Token {
    /// The most characters of a name.
    pub const CHARS_MAX: usize = 64;

    /// Reads a name.
    ///
    /// # Errors
    ///
    /// [`TokenError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let chars = text.chars().count();
        if !(1..=Self::CHARS_MAX).contains(&chars) {
            return Err(TokenError::Length { chars });
        }
        let fits = |(at, c): (usize, char)| match c {
            'a'..='z' | '0'..='9' => true,
            '-' | '_' | '.' => at > 0,
            _ => false,
        };
        if let Some(at) = text.chars().enumerate().position(|c| !fits(c)) {
            return Err(TokenError::Character { at });
        }
        let mut hex_digits = text.split(|c: char| !c.is_ascii_hexdigit()).map(str::len);
        if hex_digits.any(|run| run >= HEX_DIGITS_OF_A_KEY) {
            return Err(TokenError::LooksLikeAKey);
        }
        Ok(Self(text.to_owned()))
    }
}

impl Deref for Token {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenError {
    /// A character is no lower-case letter, digit, `-`, `_` or `.`, or a sign comes first.
    Character {
        /// Its position, counted in characters from zero.
        at: usize,
    },
    /// There is no character, or there are more than 64.
    Length {
        /// How many there were.
        chars: usize,
    },
    /// It has as many hexadecimal digits in a row as half a key.
    LooksLikeAKey,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Character { at } => write!(
                f,
                "character {} does not belong in a name; use a-z, 0-9, '-', '_' and '.', with a \
                 letter or digit first",
                at + 1
            ),
            Self::Length { chars } => {
                write!(f, "a name of {chars} characters; give 1 to {}", Token::CHARS_MAX)
            }
            Self::LooksLikeAKey => write!(
                f,
                "a name with {HEX_DIGITS_OF_A_KEY} hexadecimal digits in a row may be a key; give \
                 another name, and consider the key known if it was one"
            ),
        }
    }
}

impl std::error::Error for TokenError {}

/// Half of a double-length key.
const HEX_DIGITS_OF_A_KEY: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_1_to_64_characters_are_read() {
        for text in
            ["a", "0", "visa-cvv2_2026.b", &"x".repeat(64), "abcdef0123456789-visa"[1..].into()]
        {
            assert_eq!(&*Token::parse(text).unwrap(), text);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for (text, error) in [
            ("", TokenError::Length { chars: 0 }),
            (&*"x".repeat(65), TokenError::Length { chars: 65 }),
            ("-a", TokenError::Character { at: 0 }),
            ("a b", TokenError::Character { at: 1 }),
            ("éa", TokenError::Character { at: 0 }),
            ("a\"", TokenError::Character { at: 1 }),
            ("a\n", TokenError::Character { at: 1 }),
            ("visa-0123456789abcdef", TokenError::LooksLikeAKey),
        ] {
            assert_eq!(Token::parse(text).unwrap_err(), error, "{text:?}");
        }
    }
}
