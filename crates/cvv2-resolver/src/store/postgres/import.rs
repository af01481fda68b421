//! Importing cards by the million, while others read and write.
//!
//! A batch of rows is one transaction. Most rows of a file have nothing to do with another row, nor
//! with what the database has: they *stand alone* and are copied into the tables as they were
//! sealed when they were read, by COPY in binary form. All others are put, in the order of the file.
//! That comes to the same, because a row that stands alone shares nothing with any other.
//!
//! COPY goes to the tables themselves and not to a staging table that is merged: merging would
//! write every row a second time, and what it is to find out is found out before. As long as no row
//! of the file was in the database, the database is not even asked: a row that is there after all
//! makes the batch fail as a whole, it is done again, and from then on the database is asked which
//! ones it has.
//!
//! How far the import is stands in the table `import`, in the same transaction as the batch, and
//! refused rows in `import_refusals`. So after a kill an import of the same input goes on where it
//! was, and tells all rows that were refused. Memory is bounded: a few blocks of the input and
//! three batches.

mod batch;
mod copying;
mod progress;

use std::io::{self, Read};
use std::mem;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread;

use self::batch::{Batch, Stored};
use self::progress::Progress;
use super::PostgresStore;
use super::error::Failure;
use super::pool::Session;
use super::queries::{Query, in_schema};
use crate::import::{
    Blocks, CardImport, Columns, ImportError, ImportOptions, ImportProgress, ImportStage,
    ImportSummary, ImportWatcher, RefusedRow, SealedBlock, scan, start,
};
use crate::seal::KeyVersion;
use crate::store::StoreError;

impl CardImport for PostgresStore {
    /// Cards are stored as the file is read, a batch at a time, so an input that breaks off has its
    /// first cards in the store.
    ///
    /// Whoever begins to import while another does so takes the import over, or is refused where
    /// that one's input is another; the one before ends with [`StoreError::Busy`].
    fn import(
        &self,
        input: &mut dyn Read,
        options: &ImportOptions,
        watcher: &mut dyn ImportWatcher,
    ) -> Result<ImportSummary, ImportError> {
        let (mut blocks, columns) = start(input, options)?;
        let mut import = Import::begin(self, &mut blocks, options)?;
        if !import.progress.is_read {
            import.read(&mut blocks, &columns, options, watcher)?;
        }
        import.finish(watcher)
    }
}

/// Claims of a batch, in bytes: some ten thousand cards.
const BATCH_BYTES: usize = 4 << 20;

/// One thread seals more than a connection takes, and a database on the same machine has a use for
/// the other processors.
const SEALING_THREADS: usize = 1;

/// Seals that are counted before they are made by those who read ahead.
const SEALS_AHEAD: u64 = 1 << 22;

/// An import under way.
struct Import<'s> {
    store: &'s PostgresStore,
    progress: Progress,
    continued: bool,
    /// Whether it may be that the database has rows of the file.
    may_know: bool,
}

impl<'s> Import<'s> {
    /// Begins anew, or goes on where an import of the same input was cut short.
    fn begin(
        store: &'s PostgresStore,
        blocks: &mut Blocks<'_>,
        options: &ImportOptions,
    ) -> Result<Self, ImportError> {
        let known = Progress::read(&store.pool)?
            .filter(|known| !options.begin_anew && known.suits(options));
        let Some(mut progress) = known else {
            let progress = Progress::begin(&store.pool, blocks.position(), options)?;
            return Ok(Self { store, progress, continued: false, may_know: false });
        };
        let is_same = blocks.go_to(progress.offset, progress.rows, &progress.digest)?
            && (!progress.is_read || blocks.next()?.is_none());
        if !is_same {
            return Err(ImportError::Unfinished { is_storing: progress.has_stored() });
        }
        progress.take_over(&store.pool)?;
        Ok(Self { store, progress, continued: true, may_know: false })
    }

    /// Reads the input to its end, and stores its cards: while the database stores one batch, the
    /// next one is read and sealed.
    fn read(
        &mut self,
        blocks: &mut Blocks<'_>,
        columns: &Columns,
        options: &ImportOptions,
        watcher: &mut dyn ImportWatcher,
    ) -> Result<(), ImportError> {
        let mut seals = SealsAhead::take(self.store)?;
        let (sealer, version) = (&*self.store.sealer, seals.version);
        thread::scope(|scope| {
            let (to_store, batches) = sync_channel(1);
            let (tell, told) = channel();
            let storing = scope.spawn(move || self.store_batches(&batches, &tell));
            let mut waiting: Vec<SealedBlock> = Vec::new();
            let (form, under) = (options.exid_form, (sealer, version));
            let read = scan(blocks, columns, form, under, SEALING_THREADS, &mut |block| {
                seals.spend(block.seals)?;
                waiting.push(block);
                if waiting.iter().map(|block| block.claims.len()).sum::<usize>() >= BATCH_BYTES {
                    // Nobody takes it where storing has failed, which is found below.
                    let batch = Batch::read(mem::take(&mut waiting), version)?;
                    let taken = to_store.send((batch, false));
                    taken.map_err(|_| StoreError::Busy)?;
                    for progress in told.try_iter() {
                        watcher.progress(&progress);
                    }
                }
                Ok(())
            });
            let read = read.and_then(|()| {
                let _ = to_store.send((Batch::read(waiting, version)?, true));
                Ok(())
            });
            drop(to_store);
            for progress in told {
                watcher.progress(&progress);
            }
            storing.join().expect("a thread that panics has nothing to tell")?;
            read
        })
    }

