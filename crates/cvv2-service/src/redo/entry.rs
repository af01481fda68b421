//! An entry of the redo log: the pieces of one commit, under one checksum.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::{Piece, Stream};
use crate::checksum::checksum;

/// Entries begin, and are written, at multiples of this: what disks write at once.
pub(super) const BLOCK_BYTES: usize = 4096;

const MAGIC: &[u8; 8] = b"cvv2redo";

/// Magic, number of the entry, length of its pieces, checksum of all that follows the magic.
const HEADER_BYTES: usize = 8 + 8 + 8 + SUM_BYTES;
const SUM_BYTES: usize = 16;
const SUM_AT: usize = HEADER_BYTES - SUM_BYTES;

/// Stream, number of the file, offset, length.
const PIECE_HEADER_BYTES: usize = 1 + 8 + 8 + 8;

/// An entry that is being put together, in memory that is used again for the next one.
///
/// Its bytes begin at a multiple of [`BLOCK_BYTES`], as writes past the page cache have to.
#[derive(Default)]
pub(super) struct Entry {
    buffer: Vec<u8>,
    begin: usize,
}

impl Entry {
    pub(super) fn begin(&mut self, sequence: u64) {
        self.buffer.clear();
        self.buffer.reserve(16 * BLOCK_BYTES);
        self.begin = self.buffer.as_ptr().align_offset(BLOCK_BYTES);
        self.buffer.resize(self.begin, 0);
        self.buffer.extend_from_slice(MAGIC);
        self.buffer.extend_from_slice(&sequence.to_le_bytes());
        self.buffer.extend_from_slice(&[0; 8 + SUM_BYTES]);
    }

    pub(super) fn push(&mut self, piece: &Piece<'_>) {
        self.buffer.push(piece.stream as u8);
        self.buffer.extend_from_slice(&piece.number.to_le_bytes());
        self.buffer.extend_from_slice(&piece.offset.to_le_bytes());
        self.buffer.extend_from_slice(&(piece.bytes.len() as u64).to_le_bytes());
        self.buffer.extend_from_slice(piece.bytes);
    }

    /// The entry, filled up to whole blocks.
    pub(super) fn seal(&mut self) -> &[u8] {
        let entry = &mut self.buffer[self.begin..];
        let len = (entry.len() - HEADER_BYTES) as u64;
        entry[16..24].copy_from_slice(&len.to_le_bytes());
        let sum = sum(entry);
        entry[SUM_AT..HEADER_BYTES].copy_from_slice(&sum);
        let blocks = entry.len().next_multiple_of(BLOCK_BYTES);
        self.buffer.resize(self.begin + blocks, 0);
        self.realign();
        &self.buffer[self.begin..]
    }

    /// Growing has moved the buffer, perhaps.
    fn realign(&mut self) {
        let len = self.buffer.len() - self.begin;
        let aligned = |buffer: &[u8]| buffer.as_ptr().align_offset(BLOCK_BYTES);
        if aligned(&self.buffer[self.begin..]) != 0 {
            self.buffer.reserve(BLOCK_BYTES);
            let begin = aligned(&self.buffer);
            self.buffer.resize(self.buffer.len().max(begin + len), 0);
            self.buffer.copy_within(self.begin..self.begin + len, begin);
            self.begin = begin;
            self.buffer.truncate(begin + len);
        }
    }
}

/// An entry that was read.
pub(super) struct FoundEntry {
    pub(super) sequence: u64,
    pub(super) pieces: Vec<FoundPiece>,
    /// Its bytes, up to whole blocks.
    pub(super) len: usize,
}

/// A piece of it.
pub(super) struct FoundPiece {
    pub(super) stream: Stream,
    pub(super) number: u64,
    offset: u64,
    bytes: Vec<u8>,
}

impl FoundEntry {
    /// The entry with which these bytes begin, if they do.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<HEADER_BYTES>()?;
        let len = usize::try_from(u64_at(header, 16)?).ok()?.checked_add(HEADER_BYTES)?;
        let entry = bytes.get(..len)?;
        if !entry.starts_with(MAGIC) || sum(entry) != header[SUM_AT..] {
            return None;
        }
        let mut rest = &entry[HEADER_BYTES..];
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let (piece, behind) = FoundPiece::parse(rest)?;
            pieces.push(piece);
            rest = behind;
        }
        let len = len.next_multiple_of(BLOCK_BYTES);
        Some(Self { sequence: u64_at(header, 8)?, pieces, len })
    }
}

impl FoundPiece {
    fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (header, rest) = bytes.split_at_checked(PIECE_HEADER_BYTES)?;
        let stream = [Stream::Audit, Stream::Limits];
        let stream = stream.into_iter().find(|stream| *stream as u8 == header[0])?;
        let (number, offset) = (u64_at(header, 1)?, u64_at(header, 9)?);
        let (bytes, rest) = rest.split_at_checked(usize::try_from(u64_at(header, 17)?).ok()?)?;
        Some((Self { stream, number, offset, bytes: bytes.to_vec() }, rest))
    }

    /// Whether its file shows it.
    pub(super) fn is_in(&self, file: &File) -> io::Result<bool> {
        let mut shown = vec![0; self.bytes.len()];
        match file.read_exact_at(&mut shown, self.offset) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            read => read.map(|()| shown == self.bytes),
        }
    }

    /// Writes it to its file. It is not on disk then.
    ///
    /// One that would leave a gap is left out: no crash takes what is before a piece and is not in the
    /// redo log, so somebody has cut the file, and zeros would hide that.
    pub(super) fn apply(&self, file: &File) -> io::Result<()> {
        if self.offset > file.metadata()?.len() {
            return Ok(());
        }
        file.write_all_at(&self.bytes, self.offset)
    }
}

/// The checksum of what follows the magic, but for the checksum itself.
fn sum(entry: &[u8]) -> [u8; SUM_BYTES] {
    checksum(&[&entry[MAGIC.len()..SUM_AT], &entry[HEADER_BYTES..]])
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}
