//! The first line of a file, and the last.

use std::fmt::Display;

use serde::Deserialize;
use time::OffsetDateTime;

use super::chain::{ChainId, ChainKey, ChainMac, Head};
use super::line::Line;

/// The event of a first line.
pub(crate) const FILE: &str = "file";
/// The event of a line behind which a file has no other.
pub(crate) const FILE_END: &str = "file_end";

/// What is written and read: a change of the form of lines is another name here.
const FORMAT: &str = "cvv2-audit-1";

/// What a file says of itself and of the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) chain: ChainId,
    /// As in the file's name.
    pub(crate) number: u32,
    pub(crate) cause: Cause,
    /// The last line of the chain before this one.
    pub(crate) previous: Head,
    /// Where that line ends in its file.
    pub(crate) previous_bytes: u64,
    /// What was cut off behind it: the start of records that nobody was told were written.
    pub(crate) cut_bytes: u64,
    /// Records that could not be written since, each of which was answered with an error.
    pub(crate) refused: u64,
}

impl Header {
    /// The members of its line.
    pub(crate) fn members(&self, time: OffsetDateTime, key: &ChainKey) -> String {
        let mut members = String::new();
        Line::begin(&mut members, time, FILE)
            .text("format", Some(FORMAT))
            .text("key", Some(key.check_value()))
            .shown("chain", Some(self.chain))
            .number("number", Some(self.number.into()))
            .text("cause", Some(self.cause.name()))
            .shown("previous", Some(self.previous.mac))
            .number("previous_bytes", Some(self.previous_bytes))
            .number("cut_bytes", Some(self.cut_bytes))
            .number("refused", Some(self.refused));
        members
    }

    /// Reads a first line, of which nobody has verified the code yet.
    pub(crate) fn parse(line: &[u8], key: &ChainKey) -> Result<Self, HeaderError> {
        let fields: Fields<'_> =
            serde_json::from_slice(line).map_err(|_| HeaderError::Unreadable)?;
        if fields.event != FILE {
            return Err(HeaderError::Unreadable);
        }
        if fields.format != FORMAT {
            return Err(HeaderError::Format);
        }
        let sequence = fields.sequence.checked_sub(1).ok_or(HeaderError::Unreadable)?;
        let read = || {
            Some(Self {
                chain: ChainId::parse(fields.chain)?,
                number: fields.number,
                cause: Cause::by_name(fields.cause)?,
                previous: Head::new(sequence, ChainMac::parse(fields.previous.as_bytes())?),
                previous_bytes: fields.previous_bytes,
                cut_bytes: fields.cut_bytes,
                refused: fields.refused,
            })
        };
        let header = read().ok_or(HeaderError::Unreadable)?;
        if fields.key != key.check_value() {
            return Err(HeaderError::ForeignKey);
        }
        Ok(header)
    }
}

/// The members of a last line.
pub(crate) fn file_end(time: OffsetDateTime, cause: impl Display) -> String {
    let mut members = String::new();
    Line::begin(&mut members, time, FILE_END).shown("cause", Some(cause));
    members
}

/// Why a file was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// There was none.
    New,
    /// The service started.
    Start,
    /// The file before it had its size.
    Size,
    /// The file before it was of another day.
    Day,
    /// The file before it could not be written or synced; what is in it behind `previous_bytes`
    /// belongs to no chain.
    Failure,
}

impl Cause {
    const ALL: [Self; 5] = [Self::New, Self::Start, Self::Size, Self::Day, Self::Failure];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Start => "start",
            Self::Size => "size",
            Self::Day => "day",
            Self::Failure => "failure",
        }
    }

    fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.name() == name)
    }
}

/// Why a line is no first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// It is under another key.
    ForeignKey,
    /// It is of a version that is not known here.
    Format,
    /// It is something else.
    Unreadable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields<'a> {
    sequence: u64,
    #[serde(rename = "time")]
    _time: &'a str,
    event: &'a str,
    format: &'a str,
    key: &'a str,
    chain: &'a str,
    number: u32,
    cause: &'a str,
    previous: &'a str,
    previous_bytes: u64,
    cut_bytes: u64,
    refused: u64,
    #[serde(rename = "mac")]
    _mac: &'a str,
}
