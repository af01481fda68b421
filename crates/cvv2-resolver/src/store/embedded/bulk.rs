//! Importing cards by the million.
//!
//! | step | what happens |
//! |---|---|
//! | read | rows are parsed and sealed, and their claims are dealt out to parts on disk (`spool`) |
//! | compare | rows that have something to do with another row, or with another card of the store, are marked (`plan`) |
//! | merge | all others become a new generation, together with the old one (`merge`) |
//! | put | those that were marked are put one by one, in the order of the file |
//!
//! Memory is bounded: a few blocks of the input, one chunk for each part, two parts at a time. Disk
//! is needed for the claims and for the new generation beside the old one.
//!
//! How far the import is stands in `meta` of the store, in the same transaction as what it has
//! stored; claims and refused rows are in the directory `import`. After a kill an import of the
//! same input goes on: with reading where it was, with comparing and merging from the start (both
//! are short, and nothing was stored before the merge is done), with putting where it was.
//!
//! A small import into a large store is not worth a new generation: then every row is put.

mod building;
mod merge;
mod plan;
mod progress;
mod spool;

use std::io::{self, Read};
use std::mem;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use self::merge::merge;
use self::plan::{Marks, mark};
use self::progress::{Progress, Storing};
use self::spool::{By, Sorted, Spool};
use super::generation::{self, Access, Generation};
use super::writing::Writing;
use super::{EmbeddedStore, directory};
use crate::import::{
    Blocks, CardImport, Claim, Columns, Flaw, ImportError, ImportOptions, ImportProgress,
    ImportStage, ImportSummary, ImportWatcher, Refusals, SealedBlock, all_processors, scan, start,
    tell,
};
use crate::seal::{Table, Unopened};
use crate::store::{CardStore, NewCard, PutOutcome, StoreError, unopened};

impl CardImport for EmbeddedStore {
    fn import(
        &self,
        input: &mut dyn Read,
        options: &ImportOptions,
        watcher: &mut dyn ImportWatcher,
    ) -> Result<ImportSummary, ImportError> {
        let _upkeep = self.begin_upkeep()?;
        let (mut blocks, columns) = start(input, options)?;
        let mut import = Import::begin(self, &mut blocks, options)?;
        if import.progress.storing.is_none() {
            import.read(&mut blocks, &columns, options, watcher)?;
            import.merge(watcher)?;
        }
        import.put(watcher)?;
        import.finish(watcher)
    }
}

/// Claims of cards, then claims of references, each by the first byte of the key.
const PARTS: usize = 2 * 256;

/// Which claims are in a part.
fn part_of(part: usize) -> (Table, u8) {
    let table = if part < PARTS / 2 { Table::Cards } else { Table::References };
    (table, u8::try_from(part % 256).expect("below 256"))
}

/// The part that a claim is in.
fn part_for(claim: &Claim<'_>) -> usize {
    let first = if claim.table == Table::Cards { 0 } else { PARTS / 2 };
    first + usize::from(claim.key[0])
}

/// Adds each claim to its part.
pub(super) fn deal_out(claims: &[u8], spool: &mut Spool) -> io::Result<()> {
    let mut rest = claims;
    while let Some((claim, behind)) = Claim::split_first(rest) {
        spool.push(part_for(&claim), &rest[..claim.len()])?;
        rest = behind;
    }
    Ok(())
}

/// A store of which an import has fewer cards than this part gets no new generation.
///
/// In a store of millions putting a card takes some 120 µs, because its rows lie anywhere in the
/// file; copying one takes some 0.7 µs.
const SMALL: u64 = 128;

/// How often an import writes down how far it is, at least.
const NOTE_EVERY: Duration = Duration::from_secs(2);

/// Seals that are counted before they are made: an import that is killed has made no more.
const SEALS_AHEAD: u64 = 1 << 23;

/// Cards that are put in one transaction.
const PUT_BATCH: usize = 4096;

/// An import under way.
struct Import<'s> {
    store: &'s EmbeddedStore,
    progress: Progress,
    /// Seals that were made since the progress was written.
    seals: u64,
    continued: bool,
    spool: Spool,
    /// Rows that are no cards.
    unread: Refusals,
}

