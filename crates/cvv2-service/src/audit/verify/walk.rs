//! The walk along the chain, from file to file and from line to line.

use std::io::{self, BufRead};
use std::path::PathBuf;

use super::super::anchor::{AnchorPoint, Anchors};
use super::super::chain::{ChainKey, Head};
use super::super::header::{Cause, FILE, FILE_END, Header, HeaderError};
use super::super::sealed::{Lines, Sealed, Step};
use super::{Fault, Finding, VerifyError, VerifyReport};

/// A file of which the first line was read.
pub(super) struct Opened<R> {
    path: PathBuf,
    lines: Lines<R>,
    step: Step,
    header: Result<Header, HeaderError>,
}

impl<R: BufRead> Opened<R> {
    pub(super) fn new(
        path: PathBuf,
        reader: io::Result<R>,
        key: &ChainKey,
    ) -> Result<Self, VerifyError> {
        let open = || {
            let mut lines = Lines::new(reader?);
            let step = lines.advance()?;
            let header = Header::parse(lines.text(), key);
            Ok((lines, step, header))
        };
        match open() {
            Ok((lines, step, header)) => Ok(Self { path, lines, step, header }),
            Err(error) => Err(VerifyError::Io { path, error }),
        }
    }

    /// Where in the file before it the chain goes on here, if that may not be its end. Nobody has
    /// verified it yet; if it is wrong, the first line of this file is found to be.
    fn previous_end(&self) -> Option<u64> {
        let header = self.header.as_ref().ok()?;
        (header.cause == Cause::Failure).then_some(header.previous_bytes)
    }

    fn read<T>(
        &mut self,
        read: impl FnOnce(&mut Lines<R>) -> io::Result<T>,
    ) -> Result<T, VerifyError> {
        read(&mut self.lines).map_err(|error| VerifyError::Io { path: self.path.clone(), error })
    }

    fn found(&self, fault: Fault) -> VerifyError {
        let (path, line) = (self.path.clone(), self.lines.number());
        VerifyError::Found(Finding { path, line, fault })
    }
}

/// Where the walk is.
pub(super) struct Walk<'k> {
    key: &'k ChainKey,
    anchors: Option<Anchors>,
    /// The next point of the anchor.
    point: Option<AnchorPoint>,
    is_partial: bool,
    /// The last line that was verified, and where it is.
    place: (PathBuf, u64),
    /// What there is to report so far.
    report: Option<VerifyReport>,
}

impl<'k> Walk<'k> {
    pub(super) fn new(key: &'k ChainKey, anchors: Option<Anchors>, is_partial: bool) -> Self {
        let place = (PathBuf::new(), 0);
        Self { key, anchors, point: None, is_partial, place, report: None }
    }

    /// Verifies a file; `next` is the one behind it.
    pub(super) fn file<R: BufRead>(
        &mut self,
        file: &mut Opened<R>,
        next: Option<&Opened<R>>,
    ) -> Result<(), VerifyError> {
        let mut report = self.header(file)?;
        report.files += 1;
        let counted = next.and_then(Opened::previous_end);
        let mut last = 0;
        loop {
            let step = file.step;
            let line = Sealed::parse(file.lines.text());
            let next_line =
                line.filter(|line| step == Step::Line && line.follows(&report.head, self.key));
            let Some(line) = next_line else {
                let torn = match next {
                    None => file.read(|lines| lines.torn_tail(step))?,
                    Some(_) => None,
                };
                report.torn_bytes = torn.ok_or_else(|| self.diagnose(file, &report.head))?;
                break;
            };
            report.head = line.head();
            report.is_closed = line.event == FILE_END.as_bytes();
            let is_record = ![FILE, FILE_END].map(str::as_bytes).contains(&line.event);
            report.records += u64::from(is_record);
            self.compare(file, &mut report)?;
            last = file.lines.number();
            if counted == Some(file.lines.end()) {
                report.abandoned_bytes += file.read(Lines::skip_rest)?;
                break;
            }
            file.step = file.read(Lines::advance)?;
            if file.step == Step::End {
                break;
            }
        }
        self.place = (file.path.clone(), last);
        self.report = Some(report);
        Ok(())
    }

    /// Looks at what is left of the anchor.
    pub(super) fn finish(mut self) -> Result<VerifyReport, VerifyError> {
        let mut report = self.report.take().ok_or(VerifyError::NoFile)?;
        let mut anchored = None;
        while let Some(point) = self.point {
            anchored = Some(point);
            self.advance_anchor()?;
        }
        if let Some(AnchorPoint { chain, head }) = anchored {
            let (path, line) = self.place;
            let fault = if chain == report.chain {
                Fault::Truncated { last: report.head.sequence, anchored: head.sequence }
            } else {
                Fault::OtherChain
            };
            return Err(VerifyError::Found(Finding { path, line, fault }));
        }
        report.anchor_unreadable = self.anchors.map_or(0, |anchors| anchors.unreadable);
        Ok(report)
    }

