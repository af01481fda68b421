//! The one thread that writes the log.
//!
//! It takes what is in the queue as a group, chains it, writes it, syncs it, and only then tells the
//! callers. While it waits for the disk the next group gathers, so the more callers there are the
//! larger the groups get; whether anybody waits for company is the [pace](super::pace)'s affair. With a
//! redo log, that is what is written durably, and a file is synced when it ends, or is part of a
//! checkpoint.
//!
//! # When the disk fails
//!
//! The group's callers get an error, and so does everybody until the log can be written again. What
//! the failed write has left in the file is cut off if that is possible; in any case the file is not
//! written any more, because after a failed sync nobody knows what of it is on disk. The chain goes on
//! in a new file from the last line that was acknowledged, and that file's first line says where in
//! the file before it that is: what may be left behind it belongs to no chain.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use time::{OffsetDateTime, UtcOffset};

use super::chain::{ChainId, ChainKey, Head};
use super::error::{AppendError, WriteFault};
use super::file_name::FileName;
use super::folder::Folder;
use super::group::Group;
use super::header::{Cause, Header, file_end};
use super::recovery::End;
use super::sealed::seal;
use super::shared::Shared;
use crate::clock::Clock;
use crate::redo::{Piece, RedoLog, Stream};

pub(crate) struct Writer {
    shape: Shape,
    shared: Arc<Shared>,
    current: Current,
    /// The last line that is on disk.
    head: Head,
    failure: Option<Failure>,
    /// Records that were refused since the log could last be written.
    refused: u64,
    group_records_max: usize,
    group: Group,
    text: Vec<u8>,
}

/// What all files of the log have in common.
pub(crate) struct Shape {
    pub(crate) folder: Arc<Folder>,
    pub(crate) key: ChainKey,
    pub(crate) chain: ChainId,
    pub(crate) clock: Box<dyn Clock>,
    pub(crate) file_bytes_max: u64,
    pub(crate) daily: bool,
    pub(crate) retry_interval: Duration,
    pub(crate) redo: Option<RedoLog>,
}

/// The file that is written.
pub(crate) struct Current {
    file: Arc<File>,
    name: FileName,
    /// Bytes that were acknowledged.
    bytes: u64,
    /// Whether its name is on disk.
    is_named: bool,
}

struct Failure {
    fault: Arc<WriteFault>,
    retry_at: Instant,
}

impl Shape {
    /// Begins the first file that is written after the log was opened.
    pub(crate) fn begin(&self, end: Option<&End>) -> Result<(Current, Head), WriteFault> {
        let header = Header {
            chain: self.chain,
            number: 0,
            cause: if end.is_some() { Cause::Start } else { Cause::New },
            previous: end.map_or(Head::NONE, |end| end.head),
            previous_bytes: end.map_or(0, |end| end.bytes),
            cut_bytes: end.map_or(0, |end| end.cut_bytes),
            refused: 0,
        };
        let (mut current, head) = self.next_file(header, end.map(|end| end.name))?;
        self.folder.sync()?;
        current.is_named = true;
        Ok((current, head))
    }

    fn next_file(
        &self,
        header: Header,
        last: Option<FileName>,
    ) -> Result<(Current, Head), WriteFault> {
        let now = self.clock.now();
        let day = now.to_offset(UtcOffset::UTC).date();
        let name = match last {
            None => FileName { day, number: 1 },
            // A clock that was set back must not bring names out of their order.
            Some(last) => FileName { day: day.max(last.day), number: last.number + 1 },
        };
        if name.number > FileName::NUMBER_MAX {
            let full = io::Error::other("the log has no more file names; begin one elsewhere");
            return Err(WriteFault::new(self.folder.path_of(name), full));
        }
        let header = Header { number: name.number, ..header };
        let mut head = header.previous;
        let mut line = Vec::new();
        seal(&mut line, &header.members(now, &self.key), &mut head, &self.key);
        let file = Arc::new(self.folder.create(name, &line)?);
        Ok((Current { file, name, bytes: line.len() as u64, is_named: false }, head))
    }
}

impl Writer {
    pub(crate) fn new(
        shape: Shape,
        shared: Arc<Shared>,
        current: Current,
        group_records_max: usize,
    ) -> Self {
        let head = shared.head();
        Self {
            shape,
            shared,
            current,
            head,
            failure: None,
            refused: 0,
            group_records_max,
            group: Group::default(),
            text: Vec::new(),
        }
    }

