//! What can be wrong with a log.

use std::fmt;
use std::path::PathBuf;

/// The first thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: u64,
    /// What it looks like. Who wants to mislead can make it look like something else, but not make
    /// it disappear.
    pub fault: Fault,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: line {}: {}", self.path.display(), self.line, self.fault)
    }
}

/// What is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A line is not as it was written.
    Altered,
    /// The line is another one than the one that the anchor knows: the log was written anew by
    /// somebody who has the key, or set back to an older copy and continued.
    AnchorDiffers,
    /// The log does not begin with its first line.
    BeginsLate {
        /// The line that it begins with.
        first: u64,
    },
    /// The file ends amid a line, and others follow.
    CutShort,
    /// The file is under another key, or its first line is not as it was written.
    ForeignKey,
    /// The file goes on from a line that the file before it does not have: two histories.
    Forked,
    /// A line is not where it was written, or there twice.
    Moved {
        /// The line that should be here.
        expected: u64,
        /// The line that is here.
        found: u64,
    },
    /// The file has no first line as every file has.
    NoHeader,
    /// The file, or the anchor, is of another log.
    OtherChain,
    /// Lines are missing here.
    Removed {
        /// The first one.
        first: u64,
        /// The last one.
        last: u64,
    },
    /// The log ends before what the anchor knows.
    Truncated {
        /// The last line of the log.
        last: u64,
        /// A line that the anchor knows.
        anchored: u64,
    },
    /// The file is of a version that this program does not know, or its first line is not as it was
    /// written.
    UnknownFormat,
}

impl Fault {
    /// A word for it, for scripts.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Altered => "altered",
            Self::AnchorDiffers => "anchor_differs",
            Self::BeginsLate { .. } => "begins_late",
            Self::CutShort => "cut_short",
            Self::ForeignKey => "foreign_key",
            Self::Forked => "forked",
            Self::Moved { .. } => "moved",
            Self::NoHeader => "no_header",
            Self::OtherChain => "other_chain",
            Self::Removed { .. } => "removed",
            Self::Truncated { .. } => "truncated",
            Self::UnknownFormat => "unknown_format",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Altered => f.write_str("altered"),
            Self::AnchorDiffers => f.write_str(
                "not the record that the anchor knows: the log was written anew with the key, or \
                 set back to an older copy",
            ),
            Self::BeginsLate { first } => write!(
                f,
                "the log begins with record {first}; give the files before it too, or --partial if \
                 they are elsewhere"
            ),
            Self::CutShort => f.write_str("cut short; the rest of the file is missing"),
            Self::ForeignKey => f.write_str("under another service key, or altered"),
            Self::Forked => f.write_str("goes on from a record that the file before does not have"),
            Self::Moved { expected, found } => {
                write!(f, "record {found} stands where record {expected} belongs")
            }
            Self::NoHeader => f.write_str("the file does not begin as audit files do"),
            Self::OtherChain => f.write_str("of another audit log"),
            Self::Removed { first, last } if first == last => {
                write!(f, "record {first} is missing")
            }
            Self::Removed { first, last } => write!(f, "records {first} to {last} are missing"),
            Self::Truncated { last, anchored } => write!(
                f,
                "the log ends with record {last}, and the anchor knows record {anchored}: its end \
                 is missing"
            ),
            Self::UnknownFormat => f.write_str("of a version that is not known here, or altered"),
        }
    }
}
