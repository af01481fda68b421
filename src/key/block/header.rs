//! The header of a key block: what a key is for, in clear.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::{HeaderField, KeyBlockError, OptionalBlockFlaw};
use super::field::{
    Exportability, KeyAlgorithm, KeyBlockVersion, KeyContext, KeyUsage, KeyVersion, ModeOfUse,
};
use super::optional::OptionalBlock;

/// Characters of the fixed header.
const FIXED: usize = 16;

/// What a key block says of its key. Always whole: a padding block is there where one has to be.
///
/// ```
/// use cvv2::key::{
///     Exportability, KeyAlgorithm, KeyBlockHeader, KeyBlockVersion, KeyUsage, ModeOfUse,
/// };
///
/// let header = KeyBlockHeader::new(
///     KeyBlockVersion::D,
///     KeyUsage::DATA_ENCRYPTION,
///     KeyAlgorithm::Aes,
///     ModeOfUse::EncryptAndDecrypt,
///     Exportability::NonExportable,
/// )
/// .with_optional_block("LB", "card store")?;
/// assert_eq!(header.optional_blocks()[0].as_str(), "LB0Ecard store");
/// assert_eq!(header.optional_blocks()[1].as_str(), "PB1200000000000000");
/// # Ok::<(), cvv2::key::KeyBlockError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyBlockHeader {
    version: KeyBlockVersion,
    usage: KeyUsage,
    algorithm: KeyAlgorithm,
    mode: ModeOfUse,
    key_version: KeyVersion,
    exportability: Exportability,
    context: KeyContext,
    optional: Vec<OptionalBlock>,
}

impl KeyBlockHeader {
    /// A header without key version and optional blocks.
    #[must_use]
    pub fn new(
        version: KeyBlockVersion,
        usage: KeyUsage,
        algorithm: KeyAlgorithm,
        mode: ModeOfUse,
        exportability: Exportability,
    ) -> Self {
        Self {
            version,
            usage,
            algorithm,
            mode,
            key_version: KeyVersion::NONE,
            exportability,
            context: KeyContext::default(),
            optional: Vec::new(),
        }
    }

    /// The header of a card verification key: usage `C0`, triple DES.
    #[must_use]
    pub fn cvk(version: KeyBlockVersion, mode: ModeOfUse, exportability: Exportability) -> Self {
        let usage = KeyUsage::CARD_VERIFICATION;
        Self::new(version, usage, KeyAlgorithm::Tdes, mode, exportability)
    }

    /// The same header in a block of another version.
    #[must_use]
    pub fn with_version(mut self, version: KeyBlockVersion) -> Self {
        if self.version.block_len() != version.block_len() {
            self.optional.retain(|block| block.id() != OptionalBlock::PADDING);
        }
        self.version = version;
        self.pad();
        self
    }

    /// The same header for another mode of use.
    #[must_use]
    pub fn with_mode(self, mode: ModeOfUse) -> Self {
        Self { mode, ..self }
    }

    /// The same header with another key version number.
    #[must_use]
    pub fn with_key_version(self, key_version: KeyVersion) -> Self {
        Self { key_version, ..self }
    }

    /// The same header with another exportability.
    #[must_use]
    pub fn with_exportability(self, exportability: Exportability) -> Self {
        Self { exportability, ..self }
    }

    /// The same header with another key context.
    #[must_use]
    pub fn with_context(self, context: KeyContext) -> Self {
        Self { context, ..self }
    }

    /// The same header with one more optional block.
    ///
    /// # Errors
    ///
    /// [`KeyBlockError::OptionalBlock`] for an identifier that is not two letters or digits, is
    /// there already, or is that of the padding block, which is made as needed;
    /// [`KeyBlockError::NotPrintable`] for data that is not printable ASCII;
    /// [`KeyBlockError::TooLong`] for what no block has room for.
    pub fn with_optional_block(mut self, id: &str, data: &str) -> Result<Self, KeyBlockError> {
        self.optional.retain(|block| block.id() != OptionalBlock::PADDING);
        let number = self.optional.len() + 1;
        let flaw = |flaw| KeyBlockError::OptionalBlock { number, at: 0, flaw };
        if id == OptionalBlock::PADDING {
            return Err(flaw(OptionalBlockFlaw::PaddingNotLast));
        }
        if self.optional_block(id).is_some() {
            return Err(flaw(OptionalBlockFlaw::Duplicate));
        }
        self.optional.push(OptionalBlock::new(id, data, number)?);
        self.pad();
        Ok(self)
    }

    /// How the block is protected.
    #[must_use]
    pub fn version(&self) -> KeyBlockVersion {
        self.version
    }

    /// What the key is for.
    #[must_use]
    pub fn usage(&self) -> KeyUsage {
        self.usage
    }

    /// The cipher or MAC that the key is used with.
    #[must_use]
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// What may be done with the key.
    #[must_use]
    pub fn mode(&self) -> ModeOfUse {
        self.mode
    }

    /// Which version of a key it is.
    #[must_use]
    pub fn key_version(&self) -> KeyVersion {
        self.key_version
    }

    /// How far the key may travel.
    #[must_use]
    pub fn exportability(&self) -> Exportability {
        self.exportability
    }

    /// Whether the block stores or exchanges the key.
    #[must_use]
    pub fn context(&self) -> KeyContext {
        self.context
    }

