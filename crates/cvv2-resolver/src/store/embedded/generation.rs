//! One file of a store, and the way to the next.
//!
//! A bulk import writes a new file from one end to the other, old cards and new ones, and then says
//! in the old file which one is its successor. That one commit is the moment in which the import
//! happens: before it, everybody reads the old file; after it, whoever begins to read the old file
//! finds the successor named there and goes over. A kill or a power loss leaves the one or the
//! other, whole.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use heed::{CommitOrAbort, Env, EnvFlags, EnvOpenOptions, RoTxn};

use super::directory;
use super::tables::Tables;
use crate::seal::Sealer;
use crate::store::StoreError;

/// A file that is mapped, and its tables.
pub(super) struct Generation {
    pub(super) number: u32,
    pub(super) env: Env,
    pub(super) tables: Tables<'static>,
    /// The newest transaction that is known to have named no successor.
    last_without_successor: AtomicUsize,
}

/// What a file is opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
    /// Writing where nobody reads yet: commits do not wait for the disk, [`Generation::sync`] does.
    Build,
}

impl Generation {
    /// Makes a file, or takes one that was never finished, which has no meta yet.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] where it was finished.
    pub(super) fn create(
        directory: &Path,
        number: u32,
        access: Access,
        sealer: &Sealer,
    ) -> Result<Self, StoreError> {
        let place = directory::generation(directory, number);
        directory::make(&place)?;
        let env = map(&place, access)?;
        let txn = env.write_txn()?;
        let tables = env
            .create_databases_and_commit(txn, |opener, txn| {
                let tables = Tables::create(opener, txn)?;
                if tables.have_meta(txn)? {
                    return Err(StoreError::Exists { directory: directory.to_owned() });
                }
                tables.write_meta(txn, sealer)?;
                Ok(CommitOrAbort::<_, ()>::Commit(tables))
            })?
            .unwrap_commit();
        Ok(Self { number, env, tables, last_without_successor: AtomicUsize::new(0) })
    }

    /// Opens a file, whether it has a successor or not.
    pub(super) fn open(
        directory: &Path,
        number: u32,
        access: Access,
        sealer: &Sealer,
    ) -> Result<Self, StoreError> {
        let env = map(&directory::generation(directory, number), access)?;
        let txn = env.read_txn()?;
        let tables = env
            .open_databases_and_commit(txn, |opener, txn| {
                let tables = Tables::open(opener, txn)?
                    .ok_or_else(|| StoreError::Missing { directory: directory.to_owned() })?;
                tables.check_meta(txn, sealer)?;
                Ok::<_, StoreError>(CommitOrAbort::<_, ()>::Commit(tables))
            })?
            .unwrap_commit();
        Ok(Self { number, env, tables, last_without_successor: AtomicUsize::new(0) })
    }

    /// Opens the file that has no successor, found along the chain from the oldest one on.
    pub(super) fn open_current(
        directory: &Path,
        access: Access,
        sealer: &Sealer,
    ) -> Result<Self, StoreError> {
        let missing = || StoreError::Missing { directory: directory.to_owned() };
        let mut number = directory::oldest_generation(directory)?.ok_or_else(missing)?;
        loop {
            let opened = Self::open(directory, number, access, sealer)?;
            let txn = opened.env.read_txn()?;
            let Some(successor) = opened.successor(&txn)? else {
                drop(txn);
                return Ok(opened);
            };
            number = successor;
        }
    }

    /// The number of the file that came after this one, as `txn` sees it.
    ///
    /// Asked for every look-up, so the answer is remembered: `meta` is read once a commit.
    pub(super) fn successor(&self, txn: &RoTxn<'_>) -> Result<Option<u32>, StoreError> {
        if self.last_without_successor.load(Ordering::Relaxed) >= txn.id() {
            return Ok(None);
        }
        let successor = self.tables.successor(txn)?;
        if successor.is_none() {
            self.last_without_successor.fetch_max(txn.id(), Ordering::Relaxed);
        }
        Ok(successor)
    }

    /// Makes everything that was committed survive a power loss.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        Ok(self.env.force_sync()?)
    }
}

/// Takes away every file but the one of this number: those before it, which it has succeeded, and
/// those after it, which were never finished. Whoever still reads one keeps it mapped.
pub(super) fn remove_others(directory: &Path, number: u32) -> Result<(), StoreError> {
    for other in directory::generations(directory)? {
        if other != number {
            match directory::remove_generation(directory, other) {
                // A reader that just opens it may put a lock file there; it is taken away next time.
                Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
                result => result?,
            }
        }
    }
    Ok(())
}

/// Closes a generation that was succeeded, when nobody reads it any more and on no reader's time: the
/// file is taken away, so whoever lets go of it last has the system take all its pages and blocks
/// back.
pub(super) fn retire(generation: Arc<Generation>) {
    let close = move || {
        while Arc::strong_count(&generation) > 1 {
            thread::sleep(Duration::from_millis(1));
        }
    };
    // Without a thread it is closed here and now, or by its last reader.
    let _ = thread::Builder::new().name("retire".to_owned()).spawn(close);
}

/// Addresses reserved for the file: 1 TiB, room for more cards than there are.
pub(super) const MAP_BYTES: usize = 1 << 40;

/// Threads that may have read at the same time, over all processes (a thread keeps its place).
const READERS_MAX: u32 = 4096;

/// Maps the file in `place` into memory.
///
/// LMDB's defaults are what is wanted of a store that is in use: commits wait for the disk, the
/// mapping is read-only (a stray write in this process is a fault, not a damaged store), and fresh
/// pages are zeroed, so that nothing else from this process's memory gets into the file.
#[expect(unsafe_code, reason = "a mapped file is only as sound as what else may change it")]
fn map(place: &Path, access: Access) -> Result<Env, StoreError> {
    let mut options = EnvOpenOptions::new();
    options.map_size(MAP_BYTES).max_readers(READERS_MAX).max_dbs(Tables::COUNT);
    let flags = match access {
        Access::Read => EnvFlags::READ_ONLY,
        Access::Write => EnvFlags::empty(),
        Access::Build => EnvFlags::NO_SYNC,
    };
    // SAFETY: of the flags, those that give up locks are unsafe, and those that give up
    // synchronisation may lose or damage what was committed when the power fails; a file that is
    // built is one that nobody reads before it was synchronised.
    unsafe { options.flags(flags) };
    // SAFETY: the bytes under the mapping change only as LMDB's own protocol foresees. The caller
    // has found directories and files accessible to their owner alone; a writer holds the exclusive
    // lock, and LMDB, which replaces no page that a registered reader may see, is what both sides
    // use (neither NO_LOCK nor a second mapping in this process, which heed refuses). Every process
    // maps the same number of bytes and nobody resizes the mapping.
    unsafe { options.open(place) }.map_err(|error| match error {
        heed::Error::EnvAlreadyOpened => StoreError::InUse { directory: place.to_owned() },
        error => error.into(),
    })
}
