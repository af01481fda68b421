//! CSV as RFC 4180 has it: a stream in blocks of whole rows, and a row in cells.
//!
//! Fields are between delimiters; one that starts with a quote ends with a quote, may hold
//! delimiters and line ends, and has every quote in it doubled. Rows end with LF or CR LF, the last
//! one with either or nothing. An empty line is no card, and counts as a row: rows have the numbers
//! that a spreadsheet shows.
//!
//! Blocks are cut by one thread and their rows split by others. Everything that held card data is
//! zeroized when dropped.

use std::io::{self, Read};
use std::mem;
use std::ops::Range;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// A stream, cut into blocks of whole rows.
pub(crate) struct Blocks<'i> {
    input: &'i mut dyn Read,
    delimiter: u8,
    /// What was read and is in no block yet.
    rest: Zeroizing<Vec<u8>>,
    /// Where the next block starts.
    at: Position,
    has_ended: bool,
    /// What is read at once.
    read_bytes: usize,
}

/// A place between two rows.
#[derive(Clone)]
pub(crate) struct Position {
    /// Bytes before it.
    pub(crate) offset: u64,
    /// Rows before it, the header's too.
    pub(crate) rows: u64,
    /// The hash of the bytes before it, to be finished.
    digest: Sha256,
}

/// Some whole rows.
pub(crate) struct Block {
    bytes: Zeroizing<Vec<u8>>,
    delimiter: u8,
    /// The number of its first row, counted from one.
    pub(crate) first_row: u64,
    /// Where it ends.
    pub(crate) end: Position,
}

/// Why a stream cannot be cut.
#[derive(Debug)]
pub(crate) enum BlockError {
    Io(io::Error),
    /// A row has no end within [`ROW_BYTES_MAX`].
    RowTooLong {
        /// Its number, counted from one.
        row: u64,
    },
    /// The stream ends in quotes.
    OpenQuote {
        /// The number of the row in which they begin, counted from one.
        row: u64,
    },
}

/// The longest row, in bytes. Where a quote is not closed, the rest of the file looks like one row.
pub(crate) const ROW_BYTES_MAX: usize = 64 * 1024;

/// What is read at once, in bytes.
const READ_BYTES: usize = 256 * 1024;

impl<'i> Blocks<'i> {
    pub(crate) fn new(input: &'i mut dyn Read, delimiter: u8) -> Self {
        let at = Position { offset: 0, rows: 0, digest: Sha256::new() };
        let rest = Zeroizing::default();
        Self { input, delimiter, rest, at, has_ended: false, read_bytes: READ_BYTES }
    }

    /// Where the next block starts.
    pub(crate) fn position(&self) -> &Position {
        &self.at
    }

    /// The first row alone, with its line end: the header.
    pub(crate) fn first_row(&mut self) -> Result<Zeroizing<Vec<u8>>, BlockError> {
        while !self.has_ended && row_len(&self.rest, self.delimiter).is_none() {
            self.read_on()?;
        }
        let len = match row_len(&self.rest, self.delimiter) {
            Some(len) => len,
            None => self.last_row_len()?,
        };
        Ok(self.cut(len, 1))
    }

    /// The next block, unless the stream has ended.
    pub(crate) fn next(&mut self) -> Result<Option<Block>, BlockError> {
        let first_row = self.at.rows + 1;
        let (mut len, mut rows) = whole_rows(&self.rest, self.delimiter);
        while len == 0 && !self.has_ended {
            self.read_on()?;
            (len, rows) = whole_rows(&self.rest, self.delimiter);
        }
        if len == 0 && !self.rest.is_empty() {
            (len, rows) = (self.last_row_len()?, 1);
        }
        if len == 0 {
            return Ok(None);
        }
        let bytes = self.cut(len, rows);
        Ok(Some(Block { bytes, delimiter: self.delimiter, first_row, end: self.at.clone() }))
    }

    /// Goes to a place that a run before this one had reached, if the bytes before it are the same.
    pub(crate) fn go_to(
        &mut self,
        offset: u64,
        rows: u64,
        digest: &[u8; DIGEST_LEN],
    ) -> Result<bool, BlockError> {
        while self.at.offset < offset {
            if self.rest.is_empty() {
                self.read_on()?;
            }
            if self.rest.is_empty() {
                return Ok(false);
            }
            let missing = usize::try_from(offset - self.at.offset).unwrap_or(usize::MAX);
            self.cut(missing.min(self.rest.len()), 0);
        }
        self.at.rows = rows;
        Ok(self.at.offset == offset && self.at.digest() == *digest)
    }

