//! What is filed of a ceremony.

use core::fmt;

use cvv2::KcvMethod;
use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::CheckValue;

/// What a ceremony came to, besides the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Record {
    /// What the key is for.
    pub purpose: &'static str,
    /// The cipher and the length of the key.
    pub algorithm: &'static str,
    /// How the check values are computed.
    #[serde(serialize_with = "kcv_method")]
    pub kcv_method: KcvMethod,
    /// Who entered which component, in order.
    pub custodians: Vec<Participant>,
    /// The check value of the key.
    #[serde(serialize_with = "text")]
    pub kcv: CheckValue,
}

/// A custodian who took part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Participant {
    /// Their name, where names were taken.
    pub name: Option<String>,
    /// The check value of their component.
    #[serde(serialize_with = "text")]
    pub kcv: CheckValue,
}

/// The record of a ceremony, to be signed and filed. It holds no key material.
///
/// As text ([`Display`](fmt::Display)) it has lines for signatures; it serialises to the same
/// facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Transcript {
    /// When the ceremony was, to the second, with the offset of the local clock.
    pub date: String,
    /// The program that was used, with its version.
    pub tool: String,
    /// What the ceremony came to.
    #[serde(flatten)]
    pub record: Record,
}

impl Transcript {
    /// The transcript of a ceremony at this time, with a program of this name and version.
    #[must_use]
    pub fn new(record: Record, date: OffsetDateTime, tool: &str) -> Self {
        let date = date.format(DATE).expect("every part of the format is there");
        Self { date, tool: tool.to_owned(), record }
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record { purpose, algorithm, kcv_method, custodians, kcv } = &self.record;
        writeln!(f, "Key ceremony\n")?;
        writeln!(f, "Date           {}", self.date)?;
        writeln!(f, "Tool           {}", self.tool)?;
        writeln!(f, "Purpose        {purpose}")?;
        writeln!(f, "Algorithm      {algorithm}")?;
        writeln!(f, "Check values   {}\n", method_name(*kcv_method))?;
        for (number, custodian) in (1..).zip(custodians) {
            write!(f, "Component {number}    {}", custodian.kcv)?;
            match &custodian.name {
                Some(name) => writeln!(f, "   {name}")?,
                None => writeln!(f)?,
            }
        }
        writeln!(f, "Key            {kcv}\n")?;
        for number in 1..=custodians.len() {
            writeln!(f, "Custodian {number}    {:_<48}", "")?;
        }
        Ok(())
    }
}

/// RFC 3339 without fractions of a second.
const DATE: &[BorrowedFormatItem<'_>] = format_description!(
    "[year]-[month]-[day]T[hour]:[minute]:[second][offset_hour sign:mandatory]:[offset_minute]"
);

fn method_name(method: KcvMethod) -> &'static str {
    match method {
        KcvMethod::Cmac => "CMAC over a block of zeros, leftmost three bytes",
        KcvMethod::TdesZeros => "a block of zeros encrypted, leftmost three bytes",
        _ => "leftmost three bytes",
    }
}

fn kcv_method<S: Serializer>(method: &KcvMethod, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match method {
        KcvMethod::Cmac => "cmac",
        KcvMethod::TdesZeros => "tdes-zeros",
        _ => "other",
    })
}

fn text<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