    /// Writes until the queue is closed and empty.
    pub(crate) fn run(mut self) -> Result<Head, AppendError> {
        // However this ends, nobody must wait for it any more.
        let shared = self.shared.clone();
        let _gone = Gone(&shared);
        loop {
            let mut group = std::mem::take(&mut self.group);
            let patience = self.failure.as_ref().map(Failure::until_retry);
            let is_last = shared.queue.take(&mut group, self.group_records_max, patience);
            let begun = processor_time();
            let written = self.write_group(&group);
            if written.is_err() {
                self.refused += group.len() as u64;
            }
            group.complete(&written);
            self.group = group;
            shared.queue.pace().end(processor_time().saturating_sub(begun));
            if is_last {
                return self.end_file("stop").map(|()| self.head).map_err(AppendError::Failed);
            }
        }
    }

    fn write_group(&mut self, group: &Group) -> Result<(), AppendError> {
        let write = |writer: &mut Self| {
            writer.make_ready()?;
            if group.is_empty() {
                return Ok(());
            }
            writer.rotate_if_due()?;
            writer.write(group.members())?;
            writer.shared.set_head(writer.head, false);
            Ok(())
        };
        write(self).map_err(AppendError::Failed)
    }

    /// Tries the log again, if it has failed and the time has come.
    fn make_ready(&mut self) -> Result<(), Arc<WriteFault>> {
        let Some(failure) = &self.failure else { return Ok(()) };
        if !failure.until_retry().is_zero() {
            return Err(failure.fault.clone());
        }
        if let Some(redo) = &self.shape.redo {
            // Another file would be of no use.
            redo.check().map_err(|error| self.fail(WriteFault::new(self.path(), error)))?;
        }
        if self.current.is_named {
            self.go_over(Cause::Failure)
        } else {
            // The file itself is in order, and nothing else was written to it.
            self.name_file()
        }
    }

    fn rotate_if_due(&mut self) -> Result<(), Arc<WriteFault>> {
        let day = self.shape.clock.now().to_offset(UtcOffset::UTC).date();
        let cause = if self.shape.daily && day > self.current.name.day {
            Cause::Day
        } else if self.current.bytes >= self.shape.file_bytes_max {
            Cause::Size
        } else {
            return Ok(());
        };
        self.end_file(cause.name())?;
        self.go_over(cause)
    }

    /// Writes the last line of the file.
    fn end_file(&mut self, cause: &'static str) -> Result<(), Arc<WriteFault>> {
        self.make_ready()?;
        let members = file_end(self.now(), cause);
        self.write([members.as_str()].into_iter())?;
        if self.shape.redo.is_some() {
            // Whoever takes a file away that is at its end has all of it.
            let synced = self.current.file.sync_data();
            synced.map_err(|error| self.fail(WriteFault::new(self.path(), error)))?;
        }
        self.shared.set_head(self.head, false);
        Ok(())
    }

    /// Begins the next file, behind the last line that is on disk.
    fn go_over(&mut self, cause: Cause) -> Result<(), Arc<WriteFault>> {
        let Current { file, name, bytes, .. } = &self.current;
        let cut_bytes = match cause {
            Cause::Failure => cut(file, *bytes).unwrap_or(0),
            _ => 0,
        };
        let header = Header {
            chain: self.shape.chain,
            number: 0,
            cause,
            previous: self.head,
            previous_bytes: *bytes,
            cut_bytes,
            refused: self.refused,
        };
        match self.shape.next_file(header, Some(*name)) {
            Ok((current, head)) => {
                self.current = current;
                self.head = head;
                self.name_file()
            }
            Err(fault) => Err(self.fail(fault)),
        }
    }

    fn name_file(&mut self) -> Result<(), Arc<WriteFault>> {
        match self.shape.folder.sync() {
            Ok(()) => {
                self.current.is_named = true;
                self.failure = None;
                self.refused = 0;
                self.shared.set_head(self.head, true);
                Ok(())
            }
            Err(fault) => Err(self.fail(fault)),
        }
    }

