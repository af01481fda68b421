//! What a test expects, and what the library did, in the same words.

use std::fmt;

use cvv2::key::KeyBlockError;
use cvv2::key::block::HeaderField;
use cvv2::{
    ComputeError, CvvError, ExpiryError, KeyError, PanError, ServiceCodeError, VerifyError,
};
use serde::Deserialize;

/// An answer or a refusal. Values are test data and may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answer(String),
    Refused(Refusal),
}

impl Outcome {
    /// The answer of these parts.
    pub(crate) fn answer(parts: impl IntoIterator<Item = String>) -> Self {
        Self::Answer(parts.into_iter().collect::<Vec<_>>().join(" "))
    }
}

impl<T: Into<String>> From<Result<T, Refusal>> for Outcome {
    fn from(result: Result<T, Refusal>) -> Self {
        match result {
            Ok(answer) => Self::Answer(answer.into()),
            Err(refusal) => Self::Refused(refusal),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(answer) => write!(f, "the answer {answer}"),
            Self::Refused(Refusal { by, at, detail }) => {
                write!(f, "refused by {}", by.name())?;
                if let Some(at) = at {
                    write!(f, " at {at}")?;
                }
                if detail.is_empty() { Ok(()) } else { write!(f, " ({detail})") }
            }
        }
    }
}

/// Who refused what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) by: RefusedBy,
    /// Zero-based position of the first character that is refused.
    pub(crate) at: Option<usize>,
    /// More about it, in words that are the same for a test and for the library.
    pub(crate) detail: String,
}

impl Refusal {
    pub(crate) fn new(by: RefusedBy) -> Self {
        Self { by, at: None, detail: String::new() }
    }

    fn at(by: RefusedBy, at: usize) -> Self {
        Self { at: Some(at), ..Self::new(by) }
    }

    fn with(by: RefusedBy, detail: String) -> Self {
        Self { detail, ..Self::new(by) }
    }

    /// An error that no vector can expect.
    fn unlisted(error: &dyn std::error::Error) -> Self {
        Self::with(RefusedBy::Unlisted, error.to_string())
    }
}

/// The layer that refuses, and why; in files `refusedBy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum RefusedBy {
    ComponentCount,
    ComponentHex,
    ComponentLength,
    CvkEqualHalves,
    CvkHex,
    CvkLength,
    CvkParity,
    CvkWeak,
    CvvDigit,
    CvvLength,
    DigitsRange,
    ExpiryDigit,
    ExpiryLength,
    ExpiryMonth,
    ExpiryOpaque,
    KeyBlockAlgorithm,
    KeyBlockCharacter,
    KeyBlockComponent,
    KeyBlockDigit,
    KeyBlockField,
    KeyBlockHeaderLength,
    KeyBlockKbpk,
    KeyBlockKcv,
    KeyBlockKeyLength,
    KeyBlockKeyLengthField,
    KeyBlockLength,
    KeyBlockMac,
    KeyBlockMode,
    KeyBlockOptionalBlock,
    KeyBlockPayloadLength,
    KeyBlockUsage,
    PanDigit,
    PanLength,
    ServiceCodeDigit,
    ServiceCodeLength,
    /// An error that no file has a name for.
    Unlisted,
}

impl RefusedBy {
    /// The name in files.
    pub(crate) fn name(self) -> &'static str {
        let listed = NAMES.iter().find(|(by, _)| *by == self);
        listed.map_or("an error that has no name in vector files", |(_, name)| name)
    }

    /// Whether a character is refused, which has a position.
    pub(crate) fn has_position(self) -> bool {
        matches!(
            self,
            Self::ComponentHex
                | Self::CvkHex
                | Self::CvvDigit
                | Self::ExpiryDigit
                | Self::KeyBlockCharacter
                | Self::KeyBlockDigit
                | Self::KeyBlockField
                | Self::KeyBlockOptionalBlock
                | Self::PanDigit
                | Self::ServiceCodeDigit
        )
    }

    /// Whether the number of characters is refused.
    fn is_length(self) -> bool {
        matches!(
            self,
            Self::ComponentLength
                | Self::CvkLength
                | Self::CvvLength
                | Self::ExpiryLength
                | Self::KeyBlockLength
                | Self::PanLength
                | Self::ServiceCodeLength
        )
    }
}

