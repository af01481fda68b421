//! The journal: what was charged, on the disk.
//!
//! A journal that only grew would have to be shortened. It is written anew into the next file
//! instead, piece by piece, and between the pieces comes what is charged meanwhile. A piece says
//! "from here on this part of the state is so", so reading the old file and then the new one gives
//! the state wherever the new one ends; when all pieces are there the old one is taken away.
//! Nobody waits for more than one piece.

use std::io;
use std::path::Path;

use super::directory::Directory;
use super::journal_file::{Found, JournalFile};
use super::replay::Replay;
use super::state::State;
use crate::limits::error::LimitError;
use crate::limits::policy::LimitPolicy;
use crate::redo::{Found as FoundRedo, Piece, RedoLog, Stream};

pub(super) struct Journal {
    directory: Directory,
    file: JournalFile,
    /// Its length when it was written anew last.
    rewritten_len: u64,
    bytes_min: u64,
}

impl Journal {
    /// Reads what is in a directory, and in what redo logs have of it, and writes it anew.
    pub(super) fn open(
        path: &Path,
        policy: LimitPolicy,
        redo: Option<&RedoLog>,
    ) -> Result<(Self, State), LimitError> {
        let directory = Directory::open(path)?;
        if let Some(redo) = redo {
            apply_redo(&mut redo.found(), &directory)?;
        }
        let bytes_min = policy.journal_bytes_min.into();
        let (mut state, number, len) = load(&directory, policy)?;
        let write_piece = |piece, out: &mut Vec<u8>| state.write_piece(piece, out);
        let file = write_anew(&directory, number + 1, len, write_piece)?;
        directory.remove_before(file.number());
        let rewritten_len = file.len();
        Ok((Self { directory, file, rewritten_len, bytes_min }, state))
    }

    /// How many bytes of the present file are durable.
    pub(super) const fn len(&self) -> u64 {
        self.file.len()
    }

    /// Appends a batch, and returns when it is on the disk. After an error the journal has to be
    /// [written anew](Self::repair).
    pub(super) fn append(&mut self, batch: &[u8]) -> io::Result<()> {
        self.file.append(batch)
    }

    /// Appends a batch, and leaves it to a redo log to make [its piece](Self::piece) durable. Then it
    /// has to be [ended](Self::end_batch); else the journal has to be written anew.
    pub(super) fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        self.file.write(batch)
    }

    /// The batch that was written.
    pub(super) fn piece(&self) -> Piece<'_> {
        self.file.piece()
    }

    /// The batch that was written is durable.
    pub(super) fn end_batch(&mut self) {
        self.file.end_batch();
    }

    /// Whether it is time to write it anew.
    pub(super) fn has_grown(&self) -> bool {
        self.len() >= self.bytes_min.max(2 * self.rewritten_len)
    }

    /// Goes on in the next file.
    pub(super) fn begin_next(&mut self) -> io::Result<()> {
        self.file = JournalFile::create(&self.directory, self.file.number() + 1, self.len())?;
        Ok(())
    }

    /// All pieces are in this file: those before it are not needed any more.
    pub(super) fn end_next(&mut self) {
        self.directory.remove_before(self.file.number());
        self.rewritten_len = self.len();
    }

    /// Writes the next file with all pieces, after the present one has failed.
    pub(super) fn repair(
        &mut self,
        write_piece: impl FnMut(usize, &mut Vec<u8>),
    ) -> io::Result<()> {
        let next = self.file.number() + 1;
        self.file = write_anew(&self.directory, next, self.len(), write_piece)?;
        self.end_next();
        Ok(())
    }
}

/// Writes to the journals what redo logs have of them. Of those that are gone it is known elsewhere.
fn apply_redo(found: &mut FoundRedo, directory: &Directory) -> io::Result<()> {
    let mut files = Vec::new();
    for number in found.numbers(Stream::Limits) {
        files.extend(directory.open_journal(number)?.map(|file| (number, file)));
    }
    found.apply(Stream::Limits, &files)
}

/// Bytes of pieces that are written at once where nobody waits.
const BATCH_BYTES: usize = 1 << 20;

/// Makes a file of all pieces.
fn write_anew(
    directory: &Directory,
    number: u64,
    previous_len: u64,
    mut write_piece: impl FnMut(usize, &mut Vec<u8>),
) -> io::Result<JournalFile> {
    let mut file = JournalFile::create(directory, number, previous_len)?;
    let mut batch = Vec::new();
    for piece in 0..State::PIECES {
        write_piece(piece, &mut batch);
        if batch.len() >= BATCH_BYTES || piece + 1 == State::PIECES {
            file.append(&batch)?;
            batch.clear();
        }
    }
    Ok(file)
}

/// Reads the state, beginning with the last file that has all pieces. Returns the number of the
/// last file, too, and how much of it was acknowledged.
fn load(directory: &Directory, policy: LimitPolicy) -> Result<(State, u64, u64), LimitError> {
    let mut files: Vec<Found> = Vec::new();
    let mut numbers = directory.journals()?;
    while let Some(number) = numbers.pop() {
        let len = match files.last() {
            Some(next) if next.number != number + 1 => return Err(damaged(directory, next.number)),
            next => next.map(|next| next.previous_len),
        };
        if let Some(found) = Found::read(directory, number, len)? {
            files.push(found);
            if let Some(state) = replay(directory, &files, policy.clone())? {
                return Ok((state, files[0].number, files[0].len));
            }
        }
        // The first file of all was never acknowledged without all pieces.
        if numbers.is_empty() && number != 1 {
            return Err(damaged(directory, number));
        }
    }
    Ok((State::new(policy), 0, 0))
}

/// The state after files, the last one first in the list, if the one that is applied first has all
/// pieces.
fn replay(
    directory: &Directory,
    files: &[Found],
    policy: LimitPolicy,
) -> Result<Option<State>, LimitError> {
    let mut replay = Replay::new(policy);
    let mut is_complete = false;
    for (index, file) in files.iter().enumerate().rev() {
        file.for_each_batch(|batch| {
            let has_ended = replay.batch(batch).map_err(|_| damaged(directory, file.number))?;
            is_complete |= has_ended && index + 1 == files.len();
            Ok(())
        })?;
    }
    Ok(is_complete.then(|| replay.finish()))
}

fn damaged(directory: &Directory, number: u64) -> LimitError {
    LimitError::Damaged { path: directory.journal(number), offset: 0 }
}
