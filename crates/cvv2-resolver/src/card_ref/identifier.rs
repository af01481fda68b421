//! The characters of an identifier, whichever kind it is.

use std::ops::Range;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// 1 to 32 printable ASCII characters without blanks, held in place and zeroized when dropped.
#[derive(Clone)]
pub(super) struct Identifier {
    ascii: [u8; Identifier::LEN_MAX],
    len: u8,
}

/// What kept a text from being an [`Identifier`].
pub(super) enum IdentifierError {
    /// The character at this zero-based position is a blank, a control or no ASCII.
    NotPrintable { at: usize },
    /// All characters are printable, but there are this many of them.
    Length { characters: usize },
}

impl Identifier {
    pub(super) const LEN_MAX: usize = 32;

    pub(super) fn parse(text: &str) -> Result<Self, IdentifierError> {
        if let Some(at) = text.chars().position(|c| !c.is_ascii_graphic()) {
            return Err(IdentifierError::NotPrintable { at });
        }
        if !(1..=Self::LEN_MAX).contains(&text.len()) {
            return Err(IdentifierError::Length { characters: text.len() });
        }
        let mut identifier =
            Self { ascii: [0; Self::LEN_MAX], len: u8::try_from(text.len()).expect("at most 32") };
        identifier.ascii[..text.len()].copy_from_slice(text.as_bytes());
        Ok(identifier)
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.len)
    }

    pub(super) fn as_str(&self) -> &str {
        str::from_utf8(&self.ascii[..self.len()]).expect("only ASCII was stored")
    }

    /// Puts one printable character in place of several.
    pub(super) fn overwrite(&mut self, range: Range<usize>, character: u8) {
        debug_assert!(character.is_ascii_graphic() && range.end <= self.len());
        self.ascii[range].fill(character);
    }
}

impl PartialEq for Identifier {
    fn eq(&self, other: &Self) -> bool {
        (self.len.ct_eq(&other.len) & self.ascii.ct_eq(&other.ascii)).into()
    }
}

impl Eq for Identifier {}

impl Drop for Identifier {
    fn drop(&mut self) {
        self.ascii.zeroize();
        self.len.zeroize();
    }
}