impl<'s> Import<'s> {
    /// Begins anew, or goes on where an import of the same input was cut short.
    fn begin(
        store: &'s EmbeddedStore,
        blocks: &mut Blocks<'_>,
        options: &ImportOptions,
    ) -> Result<Self, ImportError> {
        let new = Progress::new(store.sealer.current(), options);
        let known =
            store.import_progress()?.filter(|known| !options.begin_anew && known.suits(&new));
        let continued = known.is_some();
        if let Some(Progress { offset, rows, digest, storing, .. }) = &known {
            let is_same = blocks.go_to(*offset, *rows, digest)?
                && (storing.is_none() || blocks.next()?.is_none());
            if !is_same {
                return Err(ImportError::Unfinished { is_storing: storing.is_some() });
            }
        } else {
            store.new_import_directory()?;
        }
        let progress = known.unwrap_or_else(|| new.at(blocks.position()));
        let spool = Spool::open(&store.import_file(SPOOL), PARTS, progress.spool_len);
        let unread = Refusals::open(&store.import_file(UNREAD), progress.unread_len);
        let mut import = Self {
            store,
            seals: 0,
            continued,
            spool: spool.map_err(StoreError::from)?,
            unread: unread.map_err(StoreError::from)?,
            progress,
        };
        if import.progress.storing.is_none() {
            import.note(SEALS_AHEAD)?;
        }
        Ok(import)
    }

    /// Reads the input to its end.
    fn read(
        &mut self,
        blocks: &mut Blocks<'_>,
        columns: &Columns,
        options: &ImportOptions,
        watcher: &mut dyn ImportWatcher,
    ) -> Result<(), ImportError> {
        let mut noted = Instant::now();
        let sealer = &self.store.sealer;
        let under = (&**sealer, sealer.current());
        let mut end = blocks.position().clone();
        scan(blocks, columns, options.exid_form, under, all_processors(), &mut |block| {
            self.take(&block).map_err(StoreError::from)?;
            end = block.end;
            (self.progress.offset, self.progress.rows) = (end.offset, end.rows);
            watcher.progress(&self.report(ImportStage::Reading));
            if noted.elapsed() >= NOTE_EVERY || self.seals > SEALS_AHEAD / 2 {
                self.progress = self.progress.clone().at(&end);
                self.note(SEALS_AHEAD)?;
                noted = Instant::now();
            }
            Ok(())
        })?;
        self.progress = self.progress.clone().at(&end);
        Ok(self.note(0)?)
    }

    /// Deals out the claims of a block, and notes its rows that are no cards.
    fn take(&mut self, block: &SealedBlock) -> io::Result<()> {
        deal_out(&block.claims, &mut self.spool)?;
        for (row, flaw) in &block.refusals {
            self.unread.note(*row, *flaw)?;
        }
        self.progress.cards += block.cards;
        self.progress.unread += block.refusals.len() as u64;
        self.seals += block.seals;
        Ok(())
    }

    /// Writes down how far reading is, and counts seals until `ahead` more are counted than made.
    fn note(&mut self, ahead: u64) -> Result<(), StoreError> {
        self.progress.spool_len = self.spool.flush()?;
        self.progress.unread_len = self.unread.flush()?;
        let counted = mem::replace(&mut self.progress.seals_ahead, ahead);
        let more = (self.seals + ahead).cast_signed() - counted.cast_signed();
        self.seals = 0;

        let _turn = self.store.turns.take();
        let generation = self.store.generation();
        let mut txn = generation.env.write_txn()?;
        generation.tables.set_import(&mut txn, &self.progress.to_bytes())?;
        generation.tables.count_seals(&mut txn, self.store.sealer.current(), more)?;
        Ok(txn.commit()?)
    }

