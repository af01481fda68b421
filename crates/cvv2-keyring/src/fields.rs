//! The fields of a TOML table, each with its place.

use std::borrow::Cow;
use std::num::NonZeroU8;

use time::{Date, Month};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::load_error::{Fault, LoadCause};

/// A table whose fields are asked for one by one.
pub(crate) struct Fields<'a> {
    table: &'a DeTable<'a>,
    /// Where the table starts: the place of what is missing.
    at: usize,
}

/// A value, and the byte of the text where it starts.
#[derive(Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) name: &'static str,
    pub(crate) at: usize,
    value: &'a DeValue<'a>,
}

impl<'a> Fields<'a> {
    /// The fields of `table`, which starts at byte `at`; refused if one is not among the known.
    pub(crate) fn new(
        table: &'a DeTable<'a>,
        at: usize,
        known: &'static [&'static str],
    ) -> Result<Self, Fault> {
        let unknown = |name: &&Spanned<Cow<'_, str>>| !known.contains(&&**name.get_ref());
        match table.keys().filter(unknown).map(|name| name.span().start).min() {
            Some(at) => Err(Fault { at, field: None, cause: LoadCause::Unknown { known } }),
            None => Ok(Self { table, at }),
        }
    }

    pub(crate) fn optional(&self, name: &'static str) -> Option<Field<'a>> {
        let value = self.table.get(name)?;
        Some(Field { name, at: value.span().start, value: value.get_ref() })
    }

    pub(crate) fn required(&self, name: &'static str) -> Result<Field<'a>, Fault> {
        self.optional(name).ok_or_else(|| Fault::new(self.at, name, LoadCause::Missing))
    }
}

impl<'a> Field<'a> {
    /// A fault of this field.
    pub(crate) fn fault(self, cause: LoadCause) -> Fault {
        Fault::new(self.at, self.name, cause)
    }

    pub(crate) fn text(self) -> Result<&'a str, Fault> {
        self.value.as_str().ok_or_else(|| self.expected("a text in quotes"))
    }

    /// A text that `read` understands; `values` says which it does.
    pub(crate) fn one_of<T>(
        self,
        values: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Fault> {
        read(self.text()?).ok_or_else(|| self.fault(LoadCause::NotOneOf { values }))
    }

    /// A number of the format, which is 1.
    pub(crate) fn is_one(self) -> Result<(), Fault> {
        match self.value {
            DeValue::Integer(number) if number.as_str() == "1" => Ok(()),
            _ => Err(self.fault(LoadCause::NotOneOf { values: "1" })),
        }
    }

    /// A version of a key, 1 to 255.
    pub(crate) fn version(self) -> Result<NonZeroU8, Fault> {
        let version = match self.value {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().ok(),
            _ => None,
        };
        version.ok_or_else(|| self.expected("a number 1 to 255"))
    }

    /// A day without a time.
    pub(crate) fn date(self) -> Result<Date, Fault> {
        let expected = || self.expected("a date without quotes, 2026-01-31");
        let moment = self.value.as_datetime().ok_or_else(expected)?;
        let (Some(date), None, None) = (moment.date, moment.time, moment.offset) else {
            return Err(expected());
        };
        let month = Month::try_from(date.month).map_err(|_| expected())?;
        Date::from_calendar_date(i32::from(date.year), month, date.day).map_err(|_| expected())
    }

    /// A list of at least one and at most `max` values.
    pub(crate) fn list(
        self,
        max: usize,
    ) -> Result<impl ExactSizeIterator<Item = Field<'a>>, Fault> {
        let list = self.value.as_array().ok_or_else(|| self.expected("a list in brackets"))?;
        match list.len() {
            0 => Err(self.fault(LoadCause::Empty)),
            len if len > max => Err(self.fault(LoadCause::TooMany { max })),
            _ => Ok(self.items(list)),
        }
    }

    /// The tables of `[[name]]` headings.
    pub(crate) fn tables(
        self,
        text: &str,
    ) -> Result<impl Iterator<Item = (usize, &'a DeTable<'a>)>, Fault> {
        let expected = || self.expected("a table for each, under a heading [[key]]");
        let list = self.value.as_array().ok_or_else(expected)?;
        // Tables in braces would be understood as well, but not be a line each to edit.
        let in_brackets = |item: &Field<'_>| text[item.at..].starts_with("[[");
        if !self.items(list).all(|item| in_brackets(&item)) {
            return Err(expected());
        }
        Ok(self.items(list).filter_map(|item| Some((item.at, item.value.as_table()?))))
    }

    fn items(self, list: &'a DeArray<'a>) -> impl ExactSizeIterator<Item = Field<'a>> {
        list.iter().map(move |item| Field {
            name: self.name,
            at: item.span().start,
            value: item.get_ref(),
        })
    }

    fn expected(self, expected: &'static str) -> Fault {
        self.fault(LoadCause::Type { expected })
    }
}