    /// How long the row is that the stream ends with, which has no line end.
    fn last_row_len(&self) -> Result<usize, BlockError> {
        let row = self.at.rows + 1;
        if self.rest.len() > ROW_BYTES_MAX {
            return Err(BlockError::RowTooLong { row });
        }
        if ends_in_quotes(&self.rest, self.delimiter) {
            return Err(BlockError::OpenQuote { row });
        }
        Ok(self.rest.len())
    }

    /// Takes `len` bytes with this many rows off what was read.
    fn cut(&mut self, len: usize, rows: u64) -> Zeroizing<Vec<u8>> {
        let rest = Zeroizing::new(self.rest[len..].to_vec());
        let mut cut = mem::replace(&mut self.rest, rest);
        // What is cut off here stands in `rest` now, and is not to stay behind in the allocation.
        cut[len..].fill(0);
        cut.truncate(len);
        self.at.digest.update(&*cut);
        self.at.offset += len as u64;
        self.at.rows += rows;
        cut
    }

    fn read_on(&mut self) -> Result<(), BlockError> {
        let old = self.rest.len();
        if old > ROW_BYTES_MAX {
            return Err(BlockError::RowTooLong { row: self.at.rows + 1 });
        }
        // A vector that grows would leave what it held behind.
        let mut longer = Zeroizing::new(Vec::with_capacity(old + self.read_bytes));
        longer.extend_from_slice(&self.rest);
        longer.resize(old + self.read_bytes, 0);
        let mut len = old;
        while len < longer.len() {
            match self.input.read(&mut longer[len..]) {
                Ok(0) => {
                    self.has_ended = true;
                    break;
                }
                Ok(read) => len += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(BlockError::Io(error)),
            }
        }
        longer.truncate(len);
        self.rest = longer;
        Ok(())
    }
}

/// Bytes of a hash.
pub(crate) const DIGEST_LEN: usize = 32;

impl Position {
    /// The SHA-256 of the bytes before it.
    pub(crate) fn digest(&self) -> [u8; DIGEST_LEN] {
        self.digest.clone().finalize().into()
    }
}

impl Block {
    /// Shows each row to `read` with its number, split into cells; rows without anything are left
    /// out.
    pub(crate) fn each_row(mut self, mut read: impl FnMut(u64, Result<Cells<'_>, RowFlaw>)) {
        let mut number = self.first_row;
        let mut rest = &mut self.bytes[..];
        while !rest.is_empty() {
            let len = row_len(rest, self.delimiter).unwrap_or(rest.len());
            let (row, behind) = rest.split_at_mut(len);
            let len = without_line_end(row).len();
            if len > 0 {
                read(number, Cells::split(&mut row[..len], self.delimiter));
            }
            rest = behind;
            number += 1;
        }
    }
}

/// The cells of a row.
pub(crate) struct Cells<'r> {
    texts: [&'r str; CELLS_MAX],
    count: usize,
}

/// The most cells of a row that are kept; more are only counted.
pub(crate) const CELLS_MAX: usize = 8;

/// Why a row has no cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowFlaw {
    /// A cell is not UTF-8.
    NotUtf8,
    /// A quote is not closed, or something stands behind it.
    Quote,
}

impl<'r> Cells<'r> {
    /// Splits a row without its line end, and takes the quotes off in place.
    pub(crate) fn split(row: &'r mut [u8], delimiter: u8) -> Result<Self, RowFlaw> {
        let mut ranges: [Range<usize>; CELLS_MAX] = Default::default();
        let mut count = 0;
        let mut at = 0;
        loop {
            let (range, end) = if row.get(at) == Some(&b'"') {
                unquote(row, at)?
            } else {
                let len = row[at..].iter().position(|&byte| byte == delimiter);
                let end = len.map_or(row.len(), |len| at + len);
                (at..end, end)
            };
            if let Some(place) = ranges.get_mut(count) {
                *place = range;
            }
            count += 1;
            match row.get(end) {
                Some(&byte) if byte == delimiter => at = end + 1,
                Some(_) => return Err(RowFlaw::Quote),
                None => break,
            }
        }
        let row = &*row;
        let mut texts = [""; CELLS_MAX];
        for (text, range) in texts.iter_mut().zip(ranges) {
            *text = str::from_utf8(&row[range]).map_err(|_| RowFlaw::NotUtf8)?;
        }
        Ok(Self { texts, count })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The cell of a column, or nothing where the row is too short.
    pub(crate) fn get(&self, column: usize) -> &'r str {
        self.texts.get(column).copied().unwrap_or("")
    }
}

/// The content of the quoted cell that starts at `at`, moved together, and the place behind it.
fn unquote(row: &mut [u8], at: usize) -> Result<(Range<usize>, usize), RowFlaw> {
    let start = at + 1;
    let (mut from, mut to) = (start, start);
    loop {
        let byte = *row.get(from).ok_or(RowFlaw::Quote)?;
        if byte == b'"' {
            if row.get(from + 1) != Some(&b'"') {
                return Ok((start..to, from + 1));
            }
            from += 1;
        }
        row[to] = byte;
        (from, to) = (from + 1, to + 1);
    }
}