    /// Writes lines with these members behind the last one, and has them on disk.
    fn write<'m>(&mut self, members: impl Iterator<Item = &'m str>) -> Result<(), Arc<WriteFault>> {
        self.text.clear();
        let mut head = self.head;
        for members in members {
            seal(&mut self.text, members, &mut head, &self.shape.key);
        }
        match self.write_text() {
            Ok(()) => {
                self.head = head;
                self.current.bytes += self.text.len() as u64;
                Ok(())
            }
            Err(error) => Err(self.fail(WriteFault::new(self.path(), error))),
        }
    }

    fn write_text(&self) -> io::Result<()> {
        let Current { file, name, bytes, .. } = &self.current;
        file.as_ref().write_all(&self.text)?;
        match &self.shape.redo {
            None => file.sync_data(),
            Some(redo) => redo.commit(&[Piece {
                stream: Stream::Audit,
                number: name.number.into(),
                offset: *bytes,
                bytes: &self.text,
                file,
            }]),
        }
    }

    fn fail(&mut self, fault: WriteFault) -> Arc<WriteFault> {
        if let Some(redo) = &self.shape.redo {
            redo.doubt();
        }
        let fault = Arc::new(fault);
        let retry_at = Instant::now() + self.shape.retry_interval;
        self.failure = Some(Failure { fault: fault.clone(), retry_at });
        self.shared.set_failure(fault.clone());
        fault
    }

    fn now(&self) -> OffsetDateTime {
        self.shape.clock.now()
    }

    fn path(&self) -> PathBuf {
        self.shape.folder.path_of(self.current.name)
    }
}

impl Failure {
    fn until_retry(&self) -> Duration {
        self.retry_at.saturating_duration_since(Instant::now())
    }
}

/// What this thread has used of a processor.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Cuts off what is behind the acknowledged bytes; how much that was.
fn cut(file: &File, bytes: u64) -> io::Result<u64> {
    let len = file.metadata()?.len();
    file.set_len(bytes)?;
    file.sync_all()?;
    Ok(len.saturating_sub(bytes))
}

/// Refuses what nobody will write any more.
struct Gone<'a>(&'a Shared);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.0.queue.abandon();
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};

    use cvv2::secret::{Protection, Secret};
    use time::macros::datetime;

    use super::super::queue::{Pending, Queue};
    use super::*;
    use crate::service_key::ServiceKey;

    /// A writer whose first file has become `/dev/full`, and what it shares.
    fn writer_on_a_full_device(
        directory: &std::path::Path,
        retry_interval: Duration,
    ) -> (Writer, Arc<Shared>) {
        let key = ServiceKey::new(Secret::new([7; 32], Protection::Wiped).unwrap());
        let shape = Shape {
            folder: Arc::new(Folder::open(directory).unwrap()),
            key: ChainKey::new(&key).unwrap(),
            chain: ChainId::random().unwrap(),
            clock: Box::new(|| datetime!(2026-01-02 03:04 UTC)),
            file_bytes_max: 1 << 20,
            daily: true,
            retry_interval,
            redo: None,
        };
        let (mut current, head) = shape.begin(None).unwrap();
        current.file = Arc::new(OpenOptions::new().write(true).open("/dev/full").unwrap());
        let shared = Arc::new(Shared::new(Queue::new(1000), u64::MAX, head));
        (Writer::new(shape, shared.clone(), current, 8), shared)
    }

    fn push(shared: &Shared, count: usize) -> Vec<Pending> {
        (0..count).map(|_| shared.queue.push(",\"event\":\"test\"")).collect()
    }

    #[test]
    fn nothing_is_acknowledged_on_a_full_device() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("audit");
        let (writer, shared) = writer_on_a_full_device(&directory, Duration::from_mins(1));
        let head = shared.head();
        let writer = std::thread::spawn(|| writer.run());
        for pending in push(&shared, 100) {
            let Err(AppendError::Failed(fault)) = pending.wait() else { panic!("acknowledged") };
            assert_eq!(fault.error.kind(), io::ErrorKind::StorageFull);
        }
        assert!(shared.status().failure.is_some());
        shared.queue.close();
        assert!(writer.join().unwrap().is_err());
        assert_eq!(shared.head(), head);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 2, "one file, and the lock");
    }

    #[test]
    fn the_chain_goes_on_in_another_file_when_it_can() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("audit");
        let (writer, shared) = writer_on_a_full_device(&directory, Duration::from_millis(20));
        let writer = std::thread::spawn(|| writer.run());
        for pending in push(&shared, 3) {
            assert!(pending.wait().is_err());
        }
        while shared.status().failure.is_some() {
            std::thread::sleep(Duration::from_millis(1));
        }
        for pending in push(&shared, 3) {
            pending.wait().unwrap();
        }
        shared.queue.close();
        // The first lines of two files, three records, the last line of the second file.
        assert_eq!(writer.join().unwrap().unwrap().sequence, 6);
        let second = fs::read_to_string(directory.join("audit-20260102-00000002.jsonl")).unwrap();
        assert!(second.contains("\"cause\":\"failure\"") && second.contains("\"refused\":3"));
    }
}