    /// Stores all rows that stand alone, and finds out which do not.
    fn merge(&mut self, watcher: &mut dyn ImportWatcher) -> Result<(), StoreError> {
        watcher.progress(&self.report(ImportStage::Comparing));
        let store = self.store;
        // What was compared with the store has to be what it is merged with.
        let _turn = store.turns.take();
        let old = store.generation();
        let stored = self.store.len()?;
        if self.progress.cards.saturating_mul(SMALL) < stored {
            let single_len = self.deal_out_singles(None)?;
            self.progress.storing = Some(Storing { single_len, ..Storing::default() });
            let mut txn = old.env.write_txn()?;
            old.tables.set_import(&mut txn, &self.progress.to_bytes())?;
            return Ok(txn.commit()?);
        }

        let marks = mark(&self.spool, self.progress.rows, &old, &store.sealer)?;
        let single_len = self.deal_out_singles(Some(&marks))?;
        let report = self.report(ImportStage::Storing);
        let (new, merged) =
            merge(&store.directory, &old, &self.spool, &marks, &store.sealer, &mut || {
                watcher.progress(&report);
            })?;
        self.progress.storing = Some(Storing {
            added: merged.added,
            replaced: merged.replaced,
            single_len,
            ..Storing::default()
        });
        let mut txn = new.env.write_txn()?;
        new.tables.set_import(&mut txn, &self.progress.to_bytes())?;
        txn.commit()?;
        store.succeed(&old, new)
    }

    /// Writes the claims of all cards that have a mark, or of all, to a file of their own, in parts
    /// by the number of the row; and says how long it is.
    fn deal_out_singles(&self, marks: Option<&Marks>) -> Result<u64, StoreError> {
        let mut singles = Spool::open(&self.store.import_file(SINGLES), SINGLE_PARTS, 0)?;
        if marks.is_some_and(Marks::are_empty) {
            return Ok(0);
        }
        // A batch is of one part, and few batches are few commits.
        let rows_of_part = (self.progress.rows / SINGLE_PARTS as u64 + 1).max(PUT_BATCH as u64);
        let mut bytes = Vec::new();
        for part in 0..PARTS / 2 {
            bytes.clear();
            self.spool.read(part, &mut bytes)?;
            let mut rest = &bytes[..];
            while let Some((claim, behind)) = Claim::split_first(rest) {
                if marks.is_none_or(|marks| marks.has(claim.row)) {
                    let part = usize::try_from(claim.row / rows_of_part).expect("below 256");
                    singles.push(part, &rest[..claim.len()])?;
                }
                rest = behind;
            }
        }
        Ok(singles.flush()?)
    }

    /// Puts the rows that do not stand alone one by one, in the order of the file.
    fn put(&mut self, watcher: &mut dyn ImportWatcher) -> Result<(), StoreError> {
        let mut storing = self.progress.storing.expect("reading and merging are done");
        let singles =
            Spool::open(&self.store.import_file(SINGLES), SINGLE_PARTS, storing.single_len)?;
        let mut refused = Refusals::open(&self.store.import_file(REFUSED), storing.refused_len)?;
        for part in 0..singles.parts() {
            let sorted = Sorted::read(&singles, part, By::Row)?;
            let left: Vec<_> = sorted.claims().filter(|claim| claim.row > storing.row).collect();
            for batch in left.chunks(PUT_BATCH) {
                self.put_batch(batch, &mut storing, &mut refused)?;
                watcher.progress(&self.report(ImportStage::Storing));
            }
        }
        Ok(())
    }

    fn put_batch(
        &mut self,
        batch: &[Claim<'_>],
        storing: &mut Storing,
        refused: &mut Refusals,
    ) -> Result<(), StoreError> {
        let sealer = &self.store.sealer;
        let _turn = self.store.turns.take();
        let generation = self.store.generation();
        let mut writing = Writing::begin(&generation, sealer)?;
        for claim in batch {
            let invalid = || StoreError::from(io::Error::from(io::ErrorKind::InvalidData));
            let place = claim.place().ok_or_else(invalid)?;
            let card = sealer
                .open_card(&place, claim.sealed)
                .map_err(|Unopened| unopened(sealer, Table::Cards, claim.sealed))?;
            let new = NewCard { bank: &place.bank, refs: &card.refs, record: &card.record };
            let flaw = match writing.put(&new)? {
                PutOutcome::Added => {
                    storing.added += 1;
                    continue;
                }
                PutOutcome::Replaced => {
                    storing.replaced += 1;
                    continue;
                }
                PutOutcome::Taken { reference } => Flaw::taken(&card.refs[reference]),
                PutOutcome::References { count } => Flaw::References { count },
            };
            storing.refused += 1;
            refused.note(claim.row, flaw)?;
        }
        storing.row = batch.last().map_or(storing.row, |claim| claim.row);
        storing.refused_len = refused.flush()?;
        self.progress.storing = Some(*storing);
        generation.tables.set_import(&mut writing.txn, &self.progress.to_bytes())?;
        writing.commit()
    }

    /// Tells which rows were refused, and forgets the import.
    fn finish(self, watcher: &mut dyn ImportWatcher) -> Result<ImportSummary, ImportError> {
        let storing = self.progress.storing.expect("everything is done");
        let refused = Refusals::open(&self.store.import_file(REFUSED), storing.refused_len);
        tell(&self.unread, &refused.map_err(StoreError::from)?, watcher)
            .map_err(ImportError::Watcher)?;
        self.store.forget_import()?;
        let summary = ImportSummary {
            added: storing.added,
            replaced: storing.replaced,
            refused: self.progress.unread + storing.refused,
            continued: self.continued,
        };
        self.spool.close_aside();
        Ok(summary)
    }

    fn report(&self, stage: ImportStage) -> ImportProgress {
        let storing = self.progress.storing.unwrap_or_default();
        ImportProgress {
            stage,
            bytes: self.progress.offset,
            rows: self.progress.rows.saturating_sub(1),
            refused: self.progress.unread + storing.refused,
        }
    }
}

/// The files of an import: claims, claims that are put one by one, rows that are no cards, rows
/// that the store refused.
const SPOOL: &str = "claims";
const SINGLES: &str = "singles";
const UNREAD: &str = "unread";
const REFUSED: &str = "refused";

const SINGLE_PARTS: usize = 256;

impl EmbeddedStore {
    fn import_file(&self, name: &str) -> PathBuf {
        directory::import(&self.directory).join(name)
    }