/// How long all whole rows at the start of `bytes` are, and how many there are.
fn whole_rows(bytes: &[u8], delimiter: u8) -> (usize, u64) {
    if !bytes.contains(&b'"') {
        let len = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let rows = bytes[..len].iter().map(|&byte| u64::from(byte == b'\n')).sum();
        return (len, rows);
    }
    let (mut len, mut rows) = (0, 0);
    while let Some(row) = row_len(&bytes[len..], delimiter) {
        len += row;
        rows += 1;
    }
    (len, rows)
}

/// How long the first row is with its line end, if it has one.
fn row_len(bytes: &[u8], delimiter: u8) -> Option<usize> {
    let first = bytes.iter().position(|&byte| byte == b'\n');
    let before = first.map_or(bytes, |at| &bytes[..at]);
    if !before.contains(&b'"') {
        return first.map(|at| at + 1);
    }
    let mut state = State::Start;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte == b'\n' && state != State::Quoted {
            return Some(at + 1);
        }
        state = state.behind(byte, delimiter);
    }
    None
}

/// Whether a row that has no end ends in quotes.
fn ends_in_quotes(row: &[u8], delimiter: u8) -> bool {
    let start = State::Start;
    row.iter().fold(start, |state, &byte| state.behind(byte, delimiter)) == State::Quoted
}

/// Where a row is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the start of a cell.
    Start,
    /// In a cell without quotes, where a quote means nothing.
    Plain,
    /// In quotes.
    Quoted,
    /// Behind a quote in quotes: it was the last one, or the first of two.
    Closed,
}

impl State {
    fn behind(self, byte: u8, delimiter: u8) -> Self {
        match (self, byte) {
            (Self::Quoted, b'"') => Self::Closed,
            (Self::Start | Self::Closed, b'"') | (Self::Quoted, _) => Self::Quoted,
            (_, byte) if byte == delimiter => Self::Start,
            _ => Self::Plain,
        }
    }
}

