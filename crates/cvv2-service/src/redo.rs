//! A redo log: one write for everything that has to be on disk before an answer leaves.
//!
//! A request leaves something in two files, the audit log's and the journal of limits. To sync both
//! for each group of requests has the file system write down two new lengths, as both files grow.
//! A redo log is a file that does not grow: what was appended to the others is written to it as well,
//! over zeros, in one write that is durable when it returns. The others are synced by a thread that
//! nobody waits for; after a crash, what is missing in them is taken from the redo log.
//!
//! # How
//!
//! The file has two [halves](file::HALF_BYTES). A half that is full is *checkpointed*: what it is about
//! is synced, and it is free again. Meanwhile the other one is written. An entry is physical, "these
//! bytes stand at this offset of that file": to apply it twice is to apply it once, so it does not
//! matter whether a crash came before or after a checkpoint.
//!
//! Every process begins a redo log of its own, and takes away those that it has found when they have
//! been applied.
//!
//! # When a disk fails
//!
//! A commit that fails is written over by the next one, so no entry is ever missing before another. Where
//! a checkpoint fails, the bytes of the half are written to their files again and again until they can be
//! synced: a system that failed to write a page shows it as if it had, and says so once, to whoever
//! syncs the file next. So whatever sync fails, of any half and by anybody, puts in doubt all that is not
//! checkpointed yet, and it is written again before it is synced. When the other half is full, too,
//! commits fail.

mod checkpoint;
mod dirty;
mod entry;
mod file;
mod found;
#[cfg(test)]
mod tests;
mod writing;

use std::any::Any;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::writing::Writing;

pub(crate) use self::found::Found;

/// Whose files a piece is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// The audit log's.
    Audit = 0,
    /// The journal's of limits.
    Limits = 1,
}

/// Bytes that were appended to a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) stream: Stream,
    /// The file's number in its stream.
    pub(crate) number: u64,
    /// Where they stand in it.
    pub(crate) offset: u64,
    pub(crate) bytes: &'a [u8],
    /// The file itself, in no mode in which writes only append.
    pub(crate) file: &'a Arc<File>,
}

/// Who has something to be made durable whenever others have.
pub(crate) trait Companion: Send {
    /// Appends what waits to its file. An error is its own affair.
    fn prepare(&mut self) -> Option<Piece<'_>>;

    /// Is told whether the last piece is durable now.
    fn finish(&mut self, outcome: io::Result<()>);
}

/// A redo log that is written. A clone is the same one.
///
/// When the last one is dropped, and everything was synced, there is none.
#[derive(Clone)]
pub(crate) struct RedoLog(Arc<Shared>);

struct Shared {
    writing: Mutex<Writing>,
    found: Mutex<Found>,
    /// What keeps others from the directory: let go last.
    _place: Arc<dyn Any + Send + Sync>,
}

impl RedoLog {
    /// Begins one in the directory where others were found, from which `place` keeps everybody else.
    pub(crate) fn create(found: Found, place: Arc<dyn Any + Send + Sync>) -> io::Result<Self> {
        let writing = Writing::begin(&found)?;
        let (writing, found) = (Mutex::new(writing), Mutex::new(found));
        Ok(Self(Arc::new(Shared { writing, found, _place: place })))
    }

    /// What was found, for those who have not applied their part.
    pub(crate) fn found(&self) -> MutexGuard<'_, Found> {
        lock(&self.0.found)
    }

    /// Has these pieces on disk, and what waits at the companion. They are in their files already.
    pub(crate) fn commit(&self, pieces: &[Piece<'_>]) -> io::Result<()> {
        lock(&self.0.writing).commit(pieces)
    }

    /// Calls somebody with every commit from now on, unless there is somebody already. Whether that is
    /// so.
    pub(crate) fn join(&self, companion: Box<dyn Companion>) -> bool {
        lock(&self.0.writing).join(companion)
    }

    /// Calls nobody any more.
    pub(crate) fn leave(&self) {
        lock(&self.0.writing).leave();
    }

    /// Is told that a sync of a file has failed which the redo log is about.
    pub(crate) fn doubt(&self) {
        lock(&self.0.writing).doubt();
    }

    /// Whether commits can be expected to work: no checkpoint has failed that was not made good.
    pub(crate) fn check(&self) -> io::Result<()> {
        lock(&self.0.writing).check()
    }
}

/// An error for somebody else, too.
fn same_error(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic under the lock is one of a companion, and what it left is not written.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
