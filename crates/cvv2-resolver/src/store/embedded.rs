//! Sealed cards in an LMDB file.

mod directory;
mod tables;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;

use heed::{CommitOrAbort, Env, EnvFlags, EnvOpenOptions, RoTxn, RwTxn};

use self::directory::WriterLock;
use self::tables::Tables;
use super::{CardStore, CardVisitor, CheckReport, NewCard, PutOutcome, REFS_MAX, StoreError};
use crate::bank::BankId;
use crate::card_ref::CardRef;
use crate::encoding::{Card, RecordBytes};
use crate::record::CardRecord;
use crate::seal::{Nonces, Place, Sealer, StoreKeys, Table, Unopened};

/// A store in a directory of its own: one file, no server, crash-safe. 64-bit Unix only.
///
/// # Processes and threads
///
/// One process writes: a second writer is refused with [`StoreError::InUse`]. Any number of others
/// may have it open for reading ([`open_read_only`](Self::open_read_only)). Readers never wait,
/// neither for the writer nor for each other; they see what was committed when they asked. Within
/// the writing process threads write one after the other.
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
/// The directory has mode 0700 and the files 0600; a store that
/// is open to others is refused.
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
    env: Env,
    tables: Tables<'static>,
    sealer: Box<Sealer>,
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
        let env = map(directory, Access::Write)?;
        let sealer = Sealer::new(keys);

        let txn = env.write_txn()?;
        let tables = env
            .create_databases_and_commit(txn, |opener, txn| {
                let tables = Tables::create(opener, txn)?;
                if tables.have_meta(txn)? {
                    return Err(StoreError::Exists { directory: directory.to_owned() });
                }
                tables.write_meta(txn, keys, &sealer)?;
                Ok(CommitOrAbort::<_, ()>::Commit(tables))
            })?
            .unwrap_commit();
        directory::sync(directory)?;
        Ok(Self { env, tables, sealer, writer: Some(writer) })
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
        Self::open_for(Access::Write, directory.as_ref(), keys)
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
        Self::open_for(Access::Read, directory.as_ref(), keys)
    }

    fn open_for(access: Access, directory: &Path, keys: &StoreKeys) -> Result<Self, StoreError> {
        if !directory::holds_store(directory) {
            return Err(StoreError::Missing { directory: directory.to_owned() });
        }
        directory::check_private(directory)?;
        let writer = match access {
            Access::Write => Some(WriterLock::take(directory)?),
            Access::Read => None,
        };
        let env = map(directory, access)?;
        if access == Access::Write {
            // A reader that was killed would keep the pages that it saw from being used again.
            env.clear_stale_readers()?;
        }
        let sealer = Sealer::new(keys);

        let txn = env.read_txn()?;
        let tables = env
            .open_databases_and_commit(txn, |opener, txn| {
                let tables = Tables::open(opener, txn)?
                    .ok_or_else(|| StoreError::Missing { directory: directory.to_owned() })?;
                tables.check_meta(txn, keys, &sealer)?;
                Ok::<_, StoreError>(CommitOrAbort::<_, ()>::Commit(tables))
            })?
            .unwrap_commit();
        Ok(Self { env, tables, sealer, writer })
    }

    /// Puts one card, if its references allow it.
    fn put_one(
        &self,
        txn: &mut RwTxn<'_>,
        nonces: &mut Nonces,
        new: &NewCard<'_>,
    ) -> Result<PutOutcome, StoreError> {
        let home = self.sealer.card(*new.bank, new.record.pan());
        let mut refs = match self.tables.cards.get(txn, &home.key())? {
            Some(row) => match self.sealer.open_card(&home, row) {
                Ok(card) => card.refs,
                Err(Unopened) => return Err(self.unopened(&home, row)),
            },
            None => Vec::new(),
        };
        let known = refs.len();
        for (reference, card) in new.refs.iter().enumerate() {
            if refs.contains(card) {
                continue;
            }
            let place = self.sealer.reference(*new.bank, card);
            if self.tables.references.get(txn, &place.key())?.is_some() {
                return Ok(PutOutcome::Taken { reference });
            }
            refs.push(card.clone());
        }
        if new.refs.is_empty() || refs.len() > REFS_MAX {
            let count = if new.refs.is_empty() { 0 } else { refs.len() };
            return Ok(PutOutcome::References { count });
        }

        let row = self.sealer.seal_card(&home, new.record, &refs, nonces)?;
        self.tables.cards.put(txn, &home.key(), &row)?;
        let mut record = RecordBytes::new();
        record.write(new.record);
        for card in &refs {
            let place = self.sealer.reference(*new.bank, card);
            let row = self.sealer.seal(&place, &nonces.next()?, record.as_slice());
            self.tables.references.put(txn, &place.key(), &row)?;
        }
        Ok(if known == 0 { PutOutcome::Added } else { PutOutcome::Replaced })
    }

    /// Compares the copies of one card's record with the card, and returns how many there are.
    fn check_card(
        &self,
        txn: &RoTxn<'_>,
        bank: BankId,
        card: &Card,
        report: &mut CheckReport,
    ) -> Result<u64, StoreError> {
        let mut present = 0;
        for reference in &card.refs {
            let place = self.sealer.reference(bank, reference);
            let Some(row) = self.tables.references.get(txn, &place.key())? else {
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

    /// Why a row did not open.
    fn unopened(&self, place: &Place, row: &[u8]) -> StoreError {
        match self.sealer.missing_key(row) {
            Some(version) => StoreError::MissingKey { version },
            None => StoreError::Damaged { table: place.table.name() },
        }
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
        let txn = self.env.read_txn()?;
        let Some(row) = self.tables.references.get(&txn, &place.key())? else {
            return Ok(None);
        };
        match self.sealer.open_record(&place, row) {
            Ok(record) => Ok(Some(record)),
            Err(Unopened) => Err(self.unopened(&place, row)),
        }
    }

    fn put_many(&self, cards: &[NewCard<'_>]) -> Result<Vec<PutOutcome>, StoreError> {
        if self.writer.is_none() {
            return Err(StoreError::ReadOnly);
        }
        let mut txn = self.env.write_txn()?;
        let mut nonces = Nonces::new();
        let outcomes = cards
            .iter()
            .map(|new| self.put_one(&mut txn, &mut nonces, new))
            .collect::<Result<Vec<_>, _>>()?;
        self.tables.count_seals(&mut txn, self.sealer.current(), nonces.given())?;
        txn.commit()?;
        Ok(outcomes)
    }

    fn len(&self) -> Result<u64, StoreError> {
        let txn = self.env.read_txn()?;
        Ok(self.tables.cards.len(&txn)?)
    }

    fn each_card(&self, visit: &mut CardVisitor<'_>) -> Result<(), StoreError> {
        let txn = self.env.read_txn()?;
        for row in self.tables.cards.iter(&txn)? {
            let (key, row) = row?;
            let (bank, card) = self
                .card_of_row(key, row)
                .ok_or(StoreError::Damaged { table: Table::Cards.name() })?;
            if visit(&bank, &card.refs, &card.record).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<CheckReport, StoreError> {
        let txn = self.env.read_txn()?;
        let mut report = CheckReport {
            cards: self.tables.cards.len(&txn)?,
            references: self.tables.references.len(&txn)?,
            ..CheckReport::default()
        };
        let mut listed = 0;
        for row in self.tables.cards.iter(&txn)? {
            let (key, row) = row?;
            match self.card_of_row(key, row) {
                Some((bank, card)) => {
                    listed += self.check_card(&txn, bank, &card, &mut report)?;
                }
                None => report.cards_unopened += 1,
            }
        }
        // No reference is listed twice: it would be of two cards, and differ from one of them.
        report.references_unlisted = report.references.saturating_sub(listed);
        Ok(report)
    }
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore")
            .field("directory", &self.env.path())
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// Addresses reserved for the file: 1 TiB, room for more cards than there are.
const MAP_BYTES: usize = 1 << 40;

/// Threads that may have read at the same time, over all processes (a thread keeps its place).
const READERS_MAX: u32 = 4096;

/// Maps the file in `directory` into memory.
///
/// LMDB's defaults are what is wanted: commits wait for the disk, the mapping is read-only (a stray
/// write in this process is a fault, not a damaged store), and fresh pages are zeroed, so that
/// nothing else from this process's memory gets into the file.
#[expect(unsafe_code, reason = "a mapped file is only as sound as what else may change it")]
fn map(directory: &Path, access: Access) -> Result<Env, StoreError> {
    let mut options = EnvOpenOptions::new();
    options.map_size(MAP_BYTES).max_readers(READERS_MAX).max_dbs(Tables::COUNT);
    if access == Access::Read {
        // SAFETY: of the flags, only those that give up locks or synchronisation are unsafe to set;
        // this one takes the right to write away.
        unsafe { options.flags(EnvFlags::READ_ONLY) };
    }
    // SAFETY: the bytes under the mapping change only as LMDB's own protocol foresees. The caller
    // has found directory and files accessible to their owner alone; a writer holds the exclusive
    // lock, and LMDB, which replaces no page that a registered reader may see, is what both sides
    // use (neither NO_LOCK nor a second mapping in this process, which heed refuses). Every process
    // maps the same number of bytes and nobody resizes the mapping.
    unsafe { options.open(directory) }.map_err(|error| match error {
        heed::Error::EnvAlreadyOpened => StoreError::InUse { directory: directory.to_owned() },
        error => error.into(),
    })
}
