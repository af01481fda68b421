//! Why the text of a keyring, or of a file of wrapped keys, was refused, and where.

use std::fmt;

use cvv2::key::KeyBlockError;

use crate::bin_range::BinRangeError;
use crate::token::TokenError;

/// Where a keyring's text is wrong, and why.
///
/// It quotes nothing of the text: somebody may have pasted a key into it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadError {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// The field, where it is one field that is wrong.
    pub field: Option<&'static str>,
    /// What is wrong with it.
    pub cause: LoadCause,
}

impl LoadError {
    pub(crate) fn new(text: &str, fault: Fault) -> Self {
        let before = text.get(..fault.at).unwrap_or(text);
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Self { line: line(text, fault.at), column, field: fault.field, cause: fault.cause }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        if let Some(field) = self.field {
            write!(f, "`{field}`: ")?;
        }
        self.cause.fmt(f)
    }
}

impl std::error::Error for LoadError {}

/// What is wrong with a keyring's text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadCause {
    /// A text is no range of BINs.
    Bins(BinRangeError),
    /// The key block was refused.
    Block(KeyBlockError),
    /// A chain of successors has more keys than it may have.
    ChainTooLong,
    /// A value is no check value.
    CheckValue,
    /// A key is its own predecessor, by way of others.
    Cycle,
    /// There are no such cards in the predecessor's ranges.
    Disjoint,
    /// The list is empty.
    Empty,
    /// Days lie between the predecessor's last and the first of this key.
    Gap {
        /// The line of the predecessor's last day.
        line: usize,
    },
    /// The check value is not that of the key in the block.
    KcvMismatch,
    /// A field is missing.
    Missing,
    /// A value is none of those that the field may have.
    NotOneOf {
        /// What it may have.
        values: &'static str,
    },
    /// The text is no TOML.
    NotToml,
    /// The file was made under another KBPK.
    OtherKbpk,
    /// The key block is that of another line, or of another file.
    OtherLine,
    /// Two ranges of one length share cards, and nothing says which key is the newer.
    Overlap {
        /// The line of the earlier one.
        line: usize,
    },
    /// A key shares cards with itself.
    OwnOverlap {
        /// The line of the earlier range.
        line: usize,
    },
    /// After the last day of the successor an older key would come into force again.
    PredecessorOutlives {
        /// The line of the older key's dates.
        line: usize,
    },
    /// Two keys have the same name, or a list has the same value twice.
    Repeated {
        /// The line of the earlier one.
        line: usize,
    },
    /// The file holds keys of something else.
    OtherPurpose {
        /// What it has to hold keys of.
        purpose: &'static str,
    },
    /// A successor has the key of the predecessor.
    SameKey {
        /// The line of the predecessor's block.
        line: usize,
    },
    /// A successor has fewer digits for the same cards than the predecessor, and would never be
    /// used for them.
    ShorterThanPredecessor {
        /// The line of the predecessor's range.
        line: usize,
    },
    /// A successor starts no later than its predecessor, by date or by the expiry of cards.
    StartsTooEarly {
        /// The line of the predecessor's start.
        line: usize,
    },
    /// There are more of them than the limit.
    TooMany {
        /// The limit.
        max: usize,
    },
    /// A field that a keyring does not have.
    Unknown {
        /// The fields that there are.
        known: &'static [&'static str],
    },
    /// No key has the predecessor's name.
    UnknownPredecessor,
    /// The last day comes before the first.
    UntilBeforeFrom,
    /// A text is no name.
    Token(TokenError),
    /// The value is of another type.
    Type {
        /// What it has to be.
        expected: &'static str,
    },
}

impl fmt::Display for LoadCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bins(error) => error.fmt(f),
            Self::Block(error) => error.fmt(f),
            Self::ChainTooLong => write!(
                f,
                "more than {} keys in one chain of successors; remove the oldest retired ones",
                crate::rules::CHAIN_KEYS_MAX
            ),
            Self::CheckValue => f.write_str("not a check value; give six hexadecimal digits"),
            Self::Cycle => f.write_str(
                "the chain of predecessors leads back to this key; name the older key in the newer \
                 one only",
            ),
            Self::Disjoint => f.write_str(
                "the predecessor shares no card and kind with this key; correct `bins` and `kinds`, \
                 or leave it out",
            ),
            Self::Empty => f.write_str("empty; give at least one"),
            Self::Gap { line } => write!(
                f,
                "days without a key between the predecessor's `until` at line {line} and this; move \
                 one of them"
            ),
            Self::KcvMismatch => f.write_str(
                "not the check value of the key in `block`; compare both with the issuer's papers",
            ),
            Self::Missing => f.write_str("missing; add it to this table"),
            Self::NotOneOf { values } => write!(f, "not understood; write {values}"),
            Self::NotToml => f.write_str("no TOML; compare the lines around it"),
            Self::OtherKbpk => f.write_str(
                "the file is under another KBPK than the one given; give the KBPK with this check \
                 value",
            ),
            Self::OtherLine => f.write_str(
                "the block is that of another key than this line says; bring a backup of the file \
                 back",
            ),
            Self::Overlap { line } => write!(
                f,
                "shares cards with the range of the same length at line {line}, for the same kind; \
                 if one key takes over from the other, name the older as its `predecessor`, else \
                 narrow one of the ranges"
            ),
            Self::OtherPurpose { purpose } => {
                write!(f, "the keys of something else; give the file with those of the {purpose}")
            }
            Self::OwnOverlap { line } => {
                write!(f, "shares cards with the range of this key at line {line}; leave one out")
            }
            Self::PredecessorOutlives { line } => write!(
                f,
                "after this day the older key at line {line} would come into force again; give that \
                 key an `until` no later than this, or another state"
            ),
            Self::Repeated { line } => {
                write!(f, "the same as at line {line}; change or remove one of them")
            }
            Self::SameKey { line } => write!(
                f,
                "the same key as the predecessor's at line {line}; a successor has a new key"
            ),
            Self::ShorterThanPredecessor { line } => write!(
                f,
                "for some of these cards the predecessor's range at line {line} has more digits and \
                 would win; write the range with as many digits, as 41234500-41234599 for 412345"
            ),
            Self::StartsTooEarly { line } => {
                write!(f, "no later than the predecessor's at line {line}; a successor comes after")
            }
            Self::TooMany { max } => write!(f, "more than {max}; remove some"),
            Self::Unknown { known } => {
                write!(f, "an unknown field; the fields here are {}", known.join(", "))
            }
            Self::UnknownPredecessor => {
                f.write_str("no key has this name; correct it, or leave it out")
            }
            Self::UntilBeforeFrom => {
                f.write_str("the last day comes before the first; exchange or correct them")
            }
            Self::Token(error) => error.fmt(f),
            Self::Type { expected } => write!(f, "not understood; give {expected}"),
        }
    }
}

/// A [`LoadError`] before lines are counted.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The byte of the text.
    pub(crate) at: usize,
    pub(crate) field: Option<&'static str>,
    pub(crate) cause: LoadCause,
}

impl Fault {
    pub(crate) fn new(at: usize, field: &'static str, cause: LoadCause) -> Self {
        Self { at, field: Some(field), cause }
    }
}

/// The line of a byte, counted from 1.
pub(crate) fn line(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or(text).bytes().filter(|b| *b == b'\n').count() + 1
}