    /// How far an import is that is not finished.
    fn import_progress(&self) -> Result<Option<Progress>, StoreError> {
        self.read(|generation, txn| Ok(generation.tables.import(txn)?.and_then(Progress::read)))
    }

    fn new_import_directory(&self) -> Result<(), StoreError> {
        directory::remove_import(&self.directory)?;
        Ok(directory::make(&directory::import(&self.directory))?)
    }

    /// Room for the claims of cards that are copied into this store.
    pub(super) fn new_spool(&self) -> Result<Spool, StoreError> {
        self.new_import_directory()?;
        Ok(Spool::open(&self.import_file(SPOOL), PARTS, 0)?)
    }

    /// Stores all claims of a spool: cards that have nothing to do with each other, in a store that
    /// has none.
    pub(super) fn merge_copied(
        &self,
        spool: &Spool,
        cards: u64,
        seals: u64,
    ) -> Result<(), StoreError> {
        let _turn = self.turns.take();
        let old = self.generation();
        let all = Marks::none(cards);
        let (new, _) = merge(&self.directory, &old, spool, &all, &self.sealer, &mut || {})?;
        let mut txn = new.env.write_txn()?;
        new.tables.count_seals(&mut txn, self.sealer.current(), seals.cast_signed())?;
        txn.commit()?;
        self.succeed(&old, new)?;
        Ok(directory::remove_import(&self.directory)?)
    }

    fn forget_import(&self) -> Result<(), StoreError> {
        let _turn = self.turns.take();
        let generation = self.generation();
        let mut txn = generation.env.write_txn()?;
        generation.tables.remove_import(&mut txn)?;
        txn.commit()?;
        Ok(directory::remove_import(&self.directory)?)
    }

    /// Makes `new` the current generation, for this and all other processes.
    fn succeed(&self, old: &Generation, new: Generation) -> Result<(), StoreError> {
        let number = new.number;
        new.sync()?;
        directory::sync(&directory::generation(&self.directory, number))?;
        drop(new);
        // From here on its commits wait for the disk.
        let new = Generation::open(&self.directory, number, Access::Write, &self.sealer)?;
        let new = Arc::new(new);
        let next = |generation| {
            *self.next.lock().unwrap_or_else(PoisonError::into_inner) = generation;
        };
        let mut txn = old.env.write_txn()?;
        old.tables.set_successor(&mut txn, number)?;
        next(Some(Arc::clone(&new)));
        // Nothing is taken away where this fails: the disk may have it nevertheless.
        txn.commit().inspect_err(|_| next(None))?;
        let old =
            mem::replace(&mut *self.current.write().unwrap_or_else(PoisonError::into_inner), new);
        generation::retire(old);
        // What cannot be taken away now is taken away when the store is opened again.
        let _ = generation::remove_others(&self.directory, number);
        Ok(())
    }
}