    /// The optional blocks in their order, the padding block included.
    #[must_use]
    pub fn optional_blocks(&self) -> &[OptionalBlock] {
        &self.optional
    }

    /// The optional block of this identifier.
    #[must_use]
    pub fn optional_block(&self, id: &str) -> Option<&OptionalBlock> {
        self.optional.iter().find(|block| block.id() == id)
    }

    /// The header's text in a key block whose other part has `chars` characters.
    pub(super) fn text(&self, chars: usize) -> Result<String, KeyBlockError> {
        let total = FIXED + self.optional_chars() + chars;
        if total > 9999 || self.optional.len() > 99 {
            return Err(KeyBlockError::TooLong);
        }
        let mut text = format!(
            "{}{total:04}{}{}{}{}{}{:02}{}0",
            self.version,
            self.usage,
            self.algorithm.letter(),
            self.mode.letter(),
            self.key_version,
            self.exportability.letter(),
            self.optional.len(),
            self.context.letter(),
        );
        text.extend(self.optional.iter().map(OptionalBlock::as_str));
        Ok(text)
    }

    fn optional_chars(&self) -> usize {
        self.optional.iter().map(|block| block.as_str().len()).sum()
    }

    /// Adds a padding block unless the optional blocks fill cipher blocks.
    fn pad(&mut self) {
        let of = self.version.block_len();
        let chars = self.optional_chars();
        if !chars.is_multiple_of(of) {
            // Four characters are the shortest padding block.
            let padded = (chars + 4).next_multiple_of(of);
            self.optional.push(OptionalBlock::padding(padded - chars));
        }
    }
}

/// Reads a header from the start of a key block of printable ASCII; gives its length, too.
pub(super) fn parse(text: &str) -> Result<(KeyBlockHeader, usize), KeyBlockError> {
    let Some(fixed) = text.as_bytes().first_chunk::<FIXED>() else {
        return Err(KeyBlockError::Short { chars: text.len(), at_least: FIXED });
    };
    let wrong = |field, at| KeyBlockError::Field { field, at };
    let version = KeyBlockVersion::from_letter(fixed[0]).ok_or(wrong(HeaderField::Version, 0))?;

    let stated = decimal(&fixed[1..5]).map_err(|i| wrong(HeaderField::Length, 1 + i))?;
    if stated != text.len() {
        return Err(KeyBlockError::Length { stated, chars: text.len() });
    }
    let of = version.block_len();
    if !stated.is_multiple_of(of) {
        return Err(KeyBlockError::LengthMultiple { chars: stated, of });
    }

    let [_, _, _, _, _, u0, u1, algorithm, mode, v0, v1, exportability, n0, n1, context, reserved] =
        *fixed;
    if let Some(i) = KeyUsage::first_wrong([u0, u1]) {
        return Err(wrong(HeaderField::Usage, 5 + i));
    }
    let usage = KeyUsage::parse(&text[5..7]).expect("two characters that are allowed");
    let algorithm = KeyAlgorithm::from_letter(algorithm).ok_or(wrong(HeaderField::Algorithm, 7))?;
    let mode = ModeOfUse::from_letter(mode).ok_or(wrong(HeaderField::ModeOfUse, 8))?;
    if let Some(i) = KeyVersion::first_wrong([v0, v1]) {
        return Err(wrong(HeaderField::KeyVersion, 9 + i));
    }
    let key_version = KeyVersion::parse(&text[9..11]).expect("two characters that are allowed");
    let exportability =
        Exportability::from_letter(exportability).ok_or(wrong(HeaderField::Exportability, 11))?;
    let count = decimal(&[n0, n1]).map_err(|i| wrong(HeaderField::OptionalBlocks, 12 + i))?;
    let context = KeyContext::from_letter(context).ok_or(wrong(HeaderField::KeyContext, 14))?;
    if reserved != b'0' {
        return Err(wrong(HeaderField::Reserved, 15));
    }

    let (optional, end) = parse_optional(text, count)?;
    if !end.is_multiple_of(of) {
        return Err(KeyBlockError::HeaderMultiple { chars: end, of });
    }
    let header = KeyBlockHeader {
        version,
        usage,
        algorithm,
        mode,
        key_version,
        exportability,
        context,
        optional,
    };
    Ok((header, end))
}

/// Reads `count` optional blocks; gives the position behind them, too.
fn parse_optional(text: &str, count: usize) -> Result<(Vec<OptionalBlock>, usize), KeyBlockError> {
    let mut optional = Vec::<OptionalBlock>::with_capacity(count);
    let mut at = FIXED;
    for number in 1..=count {
        let block = OptionalBlock::parse(text, at, number)?;
        let flaw = if optional.iter().any(|other| other.id() == block.id()) {
            Some(OptionalBlockFlaw::Duplicate)
        } else if block.id() == OptionalBlock::PADDING && number != count {
            Some(OptionalBlockFlaw::PaddingNotLast)
        } else {
            None
        };
        if let Some(flaw) = flaw {
            return Err(KeyBlockError::OptionalBlock { number, at, flaw });
        }
        at += block.as_str().len();
        optional.push(block);
    }
    Ok((optional, at))
}

/// The number that decimal digits write, or the index of the first that is none.
fn decimal(digits: &[u8]) -> Result<usize, usize> {
    digits.iter().enumerate().try_fold(0, |number, (i, digit)| match digit {
        b'0'..=b'9' => Ok(10 * number + usize::from(digit - b'0')),
        _ => Err(i),
    })
}
