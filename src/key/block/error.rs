//! Why a key block was refused.

use core::fmt;

use super::PAYLOAD_BYTES_MAX;
use super::field::{KeyBlockVersion, KeyUsage};
use super::kbpk::KbpkAlgorithm;
use crate::key::KeyError;
use crate::secret::SecretError;

/// Why a key block was refused, or was not made. Never holds or shows key material.
///
/// Positions count characters from zero. Everything about the text is told apart; every failure of
/// authentication is [`Authentication`](Self::Authentication) and nothing else, and what is wrong
/// with a block that is authentic has a name again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyBlockError {
    /// The MAC is not the block's under this protection key: another protection key, or a changed
    /// header, ciphertext or MAC. Which of them is not told.
    Authentication,
    /// The block holds a component of a key, as its key version number says, not a key.
    Component,
    /// A key check value in the header is not the key's, or not one that can be checked.
    CheckValue,
    /// A character of the encrypted key or the MAC is no upper-case hexadecimal digit.
    Digit {
        /// Its position.
        at: usize,
    },
    /// A header field has a character or a value that the standard does not give it.
    Field {
        /// Which field.
        field: HeaderField,
        /// The position of the first character that is wrong.
        at: usize,
    },
    /// The header with its optional blocks does not fill cipher blocks.
    HeaderMultiple {
        /// How many characters the header has.
        chars: usize,
        /// What their number must be a multiple of.
        of: usize,
    },
    /// The protection key is of another cipher than the version of the block wants.
    KbpkAlgorithm {
        /// The version of the block.
        version: KeyBlockVersion,
        /// The protection key's algorithm.
        algorithm: KbpkAlgorithm,
    },
    /// The block is authentic, and its key is refused as a card verification key.
    Key(KeyError),
    /// The key is not as long as its algorithm and usage want.
    KeyLength {
        /// Its length.
        bytes: usize,
    },
    /// The block is authentic, and the length that stands before the key cannot be right.
    KeyLengthField,
    /// The length field does not give the number of characters.
    Length {
        /// What the length field states.
        stated: usize,
        /// How many characters there are.
        chars: usize,
    },
    /// The block is not made of whole cipher blocks.
    LengthMultiple {
        /// How many characters there are.
        chars: usize,
        /// What their number must be a multiple of.
        of: usize,
    },
    /// The new header would allow what the key's own does not.
    Looser {
        /// The field that does.
        field: HeaderField,
    },
    /// The key's mode of use or algorithm does not go with its usage.
    NotForUsage {
        /// The field that does not.
        field: HeaderField,
    },
    /// The key is not exportable.
    NotExportable,
    /// A character is not printable ASCII.
    NotPrintable {
        /// Its position.
        at: usize,
    },
    /// An optional block is malformed.
    OptionalBlock {
        /// Which of them, counted from one.
        number: usize,
        /// Where in the text the fault is.
        at: usize,
        /// What is wrong with it.
        flaw: OptionalBlockFlaw,
    },
    /// The padding does not fill the last cipher block, or leaves one empty beyond the limit.
    Padding {
        /// How many bytes were given.
        bytes: usize,
    },
    /// The encrypted key does not fill cipher blocks, or is longer than [`PAYLOAD_BYTES_MAX`].
    PayloadLength {
        /// How many digits it has.
        digits: usize,
        /// What their number must be a multiple of.
        of: usize,
    },
    /// Blocks of this version are read and not made.
    ReadOnly {
        /// The version.
        version: KeyBlockVersion,
    },
    /// There is no memory for the key that is as protected as the protection key's owner wants it.
    Secret(SecretError),
    /// The text ends before a key block can.
    Short {
        /// How many characters there are.
        chars: usize,
        /// How many there have to be.
        at_least: usize,
    },
    /// The block would be longer than its length field can state, or have too many optional blocks.
    TooLong,
    /// The block is for another usage.
    Usage {
        /// The usage that was wanted.
        wanted: KeyUsage,
    },
    /// The version needs the protection key itself, and only what is derived of it is here.
    VariantsNeedKbpk {
        /// The version.
        version: KeyBlockVersion,
    },
    /// The protection key is weaker than the key that it would protect.
    WeakerKbpk {
        /// The protection key's algorithm.
        algorithm: KbpkAlgorithm,
    },
}

/// A field of the fixed header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeaderField {
    /// What the key may be used with: one letter.
    Algorithm,
    /// How far the key may travel: one letter.
    Exportability,
    /// Which version of a key it is: two letters or digits.
    KeyVersion,
    /// Whether the block stores or exchanges the key: one digit.
    KeyContext,
    /// The length of the block: four digits.
    Length,
    /// What may be done with the key: one letter.
    ModeOfUse,
    /// How many optional blocks follow: two digits.
    OptionalBlocks,
    /// One zero.
    Reserved,
    /// What the key is for: two letters or digits.
    Usage,
    /// How the block is protected: one letter.
    Version,
}

