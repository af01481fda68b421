//! The file of a redo log: two halves of blocks that are written over and over.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::entry::{BLOCK_BYTES, FoundEntry, FoundPiece};

/// What fits a half. At full load a second's worth of requests is several halves; a checkpoint takes a disk
/// some milliseconds, in which commits are slower, so there should be few.
pub(super) const HALF_BYTES: usize = 4 << 20;

const NAME: &str = ".redo-";

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    First,
    Second,
}

impl Half {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    const fn offset(self) -> u64 {
        match self {
            Self::First => 0,
            Self::Second => HALF_BYTES as u64,
        }
    }
}

/// A file that is written.
pub(super) struct RedoFile {
    path: PathBuf,
    file: File,
}

impl RedoFile {
    /// Makes a file of zeros, durably: to write over them changes nothing but the blocks themselves.
    pub(super) fn create(directory: &Path, number: u64) -> io::Result<Self> {
        let path = directory.join(format!("{NAME}{number}"));
        let new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        new.write_all_at(&vec![0; 2 * HALF_BYTES], 0)?;
        new.sync_all()?;
        File::open(directory)?.sync_all()?;
        let file = open_direct(&path)?;
        Ok(Self { path, file })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes an entry behind `len` bytes of a half, and returns when it is on disk.
    pub(super) fn write(&self, half: Half, len: usize, entry: &[u8]) -> io::Result<()> {
        self.file.write_all_at(entry, half.offset() + len as u64)
    }

    /// What reads the same file.
    pub(super) fn reader(&self) -> io::Result<File> {
        File::open(&self.path)
    }
}

/// Opens for writes that are durable when they return, and go past the page cache, which would only
/// copy them, where the file system lets them: some say only when they are asked to write.
fn open_direct(path: &Path) -> io::Result<File> {
    let open = |flags: OFlags| {
        OpenOptions::new().write(true).custom_flags(flags.bits().cast_signed()).open(path)
    };
    let direct = open(OFlags::DSYNC | OFlags::DIRECT).and_then(|file| {
        let zeros = vec![0; 2 * BLOCK_BYTES];
        let begin = zeros.as_ptr().align_offset(BLOCK_BYTES);
        file.write_all_at(&zeros[begin..begin + BLOCK_BYTES], 0).map(|()| file)
    });
    direct.or_else(|_| open(OFlags::DSYNC))
}

/// The files in a directory, the oldest first.
pub(super) fn find(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let number = entry.file_name();
        let number = number.to_str().and_then(|name| name.strip_prefix(NAME)?.parse().ok());
        files.extend(number.map(|number: u64| (number, entry.path())));
    }
    files.sort_unstable();
    Ok(files)
}

/// The pieces of a file, in the order in which they were written.
pub(super) fn read(path: &Path) -> io::Result<Vec<FoundPiece>> {
    let bytes = fs::read(path)?;
    let (first, second) = bytes.split_at(HALF_BYTES.min(bytes.len()));
    let mut halves = [entries(first), entries(second)];
    halves.sort_by_key(|entries| entries.first().map(|entry| entry.sequence));
    Ok(halves.into_iter().flatten().flat_map(|entry| entry.pieces).collect())
}

/// The pieces of one half.
pub(super) fn read_half(file: &File, half: Half) -> io::Result<Vec<FoundPiece>> {
    let mut bytes = vec![0; HALF_BYTES];
    file.read_exact_at(&mut bytes, half.offset())?;
    Ok(entries(&bytes).into_iter().flat_map(|entry| entry.pieces).collect())
}

/// The entries of a half: as many as follow each other. Behind them are those of an earlier round.
fn entries(half: &[u8]) -> Vec<FoundEntry> {
    let mut entries: Vec<FoundEntry> = Vec::new();
    let mut at = 0;
    while let Some(entry) = half.get(at..).and_then(FoundEntry::parse) {
        if entries.last().is_some_and(|last| last.sequence + 1 != entry.sequence) {
            break;
        }
        at += entry.len;
        entries.push(entry);
    }
    entries
}
