//! Cards from CSV: what a file looks like, what becomes of its rows, and who hears of it.
//!
//! What is here is the same for all stores: cutting the stream, reading rows, sealing them on
//! several threads. What a store does with sealed rows is its own affair.

mod claim;
mod csv;
mod header;
mod refusals;
mod row;
mod scan;

use std::fmt;
use std::io::{self, Read};

pub use header::HeaderError;

pub(crate) use claim::Claim;
pub(crate) use csv::{BlockError, Blocks, DIGEST_LEN, Position};
pub(crate) use header::Columns;
pub(crate) use refusals::{Refusals, tell};
pub(crate) use row::{Flaw, RowCard};
pub(crate) use scan::{SealedBlock, Sealing, all_processors, scan};

use crate::card_ref::ExidForm;
use crate::store::{CardStore, PutOutcome, StoreError};

/// A store that takes cards by the million.
///
/// # The file
///
/// CSV in UTF-8, with or without a byte-order mark; the first row names the columns, in any order
/// and case:
///
/// | column | holds |
/// |---|---|
/// | `bank` | the bank's code |
/// | `pan` | the PAN |
/// | `expiry` | YYMM; several, between blanks, where the card has several plastics |
/// | `exid` | the EXID; may be empty or missing where there is a contract number |
/// | `contract_number` | one or more, between blanks; may be empty or missing where there is an EXID |
/// | `status` | `active`, `blocked`, `closed`, `lost` or `stolen`; active if empty or missing |
/// | `sequence` | a number 0 to 255 for each expiry; 0 if empty or missing |
/// | `plastic_status` | a status for each expiry; the card's if empty or missing |
///
/// # The rows
///
/// Each row is one card, and all of them together come to what [`put`](CardStore::put) would make
/// of them one after the other: a later row for the same PAN replaces the card and adds its
/// references, and a row with a reference of another PAN is refused. A row that is refused is left
/// out, and the others go in.
///
/// # An import that was cut short
///
/// Run with the same input again, it goes on where it was: what was stored is stored, and nothing
/// is stored twice. Another input is refused until then, unless it is told to
/// [`begin_anew`](ImportOptions::begin_anew).
pub trait CardImport: CardStore {
    /// Imports every card of `input`.
    ///
    /// The embedded store stores no card before it has read the input to its end. The others store
    /// cards as they read, so what is wrong with the input as a whole may be found after some were
    /// stored.
    ///
    /// # Errors
    ///
    /// [`ImportError`] for an input that cannot be read to its end, another one's that was cut short,
    /// a watcher that cannot note a row, and a store that fails.
    fn import(
        &self,
        input: &mut dyn Read,
        options: &ImportOptions,
        watcher: &mut dyn ImportWatcher,
    ) -> Result<ImportSummary, ImportError>;
}

/// Reads and checks every row of `input` as an import does, and stores nothing.
///
/// What only a store can know is not found: identifiers that belong to another card. Every row that
/// can be read is counted as a card that is added.
///
/// # Errors
///
/// [`ImportError`] for an input that cannot be read to its end.
pub fn dry_run(
    input: &mut dyn Read,
    options: &ImportOptions,
    watcher: &mut dyn ImportWatcher,
) -> Result<ImportSummary, ImportError> {
    one_by_one(input, options, watcher, &mut |_| Ok(PutOutcome::Added))
}

/// How a file is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportOptions {
    /// The character between fields: ASCII punctuation but the quote, or a tab. A comma by default.
    pub delimiter: u8,
    /// Which texts are EXIDs; any by default, because banks in one file may have different forms.
    pub exid_form: ExidForm,
    /// Whether to forget an import of another input that was cut short.
    pub begin_anew: bool,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self { delimiter: b',', exid_form: ExidForm::Any, begin_anew: false }
    }
}

/// Who hears how an import goes.
pub trait ImportWatcher {
    /// Called now and then, on the thread that imports.
    fn progress(&mut self, progress: &ImportProgress) {
        let _ = progress;
    }

    /// Called for each refused row, in the order of rows, at the latest before the import returns.
    ///
    /// # Errors
    ///
    /// Whatever keeps the watcher from noting the row; the import ends with it.
    fn refused(&mut self, refused: &RefusedRow<'_>) -> io::Result<()>;
}

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportProgress {
    /// What it does.
    pub stage: ImportStage,
    /// Bytes of the input that are behind it.
    pub bytes: u64,
    /// Rows that are behind it, the header's not counted.
    pub rows: u64,
    /// Rows that were refused.
    pub refused: u64,
}

/// What an import does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImportStage {
    /// Reads and seals rows.
    Reading,
    /// Compares rows with each other and with the store.
    Comparing,
    /// Stores cards.
    Storing,
}

