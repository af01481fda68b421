//! Lines as they are found in a file: split, bounded, and taken apart.

use std::io::{self, BufRead, Read, Write};

use super::chain::{ChainKey, ChainMac, Head};
use super::line::LINE_BYTES_MAX;

/// A line, taken apart. Nothing of it is verified.
#[derive(Clone, Copy)]
pub(crate) struct Sealed<'a> {
    /// All of it that its code covers.
    pub(crate) body: &'a [u8],
    pub(crate) sequence: u64,
    pub(crate) event: &'a [u8],
    pub(crate) mac: ChainMac,
}

impl<'a> Sealed<'a> {
    /// Takes a line apart, given without its line feed.
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        let unclosed = line.strip_suffix(CLOSE)?;
        let (body, mac) = unclosed.split_at_checked(unclosed.len().checked_sub(64)?)?;
        let mac = ChainMac::parse(mac)?;
        let body = body.strip_suffix(MAC)?;

        let numbered = body.strip_prefix(SEQUENCE)?;
        let digits = numbered.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (sequence, rest) = numbered.split_at(digits);
        if sequence.len() > 1 && sequence[0] == b'0' {
            return None;
        }
        let sequence = str::from_utf8(sequence).ok()?.parse().ok()?;
        let timed = rest.strip_prefix(br#","time":""#)?;
        let event = timed.get(TIME_BYTES..)?.strip_prefix(br#"","event":""#)?;
        let event = &event[..event.iter().position(|byte| *byte == b'"')?];
        Some(Self { body, sequence, event, mac })
    }

    /// Whether it is the line that follows `head`.
    pub(crate) fn follows(&self, head: &Head, key: &ChainKey) -> bool {
        head.sequence.checked_add(1) == Some(self.sequence)
            && key.is_next(&head.mac, self.body, &self.mac)
    }

    /// Whether it would follow `head` if its number were not another.
    pub(crate) fn follows_renumbered(&self, head: &Head, key: &ChainKey) -> bool {
        let behind = SEQUENCE.len() + self.sequence.to_string().len();
        let mut body = SEQUENCE.to_vec();
        body.extend(head.sequence.wrapping_add(1).to_string().bytes());
        body.extend(&self.body[behind..]);
        key.is_next(&head.mac, &body, &self.mac)
    }

    /// Where the chain is behind it.
    pub(crate) fn head(&self) -> Head {
        Head::new(self.sequence, self.mac)
    }
}

/// Writes the line with these members that follows `head`, and moves `head` on.
pub(crate) fn seal(line: &mut Vec<u8>, members: &str, head: &mut Head, key: &ChainKey) {
    let start = line.len();
    let sequence = head.sequence + 1;
    line.extend(SEQUENCE);
    write!(line, "{sequence}").expect("memory takes all that is written");
    line.extend(members.as_bytes());
    let mac = key.seal(&head.mac, &line[start..]);
    line.extend(MAC);
    line.extend(mac.to_digits());
    line.extend(CLOSE);
    line.push(b'\n');
    *head = Head::new(sequence, mac);
}

/// Reads a file line by line, with memory for one.
pub(crate) struct Lines<R> {
    reader: R,
    line: Vec<u8>,
    number: u64,
    start: u64,
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// There is nothing more.
    End,
    /// A line with its end.
    Line,
    /// The rest of the file, without the end of a line.
    Unterminated,
    /// The beginning of more than a line may have.
    TooLong,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, line: Vec::with_capacity(LINE_BYTES_MAX + 1), number: 0, start: 0 }
    }

    /// Reads the next line.
    pub(crate) fn advance(&mut self) -> io::Result<Step> {
        self.start = self.end();
        self.line.clear();
        self.number += 1;
        let limit = LINE_BYTES_MAX as u64;
        let read = (&mut self.reader).take(limit).read_until(b'\n', &mut self.line)?;
        Ok(match (read, self.line.last()) {
            (0, _) => Step::End,
            (_, Some(b'\n')) => Step::Line,
            (LINE_BYTES_MAX, _) => Step::TooLong,
            _ => Step::Unterminated,
        })
    }

    /// The line that was read, without its line feed.
    pub(crate) fn text(&self) -> &[u8] {
        self.line.strip_suffix(b"\n").unwrap_or(&self.line)
    }

    /// Its number in the file, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Where it starts in the file.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// Where what was read of it ends.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.line.len() as u64
    }

    /// How much there is from the start of the line that was read to the end of the file, if that
    /// may be what a crash left of a group that was being written: a line without its end, or one in
    /// which pages are missing, which read as zeros. (One zero may be a space with a flipped bit.)
    pub(crate) fn torn_tail(&mut self, step: Step) -> io::Result<Option<u64>> {
        if step != Step::Unterminated && !self.text().windows(2).any(|pair| pair == [0; 2]) {
            return Ok(None);
        }
        let tail = self.line.len() as u64 + self.skip_rest()?;
        Ok((tail <= TAIL_BYTES_MAX).then_some(tail))
    }

    /// Reads to the end; how many bytes there were.
    pub(crate) fn skip_rest(&mut self) -> io::Result<u64> {
        io::copy(&mut self.reader, &mut io::sink())
    }
}

/// The most bytes that are written before they are durable, so the most that can be torn.
pub(crate) const TAIL_BYTES_MAX: u64 = (super::options::GROUP_RECORDS_MAX * LINE_BYTES_MAX) as u64;

const SEQUENCE: &[u8] = br#"{"sequence":"#;
const MAC: &[u8] = br#","mac":""#;
const CLOSE: &[u8] = br#""}"#;
const TIME_BYTES: usize = "2026-01-02T03:04:05.678901Z".len();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_torn_tails_are_told_from_text() {
        let steps = |text: &[u8]| {
            let mut lines = Lines::new(text);
            let mut steps = Vec::new();
            while let step = lines.advance().unwrap()
                && step != Step::End
            {
                steps.push((step, lines.number(), lines.start(), lines.end()));
            }
            steps
        };
        assert_eq!(steps(b""), []);
        assert_eq!(
            steps(b"a\n\nb"),
            [(Step::Line, 1, 0, 2), (Step::Line, 2, 2, 3), (Step::Unterminated, 3, 3, 4)]
        );
        let longest = [&vec![b'a'; LINE_BYTES_MAX - 1][..], b"\n"].concat();
        assert_eq!(steps(&longest)[0].0, Step::Line);
        assert_eq!(steps(&vec![b'a'; LINE_BYTES_MAX])[0].0, Step::TooLong);

        let torn = |text: &[u8]| {
            let mut lines = Lines::new(text);
            let step = lines.advance().unwrap();
            lines.torn_tail(step).unwrap()
        };
        assert_eq!(torn(b"{\"seq"), Some(5));
        assert_eq!(torn(b"{\"seq\0\0\0\n{}\n"), Some(12));
        assert_eq!(torn(b"{\"seq\n"), None);
        assert_eq!(torn(b"{\"s\0q\n\0\0"), None);
        let long = vec![0; usize::try_from(TAIL_BYTES_MAX).unwrap()];
        assert_eq!(torn(&long), Some(TAIL_BYTES_MAX));
        assert_eq!(torn(&[&long[..], &[0]].concat()), None);
    }
}