    /// Stores one batch after the other, and tells how far it is.
    fn store_batches(
        &mut self,
        batches: &Receiver<(Batch, bool)>,
        tell: &Sender<ImportProgress>,
    ) -> Result<(), StoreError> {
        for (batch, is_last) in batches {
            self.store_batch(&batch, is_last)?;
            // Whoever has failed to read listens no more.
            let _ = tell.send(self.report());
        }
        Ok(())
    }

    /// Stores a batch, and with it how far the import is then.
    fn store_batch(&mut self, batch: &Batch, is_last: bool) -> Result<(), StoreError> {
        let may_know = &mut self.may_know;
        let sealer = &self.store.sealer;
        let progress = &self.progress;
        let next =
            self.store.sealing(&|version| batch.seals_max(version), |session, under, nonces| {
                session.take_time()?;
                let stored = batch.store(session, (sealer, under), may_know, nonces)?;
                let next = progress.after(batch.blocks(), &stored, is_last);
                note_refusals(session, batch.blocks(), &stored)?;
                next.note(session)?;
                Ok(next)
            })?;
        self.progress = next;
        Ok(())
    }

    /// Tells which rows were refused, and forgets the import.
    fn finish(self, watcher: &mut dyn ImportWatcher) -> Result<ImportSummary, ImportError> {
        let told = self.store.pool.read_snapshot(|session| {
            session.take_time()?;
            tell(session, watcher)
        })?;
        told.map_err(ImportError::Watcher)?;
        self.progress.forget(&self.store.pool)?;
        Ok(ImportSummary {
            added: self.progress.added,
            replaced: self.progress.replaced,
            refused: self.progress.refused,
            continued: self.continued,
        })
    }

    fn report(&self) -> ImportProgress {
        ImportProgress {
            stage: ImportStage::Storing,
            bytes: self.progress.offset,
            rows: self.progress.rows.saturating_sub(1),
            refused: self.progress.refused,
        }
    }
}

/// Notes the rows of a batch that are no cards, and those that were refused as cards.
fn note_refusals(
    session: &mut Session<'_>,
    blocks: &[SealedBlock],
    stored: &Stored,
) -> Result<(), Failure> {
    let unread = blocks.iter().flat_map(|block| &block.refusals);
    let (mut rows, mut fields, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
    for (row, flaw) in unread.chain(&stored.refused) {
        rows.push(row.cast_signed());
        fields.push(flaw.field());
        reasons.push(flaw.to_string());
    }
    if !rows.is_empty() {
        session.execute(Query::NoteRefusals, &[&rows, &fields, &reasons])?;
    }
    Ok(())
}

/// Tells `watcher` the rows that were refused, in their order, some at a time.
fn tell(
    session: &mut Session<'_>,
    watcher: &mut dyn ImportWatcher,
) -> Result<io::Result<()>, Failure> {
    let select = in_schema(
        "SELECT row_number, field, reason FROM {schema}.import_refusals ORDER BY row_number",
        session.schema(),
    );
    let portal = session.txn.bind(&select, &[])?;
    loop {
        let rows = session.txn.query_portal(&portal, TOLD_AT_ONCE)?;
        if rows.is_empty() {
            return Ok(Ok(()));
        }
        let told = rows.iter().try_for_each(|row| {
            let number = row.get::<_, i64>(0).cast_unsigned();
            watcher.refused(&RefusedRow { row: number, field: row.get(1), reason: row.get(2) })
        });
        if told.is_err() {
            return Ok(told);
        }
    }
}

const TOLD_AT_ONCE: i32 = 1000;

/// Seals that were counted and are made by those who read ahead.
struct SealsAhead<'s> {
    store: &'s PostgresStore,
    /// The key that claims are sealed under, from the first to the last.
    version: KeyVersion,
    left: u64,
}

impl<'s> SealsAhead<'s> {
    /// Counts the first ones, under the key that is the current one.
    fn take(store: &'s PostgresStore) -> Result<Self, StoreError> {
        loop {
            let version = store.sealer.current();
            if store.budget.take(&store.pool, version, SEALS_AHEAD)? {
                return Ok(Self { store, version, left: SEALS_AHEAD });
            }
            super::know_current(&store.sealer, store.current_in_database()?)?;
        }
    }

    /// Some were made: counts more, until enough are left for all who read ahead.
    fn spend(&mut self, seals: u64) -> Result<(), StoreError> {
        self.left = self.left.saturating_sub(seals);
        if self.left < SEALS_AHEAD / 2 {
            // A key that the store has no more seals nothing that is stored.
            self.store.budget.take(&self.store.pool, self.version, SEALS_AHEAD)?;
            self.left += SEALS_AHEAD;
        }
        Ok(())
    }
}

impl Drop for SealsAhead<'_> {
    fn drop(&mut self) {
        self.store.budget.settle(self.version, self.left, 0);
    }
}