/// A row that was left out, and why: never what was in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedRow<'a> {
    /// Its number, as a spreadsheet shows it: the header row is row 1.
    pub row: u64,
    /// The column, or `row` for the row as a whole.
    pub field: &'a str,
    /// What is wrong.
    pub reason: &'a str,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportSummary {
    /// Rows whose card the bank did not have.
    pub added: u64,
    /// Rows whose card the bank had, in the store or from a row before.
    pub replaced: u64,
    /// Rows that were refused.
    pub refused: u64,
    /// Whether the import went on where one that was cut short had stopped.
    pub continued: bool,
}

/// Why a file was not imported.
#[derive(Debug)]
#[non_exhaustive]
pub enum ImportError {
    /// The delimiter is none that there can be.
    Delimiter,
    /// The header row is wrong.
    Header(HeaderError),
    /// A row is longer than any row can be.
    RowTooLong {
        /// Its number; the header row is row 1.
        row: u64,
    },
    /// An import of another input was cut short.
    Unfinished {
        /// Whether it has begun to store cards.
        is_storing: bool,
    },
    /// The input ends in quotes.
    OpenQuote {
        /// The number of the row in which they begin; the header row is row 1.
        row: u64,
    },
    /// The input cannot be read.
    Input(io::Error),
    /// The watcher could not note a refused row.
    Watcher(io::Error),
    /// The store failed, or refuses imports.
    Store(StoreError),
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delimiter => {
                f.write_str("the delimiter must be ASCII punctuation but the quote, or a tab")
            }
            Self::Header(error) => error.fmt(f),
            Self::RowTooLong { row } => write!(
                f,
                "row {row} is longer than {} bytes: is a quote not closed?",
                csv::ROW_BYTES_MAX
            ),
            Self::OpenQuote { row } => {
                write!(f, "a quote in row {row} is not closed until the end of the input")
            }
            Self::Unfinished { is_storing } => write!(
                f,
                "an import of another input was cut short {}; run that one again to its end, or \
                 have it forgotten",
                if *is_storing { "while it stored cards" } else { "before it stored a card" }
            ),
            Self::Input(error) => error.fmt(f),
            Self::Watcher(error) => write!(f, "a refused row could not be noted: {error}"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ImportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Header(error) => Some(error),
            Self::Input(error) | Self::Watcher(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::Delimiter
            | Self::RowTooLong { .. }
            | Self::OpenQuote { .. }
            | Self::Unfinished { .. } => None,
        }
    }
}

impl From<StoreError> for ImportError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<BlockError> for ImportError {
    fn from(error: BlockError) -> Self {
        match error {
            BlockError::Io(error) => Self::Input(error),
            BlockError::RowTooLong { row } => Self::RowTooLong { row },
            BlockError::OpenQuote { row } => Self::OpenQuote { row },
        }
    }
}

/// Starts to read a file: the header row is behind the blocks that come.
pub(crate) fn start<'i>(
    input: &'i mut dyn Read,
    options: &ImportOptions,
) -> Result<(Blocks<'i>, Columns), ImportError> {
    let delimiter = options.delimiter;
    if delimiter == b'"' || !(delimiter.is_ascii_punctuation() || delimiter == b'\t') {
        return Err(ImportError::Delimiter);
    }
    let mut blocks = Blocks::new(input, delimiter);
    let columns =
        Columns::read(&mut blocks.first_row()?, delimiter).map_err(ImportError::Header)?;
    Ok((blocks, columns))
}

/// Imports in the most obvious way: each row is read and put before the next one.
pub(crate) fn one_by_one(
    input: &mut dyn Read,
    options: &ImportOptions,
    watcher: &mut dyn ImportWatcher,
    put: &mut dyn FnMut(&RowCard) -> Result<PutOutcome, StoreError>,
) -> Result<ImportSummary, ImportError> {
    let (mut blocks, columns) = start(input, options)?;
    let mut summary = ImportSummary::default();
    while let Some(block) = blocks.next()? {
        let mut rows = Vec::new();
        block.each_row(|row, cells| {
            rows.push((row, RowCard::read(cells, &columns, options.exid_form)));
        });
        for (row, card) in rows {
            let flaw = match card {
                Ok(card) => match put(&card)? {
                    PutOutcome::Added => {
                        summary.added += 1;
                        continue;
                    }
                    PutOutcome::Replaced => {
                        summary.replaced += 1;
                        continue;
                    }
                    PutOutcome::Taken { reference } => Flaw::taken(&card.refs[reference]),
                    PutOutcome::References { count } => Flaw::References { count },
                },
                Err(flaw) => flaw,
            };
            summary.refused += 1;
            let refused = RefusedRow { row, field: flaw.field(), reason: &flaw.to_string() };
            watcher.refused(&refused).map_err(ImportError::Watcher)?;
        }
        watcher.progress(&ImportProgress {
            stage: ImportStage::Storing,
            bytes: blocks.position().offset,
            rows: blocks.position().rows - 1,
            refused: summary.refused,
        });
    }
    Ok(summary)
}
