//! Sealed cards in LMDB files.

mod bulk;
mod directory;
mod generation;
mod rotation;
mod tables;
#[cfg(test)]
mod tests;
mod turns;
mod writing;

use std::fmt;
use std::mem;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};

use heed::RoTxn;

use self::directory::WriterLock;
use self::generation::{Access, Generation};
use self::turns::Turns;
use super::{CardStore, CardVisitor, CheckReport, NewCard, PutOutcome, StoreError, unopened};
use crate::bank::BankId;
use crate::card_ref::CardRef;
use crate::encoding::Card;
use crate::record::CardRecord;
use crate::seal::{Place, Sealer, StoreKeys, Table, Unopened};

/// A store in a directory of its own: no server, crash-safe. 64-bit Unix only.
///
/// # Processes and threads
///
/// One process writes: a second writer is refused with [`StoreError::InUse`]. Any number of others
/// may have it open for reading ([`open_read_only`](Self::open_read_only)). Readers never wait,
/// neither for the writer nor for each other; they see what was committed when they asked. Within
/// the writing process threads write one after the other; those that wait for the same commit share
/// it.
///
/// # What is in the file
///
/// | table | row |
/// |---|---|
/// | `references` | index of the reference, bank → the sealed record |
/// | `cards` | index of the PAN, bank → the sealed card: the record and all its references |
/// | `meta` | format version, ids and proofs of the keys, number of seals made under each |
///
/// Each reference has its own copy of the record, so a look-up is one search and one opened seal,
/// and the copy is bound to its reference directly: its index is part of what the seal covers, and
/// an entry cannot be pointed at another card because there is nothing that points. The
/// alternative, an entry that names a row with the record, needs a second search, which costs more
/// than all the cryptography, and a second seal around the pointer. What copies cost is paid by the
/// writer: the `cards` row says where the copies are, and a put replaces all of them in the one
/// transaction that it is, so they never differ. It holds the references themselves and not only
/// their indexes, because of an index nobody can make them again: whoever moves to another index
/// key, or to another system, needs them.
///
/// The file is in a directory with the number of its generation: a bulk import writes the next one.
/// Directories have mode 0700 and files 0600; a store that is open to others is refused.
///
/// # Durability
///
/// A put returns after the commit is on the disk (data synchronised, then the root page). LMDB
/// never overwrites a page that the last commit refers to, so whatever is killed whenever, the next
/// open finds the last commit; there is no log to replay.
///
/// # Size
///
/// The file grows as rows come. A terabyte of addresses is reserved for it at once, which costs no
/// memory: growing the mapping later would mean that every reader has to let go of it first, and
/// readers do not wait here. A limit on a process's address space (`ulimit -v`) below that makes
/// opening fail.
pub struct EmbeddedStore {
    directory: PathBuf,
    current: RwLock<Arc<Generation>>,
    /// The generation that an import of this process makes the current one, before it is known
    /// whether that has succeeded.
    next: Mutex<Option<Arc<Generation>>>,
    sealer: Box<Sealer>,
    turns: Turns,
    /// Held by what takes long and changes every row.
    upkeep: Mutex<()>,
    /// Let go last: fields are dropped in order.
    writer: Option<WriterLock>,
}

impl EmbeddedStore {
    /// Makes a new store in `directory`, which is made if it is not there, and opens it for
    /// writing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] where there is a store already, [`StoreError::Exposed`] where others
    /// have access to the directory, [`StoreError::InUse`], and [`StoreError::Storage`] where the
    /// file system fails.
    pub fn create(directory: impl AsRef<Path>, keys: &StoreKeys) -> Result<Self, StoreError> {
        let directory = directory.as_ref();
        directory::make(directory)?;
        directory::check_private(directory)?;
        let writer = WriterLock::take(directory)?;
        if directory::oldest_generation(directory)?.is_some_and(|number| number != FIRST) {
            return Err(StoreError::Exists { directory: directory.to_owned() });
        }
        let sealer = Sealer::new(keys);
        let first = Generation::create(directory, FIRST, Access::Write, &sealer)?;
        directory::sync(&directory::generation(directory, FIRST))?;
        directory::sync(directory)?;
        Ok(Self::new(directory, first, sealer, Some(writer)))
    }