    /// Looks at the first line of a file: whether it is one, and whether it is behind the files
    /// before. What is reported then is up to the line before it.
    fn header<R: BufRead>(&mut self, file: &Opened<R>) -> Result<VerifyReport, VerifyError> {
        let line = Sealed::parse(file.lines.text());
        let header = match &file.header {
            _ if file.step != Step::Line => return Err(file.found(Fault::NoHeader)),
            Ok(header) => header,
            Err(HeaderError::ForeignKey) => return Err(file.found(Fault::ForeignKey)),
            Err(HeaderError::Format) => return Err(file.found(Fault::UnknownFormat)),
            Err(HeaderError::Unreadable) => {
                let is_other = line.is_some_and(|line| line.event != FILE.as_bytes());
                return Err(file.found(if is_other { Fault::NoHeader } else { Fault::Altered }));
            }
        };
        // As it says itself: a file in the wrong place is one that was written, too.
        if !line.is_some_and(|line| line.follows(&header.previous, self.key)) {
            return Err(file.found(Fault::Altered));
        }
        let Some(mut report) = self.report.take() else { return self.begin(file, header) };
        report.cut_bytes += header.cut_bytes;
        report.refused += header.refused;
        let (expected, found) = (report.head.sequence + 1, header.previous.sequence + 1);
        let fault = if header.chain != report.chain {
            Fault::OtherChain
        } else if header.previous == report.head {
            return Ok(report);
        } else if found > expected {
            Fault::Removed { first: expected, last: found - 1 }
        } else if found < expected {
            Fault::Moved { expected, found }
        } else {
            Fault::Forked
        };
        Err(file.found(fault))
    }

    /// Looks at the first line of the first file.
    fn begin<R: BufRead>(
        &mut self,
        file: &Opened<R>,
        header: &Header,
    ) -> Result<VerifyReport, VerifyError> {
        let first = header.previous.sequence + 1;
        if first > 1 && !self.is_partial {
            return Err(file.found(Fault::BeginsLate { first }));
        }
        let mut anchored_before = 0;
        self.advance_anchor()?;
        while let Some(point) = self.point
            && point.head.sequence < first
        {
            if point.chain != header.chain {
                return Err(file.found(Fault::OtherChain));
            }
            anchored_before += 1;
            self.advance_anchor()?;
        }
        Ok(VerifyReport {
            chain: header.chain,
            files: 0,
            records: 0,
            first,
            head: header.previous,
            is_closed: false,
            torn_bytes: 0,
            abandoned_bytes: 0,
            cut_bytes: header.cut_bytes,
            refused: header.refused,
            anchored: 0,
            anchored_before,
            anchor_unreadable: 0,
        })
    }

    /// Compares the line that was verified with the anchor.
    fn compare<R: BufRead>(
        &mut self,
        file: &Opened<R>,
        report: &mut VerifyReport,
    ) -> Result<(), VerifyError> {
        while let Some(AnchorPoint { chain, head }) = self.point
            && head.sequence == report.head.sequence
        {
            if chain != report.chain {
                return Err(file.found(Fault::OtherChain));
            }
            if head != report.head {
                return Err(file.found(Fault::AnchorDiffers));
            }
            report.anchored += 1;
            self.advance_anchor()?;
        }
        Ok(())
    }

    fn advance_anchor(&mut self) -> Result<(), VerifyError> {
        let Some(anchors) = &mut self.anchors else { return Ok(()) };
        self.point = anchors.next().map_err(|error| match error {
            Some(error) => VerifyError::AnchorIo(error),
            None => VerifyError::Anchor { line: anchors.line() },
        })?;
        Ok(())
    }

    /// What a line looks like that does not follow `head`.
    fn diagnose<R: BufRead>(&self, file: &mut Opened<R>, head: &Head) -> VerifyError {
        if file.step == Step::Unterminated {
            return file.found(Fault::CutShort);
        }
        let expected = head.sequence + 1;
        let altered = file.found(Fault::Altered);
        let found = match Sealed::parse(file.lines.text()) {
            // The number alone, or everything but the number.
            Some(line) if line.follows_renumbered(head, self.key) => return altered,
            Some(line) if line.sequence != expected => line.sequence,
            _ => return altered,
        };
        let moved = file.found(Fault::Moved { expected, found });
        if found < expected {
            return moved;
        }
        // Either it is further on, or it is missing.
        let removed = file.found(Fault::Removed { first: expected, last: found - 1 });
        loop {
            match file.read(Lines::advance) {
                Err(error) => return error,
                Ok(Step::End) => return removed,
                Ok(_) => {}
            }
            if Sealed::parse(file.lines.text()).is_some_and(|line| line.sequence == expected) {
                return moved;
            }
        }
    }
}
