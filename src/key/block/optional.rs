//! Optional blocks: what a header may carry besides its fixed fields.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use super::error::{KeyBlockError, OptionalBlockFlaw};

/// An optional block, kept as it was written.
///
/// An identifier of two characters, a length in hexadecimal digits that counts the whole optional
/// block, and data. Short ones have a length of two digits; longer ones write `0004` and then four,
/// as in the example of X9.143:2021, 8.5. Some software writes `0002` there, two bytes for the same
/// four digits, which is read as well.
#[derive(Clone, PartialEq, Eq)]
pub struct OptionalBlock {
    text: String,
    data_at: usize,
}

impl OptionalBlock {
    /// The identifier of the padding block.
    pub(super) const PADDING: &str = "PB";
    /// The identifier of a key check value.
    pub(super) const CHECK_VALUE: &str = "KC";

    /// Makes one; `number` is its place for the error.
    pub(super) fn new(id: &str, data: &str, number: usize) -> Result<Self, KeyBlockError> {
        let flaw = |flaw| KeyBlockError::OptionalBlock { number, at: 0, flaw };
        if id.len() != 2 || !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(flaw(OptionalBlockFlaw::Id));
        }
        if let Some(at) = data.chars().position(|c| !matches!(c, ' '..='~')) {
            return Err(KeyBlockError::NotPrintable { at });
        }
        let text = match (data.len() + 4, data.len() + 10) {
            (short @ ..=0xFF, _) => format!("{id}{short:02X}{data}"),
            (_, long @ ..=0xFFFF) => format!("{id}0004{long:04X}{data}"),
            _ => return Err(KeyBlockError::TooLong),
        };
        let data_at = text.len() - data.len();
        Ok(Self { text, data_at })
    }

    /// A padding block of `len` characters, at least four.
    pub(super) fn padding(len: usize) -> Self {
        let zeros = len - 4;
        Self { text: format!("{}{len:02X}{:0>zeros$}", Self::PADDING, ""), data_at: 4 }
    }

    /// Reads the optional block that starts at `at`.
    pub(super) fn parse(text: &str, at: usize, number: usize) -> Result<Self, KeyBlockError> {
        let error = |at, flaw| KeyBlockError::OptionalBlock { number, at, flaw };
        let field = |from: usize, len: usize| text.as_bytes().get(from..from + len);

        let (Some(id), Some(short)) = (field(at, 2), field(at + 2, 2)) else {
            return Err(error(at, OptionalBlockFlaw::Beyond));
        };
        if let Some(wrong) = id.iter().position(|b| !b.is_ascii_alphanumeric()) {
            return Err(error(at + wrong, OptionalBlockFlaw::Id));
        }
        let (length_at, digits) = match short {
            b"00" => match (field(at + 4, 2), field(at + 6, 4)) {
                (Some(b"02" | b"04"), Some(long)) => (at + 6, long),
                (Some(b"02" | b"04") | None, None) => {
                    return Err(error(at + 4, OptionalBlockFlaw::Beyond));
                }
                _ => return Err(error(at + 4, OptionalBlockFlaw::LengthOfLength)),
            },
            short => (at + 2, short),
        };
        let len = upper_hex(digits)
            .map_err(|wrong| error(length_at + wrong, OptionalBlockFlaw::Length))?;
        let data_at = length_at + digits.len() - at;
        if len < data_at {
            return Err(error(length_at, OptionalBlockFlaw::TooShort));
        }
        match text.get(at..at + len) {
            Some(whole) => Ok(Self { text: whole.to_owned(), data_at }),
            None => Err(error(length_at, OptionalBlockFlaw::Beyond)),
        }
    }

    /// The two characters that say what it is.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.text[..2]
    }

    /// What it carries.
    #[must_use]
    pub fn data(&self) -> &str {
        &self.text[self.data_at..]
    }

    /// The whole of it, as it stands in the header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl core::fmt::Debug for OptionalBlock {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "OptionalBlock({})", self.text)
    }
}

/// The number that upper-case hexadecimal digits write, or the index of the first that is none.
fn upper_hex(digits: &[u8]) -> Result<usize, usize> {
    digits.iter().enumerate().try_fold(0, |number, (i, digit)| match digit {
        b'0'..=b'9' => Ok(number << 4 | usize::from(digit - b'0')),
        b'A'..=b'F' => Ok(number << 4 | usize::from(digit - b'A' + 10)),
        _ => Err(i),
    })
}