    /// Opens the store in `directory` for reading and writing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] where there is none; [`StoreError::Format`] where it was not written
    /// in this format; [`StoreError::WrongKeys`], [`StoreError::WrongSealingKey`] and
    /// [`StoreError::MissingKey`] where it was not written under `keys`, or not all are given;
    /// [`StoreError::Exposed`] where others have access to it, [`StoreError::InUse`] where it has a
    /// writer or this process has it open, and [`StoreError::Storage`] where the file system fails.
    pub fn open(directory: impl AsRef<Path>, keys: &StoreKeys) -> Result<Self, StoreError> {
        let directory = directory.as_ref();
        if directory::oldest_generation(directory)?.is_none() {
            return Err(StoreError::Missing { directory: directory.to_owned() });
        }
        directory::check_private(directory)?;
        let writer = WriterLock::take(directory)?;
        let sealer = Sealer::new(keys);
        let current = Generation::open_current(directory, Access::Write, &sealer)?;
        // A reader that was killed would keep the pages that it saw from being used again.
        current.env.clear_stale_readers()?;
        generation::remove_others(directory, current.number)?;
        let txn = current.env.read_txn()?;
        if current.tables.import(&txn)?.is_none() {
            directory::remove_import(directory)?;
        }
        drop(txn);
        Ok(Self::new(directory, current, sealer, Some(writer)))
    }

    /// Opens the store in `directory` for reading, beside other readers and the one writer.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); [`StoreError::InUse`] only where this process has it open.
    pub fn open_read_only(
        directory: impl AsRef<Path>,
        keys: &StoreKeys,
    ) -> Result<Self, StoreError> {
        let directory = directory.as_ref();
        directory::check_private(directory)?;
        let sealer = Sealer::new(keys);
        let current = open_for_reading(directory, &sealer)?;
        Ok(Self::new(directory, current, sealer, None))
    }

    fn new(
        directory: &Path,
        current: Generation,
        sealer: Box<Sealer>,
        writer: Option<WriterLock>,
    ) -> Self {
        Self {
            directory: directory.to_owned(),
            current: RwLock::new(Arc::new(current)),
            next: Mutex::new(None),
            sealer,
            turns: Turns::default(),
            upkeep: Mutex::new(()),
            writer,
        }
    }

    /// The generation that was the current one when this store last looked.
    fn generation(&self) -> Arc<Generation> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows the store as it is now to `read`.
    fn read<T>(
        &self,
        read: impl FnOnce(&Generation, &RoTxn<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut generation = self.generation();
        loop {
            let txn = generation.env.read_txn()?;
            let Some(successor) = generation.successor(&txn)? else {
                return read(&generation, &txn);
            };
            drop(txn);
            generation = self.go_over(&generation, successor)?;
        }
    }

    /// Goes over from a generation that has this successor, unless another thread has done so.
    fn go_over(&self, from: &Generation, successor: u32) -> Result<Arc<Generation>, StoreError> {
        if self.writer.is_some() {
            // The successor is named before the commit that does so is on the disk, for which only
            // writers have to wait.
            let next = self.next.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let next = next.filter(|next| next.number == successor);
            return Ok(next.unwrap_or_else(|| self.generation()));
        }
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.number == from.number {
            let next = open_for_reading(&self.directory, &self.sealer)?;
            generation::retire(mem::replace(&mut *current, Arc::new(next)));
        }
        Ok(Arc::clone(&current))
    }

    /// Begins what takes long and changes every row, unless something of the kind is under way.
    fn begin_upkeep(&self) -> Result<MutexGuard<'_, ()>, StoreError> {
        if self.writer.is_none() {
            return Err(StoreError::ReadOnly);
        }
        match self.upkeep.try_lock() {
            Ok(guard) => Ok(guard),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => Err(StoreError::Busy),
        }
    }

    /// Compares the copies of one card's record with the card, and returns how many there are.
    fn check_card(
        &self,
        generation: &Generation,
        txn: &RoTxn<'_>,
        (bank, card): (BankId, &Card),
        report: &mut CheckReport,
    ) -> Result<u64, StoreError> {
        let mut present = 0;
        for reference in &card.refs {
            let place = self.sealer.reference(bank, reference);
            let Some(row) = generation.tables.references.get(txn, &place.key())? else {
                report.references_missing += 1;
                continue;
            };
            present += 1;
            match self.sealer.open_record(&place, row) {
                Ok(record) if record == card.record => {}
                Ok(_) => report.references_differing += 1,
                Err(Unopened) => report.references_unopened += 1,
            }
        }
        Ok(present)
    }

