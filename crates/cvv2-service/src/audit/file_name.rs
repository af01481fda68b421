//! The name of a file of the log.

use std::fmt;
use std::path::Path;

use time::{Date, Month};

/// `audit-YYYYMMDD-NNNNNNNN.jsonl`: the UTC day on which the file was begun, and its number, which
/// goes on through all days. So names sort as the chain runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileName {
    pub(crate) day: Date,
    pub(crate) number: u32,
}

impl FileName {
    /// The highest number: a file a minute for 190 years.
    pub(crate) const NUMBER_MAX: u32 = 99_999_999;

    /// The name that this file has, if it is one of a log.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let text = path.file_name()?.to_str()?;
        let middle = text.strip_prefix("audit-")?.strip_suffix(".jsonl")?;
        let (day, number) = middle.split_once('-')?;
        let digits =
            |text: &str, len| text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(day, 8) || !digits(number, 8) {
            return None;
        }
        let month = Month::try_from(day[4..6].parse::<u8>().ok()?).ok()?;
        let day = Date::from_calendar_date(day[..4].parse().ok()?, month, day[6..].parse().ok()?);
        Some(Self { day: day.ok()?, number: number.parse().ok()? })
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.day.to_calendar_date();
        write!(f, "audit-{year:04}{:02}{day:02}-{:08}.jsonl", u8::from(month), self.number)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for (day, number, text) in [
            (date!(2026 - 01 - 02), 1, "audit-20260102-00000001.jsonl"),
            (date!(2099 - 12 - 31), FileName::NUMBER_MAX, "audit-20991231-99999999.jsonl"),
        ] {
            let name = FileName { day, number };
            assert_eq!(name.to_string(), text);
            assert_eq!(FileName::of(&Path::new("/log").join(text)), Some(name));
        }
    }

    #[test]
    fn other_names_are_none_of_ours() {
        for text in [
            "",
            "audit-20260102-00000001.json",
            "audit-20260102-0000001.jsonl",
            "audit-20260102-+0000001.jsonl",
            "audit-20261302-00000001.jsonl",
            "audit-20260230-00000001.jsonl",
            "audit-2026010é-00000001.jsonl",
            ".audit-20260102-00000001.jsonl",
            "audit-20260102-00000001.jsonl.gz",
        ] {
            assert_eq!(FileName::of(Path::new(text)), None, "{text}");
        }
    }
}
