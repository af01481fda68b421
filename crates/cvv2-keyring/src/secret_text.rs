//! Text that is a secret, in one buffer that does not grow and is wiped when dropped.

use core::fmt;
use std::io::{self, Read};

use zeroize::{Zeroize, Zeroizing};

/// Text that is a secret: of a key file, of a credential, or typed.
///
/// It has no `Display` and no `Clone`, and `Debug` shows nothing of it.
pub struct SecretText {
    bytes: Zeroizing<Vec<u8>>,
}

impl SecretText {
    /// The longest text, in bytes: any keys of this project in one file, with many versions of
    /// each.
    pub const LEN_MAX: usize = 16 << 10;

    /// Reads to the end, at most [`LEN_MAX`](Self::LEN_MAX) bytes.
    ///
    /// # Errors
    ///
    /// [`SecretTextError`] for more bytes, for bytes that are not UTF-8, and as the reader fails.
    pub fn read(reader: &mut impl Read) -> Result<Self, SecretTextError> {
        let bytes = read_bounded(reader, Self::LEN_MAX)?.ok_or(SecretTextError::TooLong)?;
        if str::from_utf8(&bytes).is_err() {
            return Err(SecretTextError::NotText);
        }
        Ok(Self { bytes })
    }

    /// The text without the white space around it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes).expect("checked when it was read").trim()
    }

    /// The text without any white space, as forms print keys in groups of digits.
    #[must_use]
    pub fn without_spaces(mut self) -> Self {
        self.bytes.retain(|byte| !byte.is_ascii_whitespace());
        self
    }
}

impl TryFrom<Vec<u8>> for SecretText {
    type Error = SecretTextError;

    /// Takes bytes over without copying them; where they are refused they are wiped.
    fn try_from(mut bytes: Vec<u8>) -> Result<Self, SecretTextError> {
        let refused = if bytes.len() > Self::LEN_MAX {
            SecretTextError::TooLong
        } else if str::from_utf8(&bytes).is_err() {
            SecretTextError::NotText
        } else {
            return Ok(Self { bytes: Zeroizing::new(bytes) });
        };
        bytes.zeroize();
        Err(refused)
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText([redacted])")
    }
}

/// Why there is no text.
#[derive(Debug)]
#[non_exhaustive]
pub enum SecretTextError {
    /// It could not be read.
    Io(io::Error),
    /// It is not UTF-8.
    NotText,
    /// It is longer than [`SecretText::LEN_MAX`].
    TooLong,
}

impl fmt::Display for SecretTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::NotText => f.write_str("not text; give it in plain digits and letters"),
            Self::TooLong => f.write_str("too long; give what was asked for and nothing else"),
        }
    }
}

impl core::error::Error for SecretTextError {}

impl From<io::Error> for SecretTextError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads at most `max` bytes, wiped when dropped; `None` if there are more.
///
/// The buffer is allocated once: a growing one would leave copies of its content behind.
///
/// # Errors
///
/// As the reader fails.
pub fn read_bounded(reader: &mut impl Read, max: usize) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut bytes = Zeroizing::new(vec![0; max + 1]);
    let mut len = 0;
    while len <= max {
        match reader.read(&mut bytes[len..]) {
            Ok(0) => {
                bytes.truncate(len);
                return Ok(Some(bytes));
            }
            Ok(read) => len += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_stops_at_the_bound() {
        let read = |len: usize, max| read_bounded(&mut &vec![7; len][..], max).unwrap();
        assert_eq!(read(0, 4).unwrap().len(), 0);
        assert_eq!(*read(4, 4).unwrap(), [7; 4]);
        assert!(read(5, 4).is_none());
    }

    #[test]
    fn white_space_around_the_text_is_dropped() {
        for (bytes, text) in [(&b"\n 00FF \r\n"[..], "00FF"), (b"", ""), (b" ", "")] {
            assert_eq!(SecretText::read(&mut &*bytes).unwrap().as_str(), text);
            assert_eq!(SecretText::try_from(bytes.to_vec()).unwrap().as_str(), text);
        }
    }

    #[test]
    fn what_is_no_text_or_too_much_is_refused() {
        let longest = vec![b'0'; SecretText::LEN_MAX];
        assert_eq!(SecretText::read(&mut &longest[..]).unwrap().as_str().len(), longest.len());
        let longer = vec![b'0'; SecretText::LEN_MAX + 1];
        for (bytes, why) in [(&longer[..], "too long"), (&[0xFF, 0xFE], "not text")] {
            let read = SecretText::read(&mut &*bytes).unwrap_err();
            let taken = SecretText::try_from(bytes.to_vec()).unwrap_err();
            for error in [read, taken] {
                let error = error.to_string();
                // A PAN or a PIN may have been asked for.
                assert!(error.starts_with(why) && !error.contains("key"), "{error}");
            }
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let text = SecretText::try_from(b"00FF".to_vec()).unwrap();
        assert_eq!(format!("{text:?}"), "SecretText([redacted])");
    }
}
