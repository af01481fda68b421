//! Claims on disk, in parts.
//!
//! Claims come in the order of the file and are wanted in the order of their keys. They are more
//! than memory may hold, so they are dealt out to parts, by the first byte of the key; each part is
//! small enough to be read and sorted at once. All parts share one file: a part collects in memory
//! and is written as a chunk whenever there is enough of it.
//!
//! The file is not synchronised: a kill leaves what was written in the system's cache, and after a
//! power loss nobody reads it. Each chunk has a check sum, for the disk that fails without saying
//! so.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::thread;

use crate::import::Claim;

/// A file of claims in parts.
pub(in super::super) struct Spool {
    file: File,
    len: u64,
    /// For each part, what is not written yet, behind room for the head of its chunk.
    pending: Vec<Vec<u8>>,
    /// For each part, where in the file its chunks are.
    chunks: Vec<Vec<Chunk>>,
}

struct Chunk {
    offset: u64,
    len: u32,
    sum: u64,
}

/// The largest part that is read at once, in bytes. With even keys it stands for half a billion
/// cards.
const PART_BYTES_MAX: u64 = 512 << 20;

/// What is written at once, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// The head of a chunk: part, length, check sum.
const HEAD_LEN: usize = 4 + 4 + 8;

impl Spool {
    /// Opens the file as it was when it had this length; whatever came later is taken off.
    ///
    /// # Errors
    ///
    /// Any error of the file, and [`io::ErrorKind::InvalidData`] where it is not what was written.
    pub(super) fn open(path: &Path, parts: usize, len: u64) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path)?;
        if file.metadata()?.len() < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.set_len(len)?;
        let mut spool = Self {
            file,
            len: 0,
            pending: (0..parts).map(|_| vec![0; HEAD_LEN]).collect(),
            chunks: (0..parts).map(|_| Vec::new()).collect(),
        };
        while spool.len < len {
            let mut head = [0; HEAD_LEN];
            spool.file.read_exact_at(&mut head, spool.len)?;
            let [part, chunk_len] =
                [&head[..4], &head[4..8]].map(|n| u32::from_le_bytes(n.try_into().expect("four")));
            let sum = u64::from_le_bytes(head[8..].try_into().expect("eight"));
            let chunk = Chunk { offset: spool.len + HEAD_LEN as u64, len: chunk_len, sum };
            spool.len = chunk.offset + u64::from(chunk_len);
            let chunks = spool.chunks.get_mut(part as usize).ok_or(io::ErrorKind::InvalidData)?;
            chunks.push(chunk);
        }
        if spool.len == len { Ok(spool) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    /// How many parts there are.
    pub(super) fn parts(&self) -> usize {
        self.chunks.len()
    }

    /// Adds claims to a part.
    pub(super) fn push(&mut self, part: usize, claims: &[u8]) -> io::Result<()> {
        let pending = &mut self.pending[part];
        pending.extend_from_slice(claims);
        if pending.len() >= CHUNK_BYTES { self.write(part) } else { Ok(()) }
    }

    /// Hands everything to the file, and says how long it is then.
    pub(in super::super) fn flush(&mut self) -> io::Result<u64> {
        for part in 0..self.parts() {
            self.write(part)?;
        }
        Ok(self.len)
    }

    /// Reads a part, of which nothing is pending, behind what is in `into`.
    pub(super) fn read(&self, part: usize, into: &mut Vec<u8>) -> io::Result<()> {
        let total: u64 = self.chunks[part].iter().map(|chunk| u64::from(chunk.len)).sum();
        if total > PART_BYTES_MAX {
            return Err(io::Error::other(
                "the file has more cards than one import takes; split it",
            ));
        }
        for chunk in &self.chunks[part] {
            let start = into.len();
            into.resize(start + chunk.len as usize, 0);
            self.file.read_exact_at(&mut into[start..], chunk.offset)?;
            if sum(&into[start..]) != chunk.sum {
                return Err(io::Error::other("the disk did not keep what an import has written"));
            }
        }
        Ok(())
    }

    /// Closes a file that was taken away, on nobody's time: with the last one who has it open the system
    /// takes back all its pages and blocks, which takes as long as a tenth of the import.
    pub(super) fn close_aside(self) {
        // Without a thread it is closed here and now.
        let _ = thread::Builder::new().name("close".to_owned()).spawn(move || drop(self));
    }

    fn write(&mut self, part: usize) -> io::Result<()> {
        let pending = &mut self.pending[part];
        let (head, claims) = pending.split_at_mut(HEAD_LEN);
        if claims.is_empty() {
            return Ok(());
        }
        let chunk = Chunk {
            offset: self.len + HEAD_LEN as u64,
            len: u32::try_from(claims.len()).expect("a chunk is a little over 64 KiB"),
            sum: sum(claims),
        };
        let number = u32::try_from(part).expect("a few hundred parts");
        head[..4].copy_from_slice(&number.to_le_bytes());
        head[4..8].copy_from_slice(&chunk.len.to_le_bytes());
        head[8..].copy_from_slice(&chunk.sum.to_le_bytes());
        self.file.write_all_at(pending, self.len)?;
        self.len += pending.len() as u64;
        pending.truncate(HEAD_LEN);
        self.chunks[part].push(chunk);
        Ok(())
    }
}

/// Finds accidents, not forgeries: those the seals find.
fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    words.iter().chain([&last]).fold(bytes.len() as u64, |sum, word| {
        (sum ^ u64::from_le_bytes(*word)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
    })
}

/// The claims of a part, in order.
pub(super) struct Sorted {
    bytes: Vec<u8>,
    /// The start of what is sorted by, and where the claim is: most comparisons look no further.
    order: Vec<(u64, u32)>,
}

/// What claims are sorted by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// By key, then by row.
    Key,
    /// By row.
    Row,
}

impl Sorted {
    pub(super) fn read(spool: &Spool, part: usize, by: By) -> io::Result<Self> {
        let mut bytes = Vec::new();
        spool.read(part, &mut bytes)?;
        let mut order = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let at = u32::try_from(bytes.len() - rest.len()).expect("parts are below 4 GiB");
            let (claim, behind) = Claim::split_first(rest).ok_or(io::ErrorKind::InvalidData)?;
            let start = match by {
                By::Key => u64::from_be_bytes(*claim.key.first_chunk().expect("20 bytes")),
                By::Row => claim.row,
            };
            order.push((start, at));
            rest = behind;
        }
        let mut sorted = Self { bytes, order: Vec::new() };
        order.sort_unstable_by(|one, other| {
            one.0.cmp(&other.0).then_with(|| {
                let [one, other] = [one.1, other.1].map(|at| sorted.claim(at));
                (one.key, one.row).cmp(&(other.key, other.row))
            })
        });
        sorted.order = order;
        Ok(sorted)
    }

    /// All claims, in order.
    pub(super) fn claims(&self) -> impl Iterator<Item = Claim<'_>> {
        self.order.iter().map(|&(_, at)| self.claim(at))
    }

    fn claim(&self, at: u32) -> Claim<'_> {
        Claim::split_first(&self.bytes[at as usize..]).expect("found when it was read").0
    }
}