impl HeaderField {
    fn name(self) -> &'static str {
        match self {
            Self::Algorithm => "algorithm",
            Self::Exportability => "exportability",
            Self::KeyContext => "key context",
            Self::KeyVersion => "key version number",
            Self::Length => "length",
            Self::ModeOfUse => "mode of use",
            Self::OptionalBlocks => "number of optional blocks",
            Self::Reserved => "reserved field",
            Self::Usage => "key usage",
            Self::Version => "version",
        }
    }

    /// What the field may hold.
    fn allowed(self) -> &'static str {
        match self {
            Self::Algorithm => "A, D, E, H, R, S or T",
            Self::Exportability => "E, N or S",
            Self::KeyContext => "0, 1 or 2",
            Self::KeyVersion => "two letters or digits",
            Self::Length => "four decimal digits",
            Self::ModeOfUse => "B, C, D, E, G, N, S, T, V, X or Y",
            Self::OptionalBlocks => "two decimal digits",
            Self::Reserved => "0",
            Self::Usage => "two upper-case letters or digits",
            Self::Version => "A, B, C or D",
        }
    }
}

/// What is wrong with an optional block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OptionalBlockFlaw {
    /// It goes beyond the end of the text.
    Beyond,
    /// An optional block before it has the same identifier.
    Duplicate,
    /// An identifier is two letters or digits.
    Id,
    /// A length is of upper-case hexadecimal digits.
    Length,
    /// A length of more than two digits has four and is announced by `0004`, or `0002`.
    LengthOfLength,
    /// The padding block PB comes last.
    PaddingNotLast,
    /// The length does not even cover identifier and length.
    TooShort,
}

impl fmt::Display for OptionalBlockFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Beyond => "it goes beyond the end of the text",
            Self::Duplicate => "an optional block before it has the same identifier",
            Self::Id => "its identifier is not two letters or digits",
            Self::Length => "its length is not upper-case hexadecimal digits",
            Self::LengthOfLength => "its extended length is not announced by 0004 or 0002",
            Self::PaddingNotLast => "the padding block PB has to be the last",
            Self::TooShort => "its length does not cover its own identifier and length",
        })
    }
}

impl fmt::Display for KeyBlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authentication => f.write_str(
                "the key block is not authentic under this protection key; check that it is the \
                 right protection key and that the block arrived unchanged",
            ),
            Self::CheckValue => f.write_str(
                "the key check value in the header is not the key's; have the block made again",
            ),
            Self::Component => f.write_str(
                "the block holds a component of a key; combine all components where they belong",
            ),
            Self::Digit { at } => {
                write!(f, "character {} is not an upper-case hexadecimal digit", at + 1)
            }
            Self::Field { field, at } => write!(
                f,
                "character {} is wrong: the {} is {}",
                at + 1,
                field.name(),
                field.allowed()
            ),
            Self::HeaderMultiple { chars, of } => write!(
                f,
                "the header has {chars} characters with its optional blocks; a padding block PB \
                 has to make that a multiple of {of}"
            ),
            Self::KbpkAlgorithm { version, algorithm } => write!(
                f,
                "a key block of version {version} is protected by a key of another cipher than {}",
                algorithm.name()
            ),
            Self::Key(error) => error.fmt(f),
            Self::KeyLength { bytes } => {
                write!(f, "the key has {bytes} bytes, which its algorithm and usage do not allow")
            }
            Self::KeyLengthField => f.write_str(
                "the block is authentic, but the length before its key is impossible; have it \
                 made again",
            ),
            Self::Length { stated, chars } => write!(
                f,
                "the key block states {stated} characters and has {chars}; check that it was \
                 copied whole"
            ),
            Self::LengthMultiple { chars, of } => {
                write!(f, "the key block has {chars} characters, which is no multiple of {of}")
            }
            Self::Looser { field } => write!(
                f,
                "the {} of the new header allows more than the key was imported with",
                field.name()
            ),
            Self::NotExportable => f.write_str("the key is not exportable, as its block said"),
            Self::NotForUsage { field } => {
                write!(f, "the {} does not go with the key usage", field.name())
            }
            Self::NotPrintable { at } => {
                write!(f, "character {} is not printable ASCII", at + 1)
            }
            Self::OptionalBlock { number, at, flaw } => {
                write!(f, "optional block {number} is malformed at character {}: {flaw}", at + 1)
            }
            Self::Padding { bytes } => write!(
                f,
                "{bytes} bytes of padding do not fill up cipher blocks within {PAYLOAD_BYTES_MAX} \
                 bytes"
            ),
            Self::PayloadLength { digits, of } => write!(
                f,
                "the encrypted key has {digits} digits; it has a multiple of {of}, and at most {}",
                2 * PAYLOAD_BYTES_MAX
            ),
            Self::ReadOnly { version } => write!(
                f,
                "key blocks of version {version} are read only; make one of version B or D"
            ),
            Self::Secret(error) => error.fmt(f),
            Self::Short { chars, at_least } => {
                write!(f, "the key block has {chars} characters; it needs at least {at_least}")
            }
            Self::TooLong => f.write_str(
                "the key block would have more than 9999 characters or 99 optional blocks",
            ),
            Self::Usage { wanted } => {
                write!(f, "the key block is not for the key usage {wanted}")
            }
            Self::VariantsNeedKbpk { version } => write!(
                f,
                "a key block of version {version} is opened with the protection key itself, which \
                 does not leave its token; have the block made in version B or D"
            ),
            Self::WeakerKbpk { algorithm } => write!(
                f,
                "the protection key ({}) is weaker than the key; use a stronger one",
                algorithm.name()
            ),
        }
    }
}

impl core::error::Error for KeyBlockError {}

impl From<KeyError> for KeyBlockError {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}

impl From<SecretError> for KeyBlockError {
    fn from(error: SecretError) -> Self {
        Self::Secret(error)
    }
}