fn without_line_end(row: &[u8]) -> &[u8] {
    let row = row.strip_suffix(b"\n").unwrap_or(row);
    row.strip_suffix(b"\r").unwrap_or(row)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A row's number, and its cells or what is wrong with it.
    type Row = (u64, Result<Vec<String>, RowFlaw>);

    /// All rows behind the header, read in pieces of this size.
    fn rows(text: &[u8], read_bytes: usize) -> Result<Vec<Row>, BlockError> {
        let mut input = text;
        let mut blocks = Blocks { read_bytes, ..Blocks::new(&mut input, b',') };
        blocks.first_row()?;
        let mut rows = Vec::new();
        while let Some(block) = blocks.next()? {
            assert!(block.first_row > rows.last().map_or(1, |(row, _)| *row));
            block.each_row(|row, cells| {
                let texts = |cells: Cells<'_>| {
                    (0..cells.count().min(CELLS_MAX)).map(|at| cells.get(at).to_owned()).collect()
                };
                rows.push((row, cells.map(texts)));
            });
        }
        let end = blocks.position();
        assert_eq!(end.offset, text.len() as u64);
        assert_eq!(end.digest(), <[u8; 32]>::from(Sha256::digest(text)));
        Ok(rows)
    }

    fn row(number: u64, cells: &[&str]) -> Row {
        (number, Ok(cells.iter().map(|&cell| cell.to_owned()).collect()))
    }

    #[test]
    fn rows_keep_their_numbers_whatever_stands_between_them() {
        let text = "h,i\r\n1,2\n\n\r\n3,4\r\n\"5\n6\",7\n8,\"a\"\"b,c\"\n\n,\n9,10";
        let expected = [
            row(2, &["1", "2"]),
            row(5, &["3", "4"]),
            row(6, &["5\n6", "7"]),
            row(7, &["8", "a\"b,c"]),
            row(9, &["", ""]),
            row(10, &["9", "10"]),
        ];
        for read_bytes in 1..=text.len() + 1 {
            assert_eq!(rows(text.as_bytes(), read_bytes).unwrap(), expected, "{read_bytes}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_row_is_wrong_with_that_row_alone() {
        let text = b"h\n\"a\"b\nc\xFFd\ne\"f\n1,2,3,4,5,6,7,8,9,10";
        let found = rows(text, 7).unwrap();
        assert_eq!(found[0], (2, Err(RowFlaw::Quote)));
        assert_eq!(found[1], (3, Err(RowFlaw::NotUtf8)));
        assert_eq!(found[2], row(4, &["e\"f"]), "a quote means nothing within a cell");
        assert_eq!(found[3], row(5, &["1", "2", "3", "4", "5", "6", "7", "8"]));
        let mut row = *b"1,2,3,4,5,6,7,8,9,10";
        assert!(Cells::split(&mut row, b',').is_ok_and(|cells| cells.count() == 10));
    }

    #[test]
    fn a_quote_that_is_never_closed_ends_the_reading_and_names_the_row() {
        let text = [&b"h\n1\n\"2\n"[..], &b"3\n".repeat(ROW_BYTES_MAX)].concat();
        for read_bytes in [100, READ_BYTES] {
            let error = rows(&text, read_bytes).unwrap_err();
            assert!(matches!(error, BlockError::RowTooLong { row: 3 }), "{error:?}");
        }
        for end in ["\"2", "\"2\n3\n4\n", "\"2\"\"\n"] {
            let error = rows(format!("h\n1\n{end}").as_bytes(), 3).unwrap_err();
            assert!(matches!(error, BlockError::OpenQuote { row: 3 }), "{error:?}");
        }
        let error = rows(&b"h".repeat(ROW_BYTES_MAX + 2), 100).unwrap_err();
        assert!(matches!(error, BlockError::RowTooLong { row: 1 }), "{error:?}");
    }

    #[test]
    fn a_run_goes_on_only_where_the_bytes_before_are_the_same() {
        let text = b"h\n1\n2\n3\n";
        let mut input = &text[..];
        let mut first = Blocks { read_bytes: 4, ..Blocks::new(&mut input, b',') };
        first.first_row().unwrap();
        let reached = first.next().unwrap().unwrap().end;
        assert_eq!((reached.offset, reached.rows), (4, 2));

        let digest = reached.digest();
        for (text, is_same) in [
            (&b"h\n1\n2\n3\n"[..], true),
            (b"h\n1\n9\n", true),
            (b"h\n1\n", true),
            (b"h\n2\n2\n3\n", false),
            (b"h\n1", false),
            (b"h\n", false),
        ] {
            for read_bytes in 1..8 {
                let mut input = text;
                let mut again = Blocks { read_bytes, ..Blocks::new(&mut input, b',') };
                again.first_row().unwrap();
                assert_eq!(again.go_to(4, 2, &digest).unwrap(), is_same);
                if is_same && let Some(block) = again.next().unwrap() {
                    assert_eq!(block.first_row, 3);
                }
            }
        }
    }

    /// Gives what it has in pieces, with interruptions, and then fails.
    struct Failing(usize);

    impl Read for Failing {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            match self.0 {
                1 | 3 => Err(io::ErrorKind::Interrupted.into()),
                2 | 4 => {
                    into[0] = b'\n';
                    Ok(1)
                }
                _ => Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
    }

    #[test]
    fn an_interruption_is_nothing_and_a_failure_is_told() {
        let mut input = Failing(0);
        let error = Blocks::new(&mut input, b',').first_row().unwrap_err();
        assert!(
            matches!(error, BlockError::Io(error) if error.kind() == io::ErrorKind::BrokenPipe)
        );
    }

    proptest! {
        /// Whatever the `csv` crate writes is read as the `csv` crate reads it.
        #[test]
        fn another_implementation_reads_the_same(
            table in proptest::collection::vec(
                proptest::collection::vec("[a-c,;\"\n\r ä]{0,5}", 1..CELLS_MAX), 1..8,
            ),
            always in any::<bool>(), crlf in any::<bool>(), read_bytes in 1..64_usize,
        ) {
            let mut writer = csv::WriterBuilder::new()
                .flexible(true)
                .quote_style(if always { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary })
                .terminator(if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') })
                .from_writer(Vec::new());
            writer.write_record(["header"]).unwrap();
            for row in &table {
                writer.write_record(row).unwrap();
            }
            let text = writer.into_inner().unwrap();

            let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(&text[..]);
            let theirs: Vec<Vec<String>> = reader
                .records()
                .map(|row| row.unwrap().iter().map(str::to_owned).collect())
                .collect();
            let ours: Vec<_> =
                rows(&text, read_bytes).unwrap().into_iter().map(|(_, row)| row.unwrap()).collect();
            prop_assert_eq!(ours, theirs);
        }

        /// Bytes of any kind are cut into the same rows, however they are read.
        #[test]
        fn the_size_of_what_is_read_does_not_matter(
            text in "[a,\"\n\r]{0,40}", read_bytes in 1..64_usize,
        ) {
            let [whole, pieces] = [1 << 16, read_bytes].map(|read_bytes| {
                rows(text.as_bytes(), read_bytes).map_err(|error| format!("{error:?}"))
            });
            prop_assert_eq!(pieces, whole);
        }
    }
}