    /// Shows every card to `visit`, until that breaks off or fails.
    fn try_each_card(
        &self,
        mut visit: impl FnMut(&BankId, &Card) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        self.read(|generation, txn| {
            for row in generation.tables.cards.iter(txn)? {
                let (key, row) = row?;
                let (bank, card) = self
                    .card_of_row(key, row)
                    .ok_or_else(|| unopened(&self.sealer, Table::Cards, row))?;
                if visit(&bank, &card)?.is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// The card of a row, if it opens and stands where it belongs.
    fn card_of_row(&self, key: &[u8], row: &[u8]) -> Option<(BankId, Card)> {
        let home = Place::from_key(Table::Cards, key)?;
        let card = self.sealer.open_card(&home, row).ok()?;
        (self.sealer.card(home.bank, card.record.pan()) == home).then_some((home.bank, card))
    }
}

impl CardStore for EmbeddedStore {
    fn resolve(&self, bank: &BankId, card: &CardRef) -> Result<Option<CardRecord>, StoreError> {
        let place = self.sealer.reference(*bank, card);
        self.read(|generation, txn| {
            let Some(row) = generation.tables.references.get(txn, &place.key())? else {
                return Ok(None);
            };
            match self.sealer.open_record(&place, row) {
                Ok(record) => Ok(Some(record)),
                Err(Unopened) => Err(unopened(&self.sealer, Table::References, row)),
            }
        })
    }

    fn put_many(&self, cards: &[NewCard<'_>]) -> Result<Vec<PutOutcome>, StoreError> {
        if self.writer.is_none() {
            return Err(StoreError::ReadOnly);
        }
        self.turns.put(cards, &self.sealer, || self.generation())
    }

    fn len(&self) -> Result<u64, StoreError> {
        self.read(|generation, txn| Ok(generation.tables.cards.len(txn)?))
    }

    /// `visit` must not ask the same store: the thread is reading already.
    fn each_card(&self, visit: &mut CardVisitor<'_>) -> Result<(), StoreError> {
        self.try_each_card(|bank, card| Ok(visit(bank, &card.refs, &card.record)))
    }

    fn check(&self) -> Result<CheckReport, StoreError> {
        self.read(|generation, txn| {
            let mut report = CheckReport {
                cards: generation.tables.cards.len(txn)?,
                references: generation.tables.references.len(txn)?,
                ..CheckReport::default()
            };
            let mut listed = 0;
            for row in generation.tables.cards.iter(txn)? {
                let (key, row) = row?;
                match self.card_of_row(key, row) {
                    Some((bank, card)) => {
                        listed += self.check_card(generation, txn, (bank, &card), &mut report)?;
                    }
                    None => report.cards_unopened += 1,
                }
            }
            // No reference is listed twice: it would be of two cards, and differ from one of them.
            report.references_unlisted = report.references.saturating_sub(listed);
            Ok(report)
        })
    }
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore")
            .field("directory", &self.directory)
            .field("writes", &self.writer.is_some())
            .finish_non_exhaustive()
    }
}

impl From<heed::Error> for StoreError {
    fn from(error: heed::Error) -> Self {
        Self::Storage(Box::new(error))
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        Self::Storage(Box::new(error))
    }
}

impl From<getrandom::Error> for StoreError {
    fn from(_: getrandom::Error) -> Self {
        Self::Generator
    }
}

/// Opens the current generation beside a writer, who may take it away while it is being opened,
/// because it has a successor by then.
fn open_for_reading(directory: &Path, sealer: &Sealer) -> Result<Generation, StoreError> {
    let mut before = None;
    loop {
        let oldest = directory::oldest_generation(directory)?;
        match Generation::open_current(directory, Access::Read, sealer) {
            // Something has changed since the last try, so that one more may succeed.
            Err(StoreError::Missing { .. } | StoreError::Storage(_)) if oldest != before => {
                before = oldest;
            }
            result => return result,
        }
    }
}

/// The number of a new store's generation.
const FIRST: u32 = 1;