impl TryFrom<String> for RefusedBy {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let listed = NAMES.iter().find(|(_, listed)| *listed == name);
        listed.map(|(by, _)| *by).ok_or_else(|| format!("unknown refusedBy `{name}`"))
    }
}

/// The detail of a refusal for the length of `text`: how many characters were given.
pub(crate) fn length_detail(by: Option<RefusedBy>, text: &str) -> String {
    match by {
        Some(by) if by.is_length() => given(text.chars().count()),
        _ => String::new(),
    }
}

/// The detail of a refusal for a number of things given.
pub(crate) fn given(count: usize) -> String {
    format!("{count} given")
}

/// The detail of a refusal of key bytes.
pub(crate) fn even_bytes(bytes: u32) -> String {
    format!("even bytes {bytes}")
}

/// The detail of a refusal of a half.
pub(crate) fn half(half: char) -> String {
    format!("CVK {half}")
}

/// The detail of a refusal of digits that are a date in another order.
pub(crate) fn looks_like(order: cvv2::ExpiryOrder) -> String {
    format!("looks like {order}")
}

impl From<PanError> for Refusal {
    fn from(error: PanError) -> Self {
        match error {
            PanError::Length { digits } => Self::with(RefusedBy::PanLength, given(digits)),
            PanError::NotADigit { at } => Self::at(RefusedBy::PanDigit, at),
            other => Self::unlisted(&other),
        }
    }
}

impl From<ExpiryError> for Refusal {
    fn from(error: ExpiryError) -> Self {
        match error {
            ExpiryError::Length { digits } => Self::with(RefusedBy::ExpiryLength, given(digits)),
            ExpiryError::Month { .. } => {
                let hint = error.looks_like().map(looks_like).unwrap_or_default();
                Self::with(RefusedBy::ExpiryMonth, hint)
            }
            ExpiryError::NotADigit { at } => Self::at(RefusedBy::ExpiryDigit, at),
            other => Self::unlisted(&other),
        }
    }
}

impl From<ServiceCodeError> for Refusal {
    fn from(error: ServiceCodeError) -> Self {
        match error {
            ServiceCodeError::Length { digits } => {
                Self::with(RefusedBy::ServiceCodeLength, given(digits))
            }
            ServiceCodeError::NotADigit { at } => Self::at(RefusedBy::ServiceCodeDigit, at),
            other => Self::unlisted(&other),
        }
    }
}

impl From<CvvError> for Refusal {
    fn from(error: CvvError) -> Self {
        match error {
            CvvError::Length { digits, .. } => Self::with(RefusedBy::CvvLength, given(digits)),
            CvvError::NotADigit { at } => Self::at(RefusedBy::CvvDigit, at),
            other => Self::unlisted(&other),
        }
    }
}

impl From<KeyError> for Refusal {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Components { given: n } => Self::with(RefusedBy::ComponentCount, given(n)),
            KeyError::EqualHalves => Self::new(RefusedBy::CvkEqualHalves),
            KeyError::Length { chars, .. } => Self::with(RefusedBy::CvkLength, given(chars)),
            KeyError::NotHex { at } => Self::at(RefusedBy::CvkHex, at),
            KeyError::Parity { bytes } => Self::with(RefusedBy::CvkParity, even_bytes(bytes)),
            KeyError::Weak { half: h } => Self::with(RefusedBy::CvkWeak, half(h)),
            other => Self::unlisted(&other),
        }
    }
}

