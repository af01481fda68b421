//! One file of the journal: a header, and batches of records.
//!
//! A batch is what was made durable together, by an `fdatasync` or by a redo log, under one checksum.
//! The next one is written after that, so at most the last batch of a file can be torn; one with
//! another behind it was acknowledged, and if it is not as it was written, that is damage.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use super::directory::Directory;
use crate::checksum::checksum;
use crate::limits::error::LimitError;
use crate::redo::{Piece, Stream};

const MAGIC: &[u8; 8] = b"cvv2lims";
const FORMAT: u32 = 1;

/// Bytes of the header: magic, format, number of the file, length of the file before it, checksum.
const HEADER_LEN: usize = 36;
/// Bytes before a batch: its length, its number in the file, checksum.
const FRAME_LEN: usize = 20;
const SUM_LEN: usize = 8;

/// A file that batches are appended to.
pub(super) struct JournalFile {
    file: Arc<File>,
    number: u64,
    len: u64,
    batches: u64,
    /// Reused from batch to batch.
    framed: Vec<u8>,
}

impl JournalFile {
    /// Makes the file durably. It goes on where the file before it had `previous_len` bytes.
    pub(super) fn create(
        directory: &Directory,
        number: u64,
        previous_len: u64,
    ) -> io::Result<Self> {
        let file = Arc::new(directory.create(number)?);
        let mut header = Vec::with_capacity(HEADER_LEN);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&FORMAT.to_le_bytes());
        header.extend_from_slice(&number.to_le_bytes());
        header.extend_from_slice(&previous_len.to_le_bytes());
        header.extend_from_slice(&checksum::<SUM_LEN>(&[&header]));
        file.as_ref().write_all(&header)?;
        file.sync_all()?;
        directory.sync()?;
        Ok(Self { file, number, len: HEADER_LEN as u64, batches: 0, framed: Vec::new() })
    }

    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// How many bytes of it are durable.
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// Appends a batch, and returns when it is on the disk. After an error nobody knows what is
    /// behind [`len`](Self::len), and nothing may be appended any more.
    pub(super) fn append(&mut self, batch: &[u8]) -> io::Result<()> {
        self.write(batch)?;
        self.file.sync_data()?;
        self.end_batch();
        Ok(())
    }

    /// Appends a batch, which is on the disk when somebody has brought [its piece](Self::piece) there.
    /// Then it has to be [ended](Self::end_batch); else it is as after an error.
    pub(super) fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        let len = u32::try_from(batch.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let len = len.to_le_bytes();
        let ordinal = self.batches.to_le_bytes();
        self.framed.clear();
        self.framed.extend_from_slice(&len);
        self.framed.extend_from_slice(&ordinal);
        self.framed.extend_from_slice(&batch_sum(self.number, len, ordinal, batch));
        self.framed.extend_from_slice(batch);
        self.file.as_ref().write_all(&self.framed)
    }

    /// The batch that was written, for a redo log.
    pub(super) fn piece(&self) -> Piece<'_> {
        let Self { number, len: offset, file, framed: bytes, .. } = self;
        Piece { stream: Stream::Limits, number: *number, offset: *offset, bytes, file }
    }

    /// The batch that was written is on the disk.
    pub(super) fn end_batch(&mut self) {
        self.len += self.framed.len() as u64;
        self.batches += 1;
    }
}

/// A file as it was found.
pub(super) struct Found {
    file: File,
    /// How long the payloads of its batches are.
    batches: Vec<u32>,
    pub(super) number: u64,
    /// How long the file before it was when this one began.
    pub(super) previous_len: u64,
    /// Its bytes up to the end of its last batch.
    pub(super) len: u64,
}

