//! The header row: which column holds what.

use std::fmt;

use super::csv::{CELLS_MAX, Cells};

/// Which column holds which field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns {
    pub(crate) count: usize,
    pub(crate) bank: usize,
    pub(crate) pan: usize,
    pub(crate) expiry: usize,
    pub(crate) exid: Option<usize>,
    pub(crate) contract_number: Option<usize>,
    pub(crate) status: Option<usize>,
    pub(crate) sequence: Option<usize>,
    pub(crate) plastic_status: Option<usize>,
}

impl Columns {
    /// The columns that there can be.
    pub(crate) const NAMES: [&str; CELLS_MAX] = [
        "bank",
        "pan",
        "expiry",
        "exid",
        "contract_number",
        "status",
        "sequence",
        "plastic_status",
    ];

    /// Reads the header row, as it is in the file.
    pub(crate) fn read(mut row: &mut [u8], delimiter: u8) -> Result<Self, HeaderError> {
        // UTF-16 with its mark, or without: then every second byte of a name is zero.
        if row.starts_with(&[0xFF, 0xFE]) || row.starts_with(&[0xFE, 0xFF]) || row.contains(&0) {
            return Err(HeaderError::Utf16);
        }
        // Spreadsheets start UTF-8 files with a byte-order mark.
        if row.starts_with(b"\xEF\xBB\xBF") {
            row = &mut row[3..];
        }
        let len = row.trim_ascii_end().len();
        let cells = Cells::split(&mut row[..len], delimiter).map_err(|_| HeaderError::NotText)?;
        let mut found = [None; CELLS_MAX];
        for column in 0..cells.count() {
            let name = cells.get(column).trim();
            let known = Self::NAMES.iter().position(|known| known.eq_ignore_ascii_case(name));
            let known = known.ok_or(HeaderError::Unknown { column })?;
            if found[known].replace(column).is_some() {
                return Err(HeaderError::Twice { name: Self::NAMES[known] });
            }
        }
        let [bank, pan, expiry, exid, contract_number, status, sequence, plastic_status] = found;
        let need = |column: Option<usize>, name| column.ok_or(HeaderError::Missing { name });
        let columns = Self {
            count: cells.count(),
            bank: need(bank, "bank")?,
            pan: need(pan, "pan")?,
            expiry: need(expiry, "expiry")?,
            exid,
            contract_number,
            status,
            sequence,
            plastic_status,
        };
        if exid.or(contract_number).is_none() {
            return Err(HeaderError::NoReference);
        }
        Ok(columns)
    }
}

/// Why a header row is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderError {
    /// The file is UTF-16 or UTF-32.
    Utf16,
    /// The row is not UTF-8, or a quote is not closed.
    NotText,
    /// A column has a name that no column has.
    Unknown {
        /// Its position, counted from zero.
        column: usize,
    },
    /// Two columns have the same name.
    Twice {
        /// The name.
        name: &'static str,
    },
    /// A column is missing.
    Missing {
        /// Its name.
        name: &'static str,
    },
    /// There is no column that a card could be found by.
    NoReference,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Utf16 => f.write_str("the file is UTF-16; save it as UTF-8"),
            Self::NotText => f.write_str("the header row is not UTF-8, or a quote is not closed"),
            Self::Unknown { column } => write!(
                f,
                "column {} of the header row is none of {}; is the delimiter right?",
                column + 1,
                Columns::NAMES.join(", ")
            ),
            Self::Twice { name } => write!(f, "the column {name} is there twice"),
            Self::Missing { name } => write!(f, "the column {name} is missing"),
            Self::NoReference => f.write_str("neither a column exid nor contract_number is there"),
        }
    }
}

impl std::error::Error for HeaderError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &[u8]) -> Result<Columns, HeaderError> {
        Columns::read(&mut header.to_vec(), b';')
    }

    #[test]
    fn columns_are_found_by_name_in_any_order_and_case() {
        let mark = "\u{FEFF}";
        for header in [
            "exid;PAN;Expiry;bank;plastic_status".to_owned(),
            format!("{mark}exid;PAN;Expiry;bank;plastic_status\r\n"),
            format!("{mark}\"exid\";\" PAN\";Expiry ; bank;\"PLASTIC_STATUS\"\n"),
        ] {
            let columns = read(header.as_bytes()).unwrap();
            let needed = [columns.bank, columns.pan, columns.expiry];
            assert_eq!((columns.count, needed), (5, [3, 1, 2]));
            let optional = [columns.exid, columns.contract_number, columns.plastic_status];
            assert_eq!(optional, [Some(0), None, Some(4)]);
            assert_eq!([columns.status, columns.sequence], [None; 2]);
        }
    }

    #[test]
    fn what_is_no_header() {
        let utf16: Vec<u8> = "bank;pan".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let marked = [&[0xFF, 0xFE][..], &utf16].concat();
        for (header, error) in [
            (&utf16[..], HeaderError::Utf16),
            (&marked, HeaderError::Utf16),
            (b"\xFE\xFF\0b", HeaderError::Utf16),
            (b"bank;p\xE4n", HeaderError::NotText),
            (b"\"bank;pan", HeaderError::NotText),
            (b"", HeaderError::Unknown { column: 0 }),
            (b"bank,pan,expiry,exid", HeaderError::Unknown { column: 0 }),
            (b"bank;pan;expiry;exid;", HeaderError::Unknown { column: 4 }),
            (b"bank;pan;expiry;exid;pan", HeaderError::Twice { name: "pan" }),
            (b"bank;pan;exid", HeaderError::Missing { name: "expiry" }),
            (b"bank;pan;expiry", HeaderError::NoReference),
            (b"bank;pan;expiry;exid;a;b;c;d;e", HeaderError::Unknown { column: 4 }),
        ] {
            assert_eq!(read(header).unwrap_err(), error, "{:?}", header.escape_ascii().to_string());
        }
    }
}
