//! Refused rows, kept in a file until they are told.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::iter::Peekable;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{Flaw, ImportWatcher, RefusedRow};

/// A file of refused rows, in the order of rows. It is private, and holds no card data.
pub(crate) struct Refusals {
    path: PathBuf,
    file: BufWriter<File>,
    len: u64,
}

impl Refusals {
    /// Opens the file as it was when it had this length; whatever came later is taken off.
    pub(crate) fn open(path: &Path, len: u64) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(0o600).open(path)?;
        if file.metadata()?.len() < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.set_len(len)?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file), len })
    }

    /// Notes a row, which is behind all rows that were noted.
    pub(crate) fn note(&mut self, row: u64, flaw: Flaw) -> io::Result<()> {
        let line = format!("{row}\t{}\t{flaw}\n", flaw.field());
        self.len += line.len() as u64;
        self.file.write_all(line.as_bytes())
    }

    /// Hands everything to the file, and says how long it is then.
    pub(crate) fn flush(&mut self) -> io::Result<u64> {
        self.file.flush()?;
        Ok(self.len)
    }

    fn lines(&self) -> io::Result<Lines> {
        let lines: Lines = Box::new(BufReader::new(File::open(&self.path)?).lines());
        Ok(lines)
    }
}

type Lines = Box<dyn Iterator<Item = io::Result<String>>>;

/// Tells `watcher` the rows of both files, in the order of rows.
pub(crate) fn tell(
    one: &Refusals,
    other: &Refusals,
    watcher: &mut dyn ImportWatcher,
) -> io::Result<()> {
    let mut files = [one.lines()?.peekable(), other.lines()?.peekable()];
    while let Some(line) = next_of(&mut files) {
        let line = line?;
        let mut fields = line.splitn(3, '\t');
        let mut field = || fields.next().ok_or(io::ErrorKind::InvalidData);
        let row = field()?.parse().map_err(|_| io::ErrorKind::InvalidData)?;
        watcher.refused(&RefusedRow { row, field: field()?, reason: field()? })?;
    }
    Ok(())
}

/// The line with the lower row number.
fn next_of([one, other]: &mut [Peekable<Lines>; 2]) -> Option<io::Result<String>> {
    let row = |lines: &mut Peekable<Lines>| match lines.peek() {
        Some(Ok(line)) => line.split('\t').next().and_then(|row| row.parse::<u64>().ok()),
        _ => None,
    };
    match (row(one), row(other)) {
        (Some(first), Some(second)) if second < first => other.next(),
        (None, _) if one.peek().is_none() => other.next(),
        _ => one.next(),
    }
}