impl Found {
    /// Reads the file with this number, up to `len` where it is known how far it was acknowledged.
    ///
    /// `None` if it is the beginning of a file, of which nothing was acknowledged.
    pub(super) fn read(
        directory: &Directory,
        number: u64,
        len: Option<u64>,
    ) -> Result<Option<Self>, LimitError> {
        let path = directory.journal(number);
        let damaged = |offset: u64| LimitError::Damaged { path: path.clone(), offset };
        let file = File::open(&path)?;
        let end = file.metadata()?.len();
        if len.is_some_and(|len| end < len) {
            return Err(damaged(end));
        }
        let end = len.unwrap_or(end);
        if end < HEADER_LEN as u64 {
            return if len.is_none() { Ok(None) } else { Err(damaged(0)) };
        }
        let mut reader = from_its_beginning(&file)?;
        let mut header = [0; HEADER_LEN];
        reader.read_exact(&mut header)?;
        let (head, header_sum) = header.split_at(HEADER_LEN - SUM_LEN);
        if checksum::<SUM_LEN>(&[head]) != header_sum {
            // A file has batches when its header is durable.
            let is_begun = len.is_none() && end == HEADER_LEN as u64;
            return if is_begun { Ok(None) } else { Err(damaged(0)) };
        }
        let format = u32_at(head, 8);
        if head.get(..8) != Some(MAGIC) || u64_at(head, 12) != number {
            return Err(damaged(0));
        }
        if format != FORMAT {
            return Err(LimitError::Version { path, found: format });
        }
        let previous_len = u64_at(head, 20);
        let (mut at, mut batches, mut payload) = (HEADER_LEN as u64, Vec::new(), Vec::new());
        loop {
            let (left, ordinal) = (end - at, batches.len() as u64);
            let read = read_batch(&mut reader, left, number, ordinal, &mut payload)?;
            let Some(len) = read else { break };
            at += FRAME_LEN as u64 + u64::from(len);
            batches.push(len);
        }
        if at < end {
            let is_damaged = len.is_some() || {
                let mut rest = vec![0; usize::try_from(end - at).map_err(|_| damaged(at))?];
                (&file).seek(SeekFrom::Start(at))?;
                (&file).read_exact(&mut rest)?;
                has_batch_behind(&rest, number, batches.len())
            };
            if is_damaged {
                return Err(damaged(at));
            }
        }
        Ok(Some(Self { file, batches, number, previous_len, len: at }))
    }

    /// Shows the payloads of all batches, one after the other. The file is read anew, because it may be
    /// larger than what it says.
    pub(super) fn for_each_batch(
        &self,
        mut show: impl FnMut(&[u8]) -> Result<(), LimitError>,
    ) -> Result<(), LimitError> {
        let mut reader = from_its_beginning(&self.file)?;
        reader.read_exact(&mut [0; HEADER_LEN])?;
        let mut payload = Vec::new();
        for len in &self.batches {
            reader.read_exact(&mut [0; FRAME_LEN])?;
            payload.resize(*len as usize, 0);
            reader.read_exact(&mut payload)?;
            show(&payload)?;
        }
        Ok(())
    }
}

/// What is read of a file at once.
const READ_BYTES: usize = 1 << 20;

fn from_its_beginning(mut file: &File) -> io::Result<BufReader<&File>> {
    file.rewind()?;
    Ok(BufReader::with_capacity(READ_BYTES, file))
}

/// Reads the batch with this number, if it is what comes next in the bytes that are left. Returns how long
/// its payload is.
fn read_batch(
    reader: &mut impl Read,
    left: u64,
    file: u64,
    ordinal: u64,
    payload: &mut Vec<u8>,
) -> io::Result<Option<u32>> {
    let Some(left) = left.checked_sub(FRAME_LEN as u64) else { return Ok(None) };
    let mut frame = [0; FRAME_LEN];
    reader.read_exact(&mut frame)?;
    let len = u32_at(&frame, 0);
    if u64::from(len) > left {
        return Ok(None);
    }
    payload.resize(len as usize, 0);
    reader.read_exact(payload)?;
    Ok(is_batch(&frame, file, ordinal, payload).then_some(len))
}

/// Whether a frame and a payload are the batch with this number.
fn is_batch(frame: &[u8; FRAME_LEN], file: u64, ordinal: u64, payload: &[u8]) -> bool {
    let len = u32_at(frame, 0).to_le_bytes();
    u64_at(frame, 4) == ordinal
        && frame[FRAME_LEN - SUM_LEN..] == batch_sum(file, len, ordinal.to_le_bytes(), payload)
}

