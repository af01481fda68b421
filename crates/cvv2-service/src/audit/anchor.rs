//! The head of the chain, written down where who can write the log cannot.
//!
//! A chain shows what was changed in it, but not that its end is missing: what is left is a whole
//! chain. So its head goes to a file elsewhere from time to time, one line each:
//! `{"chain":"…","sequence":N,"mac":"…"}`. On a thread of its own, because another disk or another
//! host's mount may hang, and no request has to wait for it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::chain::{ChainId, ChainMac, Head};
use super::error::{AuditError, WriteFault};
use super::folder::{open_regular, sync_folder_of};
use super::options::AnchorOptions;
use super::sealed::{Lines, Step};
use super::shared::Shared;

/// A head of which somebody outside knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AnchorPoint {
    pub(crate) chain: ChainId,
    pub(crate) head: Head,
}

impl AnchorPoint {
    fn parse(line: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Fields<'a> {
            chain: &'a str,
            sequence: u64,
            mac: &'a str,
        }
        let Fields { chain, sequence, mac } = serde_json::from_slice(line).ok()?;
        let mac = ChainMac::parse(mac.as_bytes())?;
        Some(Self { chain: ChainId::parse(chain)?, head: Head::new(sequence, mac) })
    }

    fn to_line(self) -> String {
        let Self { chain, head: Head { sequence, mac } } = self;
        format!("{{\"chain\":\"{chain}\",\"sequence\":{sequence},\"mac\":\"{mac}\"}}\n")
    }
}

/// Writes an anchor.
pub(crate) struct AnchorWriter {
    file: File,
    path: PathBuf,
    interval: Duration,
    /// Whether the file ends amid a line, as a crash or a full disk leaves it. The line is left: a
    /// file that can only be appended to cannot be cut.
    is_torn: bool,
}

impl AnchorWriter {
    /// Opens the file, and reads the last head in it.
    pub(crate) fn open(options: &AnchorOptions) -> Result<(Self, Option<AnchorPoint>), AuditError> {
        let path = options.path.clone();
        let mut open = OpenOptions::new();
        open.read(true).append(true).create(true).mode(0o600);
        let mut file = open_regular(&mut open, &path, WRITABLE_BY_OTHERS)?;
        sync_folder_of(&path).map_err(AuditError::io(&path))?;
        let (is_torn, last) = read_end(&mut file).map_err(AuditError::io(&path))?;
        Ok((Self { file, path, interval: options.interval, is_torn }, last))
    }

    /// Writes the head down whenever it is due, until the log has ended.
    pub(crate) fn run(mut self, chain: ChainId, shared: &Arc<Shared>) {
        loop {
            let (head, is_last) = shared.wait_for_anchoring(self.interval);
            let written = match head {
                None => Ok(()),
                Some(head) => self.write(AnchorPoint { chain, head }),
            };
            let fault = |error| Arc::new(WriteFault::new(self.path.clone(), error));
            shared.set_anchored(head, written.map_err(fault));
            if is_last {
                return;
            }
        }
    }

    fn write(&mut self, point: AnchorPoint) -> io::Result<()> {
        let mut line = point.to_line();
        if self.is_torn {
            line.insert(0, '\n');
        }
        self.is_torn = true;
        self.file.write_all(line.as_bytes())?;
        self.is_torn = false;
        self.file.sync_data()
    }
}

/// Whether the last line is torn, and the last one that is not.
fn read_end(file: &mut File) -> io::Result<(bool, Option<AnchorPoint>)> {
    let len = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(len.saturating_sub(END_BYTES)))?;
    let mut end = Vec::new();
    file.take(END_BYTES).read_to_end(&mut end)?;
    let is_torn = end.last().is_some_and(|byte| *byte != b'\n');
    Ok((is_torn, end.rsplit(|byte| *byte == b'\n').find_map(AnchorPoint::parse)))
}

/// Reads an anchor, with memory for one line.
pub(crate) struct Anchors {
    lines: Lines<Box<dyn BufRead>>,
    last: u64,
    /// Lines that are none: torn ones, for example.
    pub(crate) unreadable: u64,
}

impl Anchors {
    pub(crate) fn new(reader: Box<dyn BufRead>) -> Self {
        Self { lines: Lines::new(reader), last: 0, unreadable: 0 }
    }

    /// The next point; `Err(None)` for one that does not come after the one before it.
    pub(crate) fn next(&mut self) -> Result<Option<AnchorPoint>, Option<io::Error>> {
        loop {
            match self.lines.advance()? {
                Step::End => return Ok(None),
                Step::Line | Step::Unterminated | Step::TooLong if self.lines.text().is_empty() => {
                }
                _ => match AnchorPoint::parse(self.lines.text()) {
                    None => self.unreadable += 1,
                    Some(point) if point.head.sequence < self.last => return Err(None),
                    Some(point) => {
                        self.last = point.head.sequence;
                        return Ok(Some(point));
                    }
                },
            }
        }
    }

    /// The number of the line that was read.
    pub(crate) fn line(&self) -> u64 {
        self.lines.number()
    }
}

const WRITABLE_BY_OTHERS: u32 = 0o022;
/// Enough for the last whole line behind many torn ones.
const END_BYTES: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn point(sequence: u64) -> AnchorPoint {
        let chain = ChainId::parse("00112233445566778899aabbccddeeff").unwrap();
        let mac = ChainMac::parse("0123456789abcdef".repeat(4).as_bytes()).unwrap();
        AnchorPoint { chain, head: Head::new(sequence, mac) }
    }

    #[test]
    fn points_are_read_as_they_are_written_and_torn_lines_are_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("anchor");
        let options = AnchorOptions::new(&path);
        let (mut writer, last) = AnchorWriter::open(&options).unwrap();
        assert_eq!(last, None);
        writer.write(point(1)).unwrap();
        writer.write(point(5)).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap().lines().next().unwrap(),
            r#"{"chain":"00112233445566778899aabbccddeeff","sequence":1,"#.to_owned()
                + &format!(r#""mac":"{}"}}"#, "0123456789abcdef".repeat(4))
        );
        let mut torn = fs::read(&path).unwrap();
        torn.extend(b"{\"chain\":\"00");
        fs::write(&path, &torn).unwrap();
        let (mut writer, last) = AnchorWriter::open(&options).unwrap();
        assert_eq!(last, Some(point(5)));
        writer.write(point(6)).unwrap();

        let mut anchors = Anchors::new(Box::new(io::Cursor::new(fs::read(&path).unwrap())));
        for sequence in [1, 5, 6] {
            assert_eq!(anchors.next().unwrap(), Some(point(sequence)));
        }
        assert_eq!(anchors.next().unwrap(), None);
        assert_eq!(anchors.unreadable, 1);
    }

    #[test]
    fn points_that_go_back_are_an_error() {
        let text = point(2).to_line() + &point(2).to_line() + &point(1).to_line();
        let mut anchors = Anchors::new(Box::new(io::Cursor::new(text)));
        assert!(anchors.next().is_ok() && anchors.next().is_ok());
        assert!(matches!(anchors.next(), Err(None)));
        assert_eq!(anchors.line(), 3);
    }
}