impl From<KeyBlockError> for Refusal {
    fn from(error: KeyBlockError) -> Self {
        match error {
            KeyBlockError::Authentication => Self::new(RefusedBy::KeyBlockMac),
            KeyBlockError::CheckValue => Self::new(RefusedBy::KeyBlockKcv),
            KeyBlockError::Component => Self::new(RefusedBy::KeyBlockComponent),
            KeyBlockError::Digit { at } => Self::at(RefusedBy::KeyBlockDigit, at),
            KeyBlockError::Field { at, .. } => Self::at(RefusedBy::KeyBlockField, at),
            KeyBlockError::HeaderMultiple { .. } => Self::new(RefusedBy::KeyBlockHeaderLength),
            KeyBlockError::KbpkAlgorithm { .. } => Self::new(RefusedBy::KeyBlockKbpk),
            KeyBlockError::Key(error) => error.into(),
            KeyBlockError::KeyLength { .. } => Self::new(RefusedBy::KeyBlockKeyLength),
            KeyBlockError::KeyLengthField => Self::new(RefusedBy::KeyBlockKeyLengthField),
            KeyBlockError::Length { chars, .. }
            | KeyBlockError::LengthMultiple { chars, .. }
            | KeyBlockError::Short { chars, .. } => {
                Self::with(RefusedBy::KeyBlockLength, given(chars))
            }
            KeyBlockError::NotForUsage { field: HeaderField::Algorithm } => {
                Self::new(RefusedBy::KeyBlockAlgorithm)
            }
            KeyBlockError::NotForUsage { field: HeaderField::ModeOfUse } => {
                Self::new(RefusedBy::KeyBlockMode)
            }
            KeyBlockError::NotPrintable { at } => Self::at(RefusedBy::KeyBlockCharacter, at),
            KeyBlockError::OptionalBlock { at, .. } => {
                Self::at(RefusedBy::KeyBlockOptionalBlock, at)
            }
            KeyBlockError::PayloadLength { .. } => Self::new(RefusedBy::KeyBlockPayloadLength),
            KeyBlockError::Usage { .. } => Self::new(RefusedBy::KeyBlockUsage),
            other => Self::unlisted(&other),
        }
    }
}

impl From<ComputeError> for Refusal {
    fn from(error: ComputeError) -> Self {
        Self::unlisted(&error)
    }
}

impl From<VerifyError> for Refusal {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Typed(error) => error.into(),
            other => Self::unlisted(&other),
        }
    }
}

const NAMES: [(RefusedBy, &str); 35] = [
    (RefusedBy::ComponentCount, "component.count"),
    (RefusedBy::ComponentHex, "component.hex"),
    (RefusedBy::ComponentLength, "component.length"),
    (RefusedBy::CvkEqualHalves, "cvk.equalHalves"),
    (RefusedBy::CvkHex, "cvk.hex"),
    (RefusedBy::CvkLength, "cvk.length"),
    (RefusedBy::CvkParity, "cvk.parity"),
    (RefusedBy::CvkWeak, "cvk.weak"),
    (RefusedBy::CvvDigit, "cvv.digit"),
    (RefusedBy::CvvLength, "cvv.length"),
    (RefusedBy::DigitsRange, "digits.range"),
    (RefusedBy::ExpiryDigit, "expiry.digit"),
    (RefusedBy::ExpiryLength, "expiry.length"),
    (RefusedBy::ExpiryMonth, "expiry.month"),
    (RefusedBy::ExpiryOpaque, "expiry.opaque"),
    (RefusedBy::KeyBlockAlgorithm, "keyBlock.algorithm"),
    (RefusedBy::KeyBlockCharacter, "keyBlock.character"),
    (RefusedBy::KeyBlockComponent, "keyBlock.component"),
    (RefusedBy::KeyBlockDigit, "keyBlock.digit"),
    (RefusedBy::KeyBlockField, "keyBlock.field"),
    (RefusedBy::KeyBlockHeaderLength, "keyBlock.headerLength"),
    (RefusedBy::KeyBlockKbpk, "keyBlock.kbpk"),
    (RefusedBy::KeyBlockKcv, "keyBlock.kcv"),
    (RefusedBy::KeyBlockKeyLength, "keyBlock.keyLength"),
    (RefusedBy::KeyBlockKeyLengthField, "keyBlock.keyLengthField"),
    (RefusedBy::KeyBlockLength, "keyBlock.length"),
    (RefusedBy::KeyBlockMac, "keyBlock.mac"),
    (RefusedBy::KeyBlockMode, "keyBlock.mode"),
    (RefusedBy::KeyBlockOptionalBlock, "keyBlock.optionalBlock"),
    (RefusedBy::KeyBlockPayloadLength, "keyBlock.payloadLength"),
    (RefusedBy::KeyBlockUsage, "keyBlock.usage"),
    (RefusedBy::PanDigit, "pan.digit"),
    (RefusedBy::PanLength, "pan.length"),
    (RefusedBy::ServiceCodeDigit, "serviceCode.digit"),
    (RefusedBy::ServiceCodeLength, "serviceCode.length"),
];