/// Whether a later batch is anywhere behind one that is not as it was written.
fn has_batch_behind(rest: &[u8], file: u64, ordinal: usize) -> bool {
    // Each batch is longer than its frame, so that many more can follow and no more.
    let most = rest.len() / FRAME_LEN;
    let later = ordinal as u64 + 1..=(ordinal + most) as u64;
    (1..rest.len().saturating_sub(FRAME_LEN)).any(|at| {
        let Some((frame, behind)) = rest[at..].split_first_chunk::<FRAME_LEN>() else {
            return false;
        };
        let ordinal = u64_at(frame, 4);
        let is_whole = |payload| is_batch(frame, file, ordinal, payload);
        later.contains(&ordinal) && behind.get(..u32_at(frame, 0) as usize).is_some_and(is_whole)
    })
}

fn batch_sum(file: u64, len: [u8; 4], ordinal: [u8; 8], payload: &[u8]) -> [u8; SUM_LEN] {
    checksum(&[&file.to_le_bytes(), &len, &ordinal, payload])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("whoever asks has checked the length"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("whoever asks has checked the length"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const BATCHES: [&[u8]; 4] = [b"one", b"", b"three, which is longer", b"4"];

    fn written() -> (tempfile::TempDir, Directory, Vec<u8>) {
        let home = tempfile::tempdir().unwrap();
        let directory = Directory::open(&home.path().join("limits")).unwrap();
        let mut file = JournalFile::create(&directory, 7, 99).unwrap();
        for batch in BATCHES {
            file.append(batch).unwrap();
        }
        let bytes = fs::read(directory.journal(7)).unwrap();
        assert_eq!(file.len(), bytes.len() as u64);
        (home, directory, bytes)
    }

    fn read(directory: &Directory, bytes: &[u8]) -> Result<Option<Vec<Vec<u8>>>, LimitError> {
        fs::write(directory.journal(7), bytes).unwrap();
        let Some(found) = Found::read(directory, 7, None)? else { return Ok(None) };
        let mut batches = Vec::new();
        found.for_each_batch(|batch| {
            batches.push(batch.to_vec());
            Ok(())
        })?;
        Ok(Some(batches))
    }

    #[test]
    fn wherever_a_file_ends_its_whole_batches_are_read() {
        let (_home, directory, bytes) = written();
        let mut ends = vec![HEADER_LEN];
        ends.extend(BATCHES.iter().scan(HEADER_LEN, |end, batch| {
            *end += FRAME_LEN + batch.len();
            Some(*end)
        }));
        for len in 0..=bytes.len() {
            let found = read(&directory, &bytes[..len]).unwrap();
            if len < HEADER_LEN {
                assert!(found.is_none());
                continue;
            }
            let whole = ends.iter().filter(|end| **end <= len).count() - 1;
            assert_eq!(found.unwrap(), BATCHES[..whole].to_vec());
            // Where it is known how far the file was acknowledged it has to end with a batch.
            let known = Found::read(&directory, 7, Some(len as u64));
            assert_eq!(known.is_ok(), ends.contains(&len));
            assert!(Found::read(&directory, 7, Some(len as u64 + 1)).is_err());
        }
    }

    #[test]
    fn a_changed_bit_is_a_torn_end_in_the_last_batch_only() {
        let (_home, directory, bytes) = written();
        let last = bytes.len() - FRAME_LEN - 1;
        for bit in (0..bytes.len() * 8).step_by(3) {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            match read(&directory, &changed) {
                Ok(found) => {
                    assert!(bit / 8 >= last, "bit {bit}");
                    assert_eq!(found.unwrap(), BATCHES[..3].to_vec());
                }
                Err(error) => {
                    assert!(bit / 8 < last, "bit {bit}: {error}");
                    assert!(matches!(error, LimitError::Damaged { .. }), "bit {bit}: {error}");
                }
            }
        }
    }

    #[test]
    fn a_file_of_another_number_or_format_is_refused() {
        let (_home, directory, mut bytes) = written();
        fs::write(directory.journal(8), &bytes).unwrap();
        assert!(matches!(Found::read(&directory, 8, None), Err(LimitError::Damaged { .. })));
        bytes[8] = 2;
        let sum: [u8; SUM_LEN] = checksum(&[&bytes[..HEADER_LEN - SUM_LEN]]);
        bytes[HEADER_LEN - SUM_LEN..HEADER_LEN].copy_from_slice(&sum);
        assert!(matches!(read(&directory, &bytes), Err(LimitError::Version { found: 2, .. })));
    }
}
