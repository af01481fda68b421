//! A new generation from the old one and the claims of rows that stand alone.
//!
//! Both come in the order of keys, so the new file is written from one end to the other: every page
//! is full and is written once. Writing into the old file would visit and copy nearly each of its
//! pages as soon as there are a few new rows for each of them, and would leave them half full.

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use heed::{PutFlags, RoTxn, RwTxn};

use super::plan::Marks;
use super::spool::{By, Sorted, Spool};
use super::{PARTS, part_of};
use crate::seal::{Sealer, Table};
use crate::store::StoreError;
use crate::store::embedded::directory;
use crate::store::embedded::generation::{Access, Generation};

/// How many cards of a file were stored, and whether the bank had them.
#[derive(Clone, Copy, Default)]
pub(super) struct Merged {
    pub(super) added: u64,
    pub(super) replaced: u64,
}

/// Writes the generation after `old`, in which rows that have no mark have taken their places.
///
/// It is whole but for what the caller has yet to say in its `meta`, is not synchronised, and
/// nobody knows of it.
pub(super) fn merge(
    directory: &Path,
    old: &Generation,
    spool: &Spool,
    marks: &Marks,
    sealer: &Sealer,
    behind_part: &mut dyn FnMut(usize),
) -> Result<(Generation, Merged), StoreError> {
    let number = old.number + 1;
    directory::remove_generation(directory, number)?;
    let new = Generation::create(directory, number, Access::Build, sealer)?;
    let txn = old.env.read_txn()?;
    let mut meta = new.env.write_txn()?;
    new.tables.copy_meta(&mut meta, &old.tables, &txn)?;
    meta.commit()?;

    let merged = thread::scope(|scope| {
        // One part is sorted while the one before it is written.
        let (sorted, parts) = sync_channel(1);
        scope.spawn(move || {
            for part in 0..PARTS {
                if sorted.send(Sorted::read(spool, part, By::Key)).is_err() {
                    // The other side has failed.
                    break;
                }
            }
        });
        write(old, &txn, &new, &parts, marks, behind_part)
    })?;
    Ok((new, merged))
}

fn write(
    old: &Generation,
    txn: &RoTxn<'_>,
    new: &Generation,
    parts: &Receiver<std::io::Result<Sorted>>,
    marks: &Marks,
    behind_part: &mut dyn FnMut(usize),
) -> Result<Merged, StoreError> {
    let mut merged = Merged::default();
    let mut into = Appending { new, txn: None, rows: 0 };
    for part in 0..PARTS {
        let (table, first_byte) = part_of(part);
        let sorted = parts.recv().expect("it sends every part unless it panics")?;
        let mut stored = old.tables.rows(table).prefix_iter(txn, &[first_byte])?;
        let mut stored_row = stored.next().transpose()?;
        for claim in sorted.claims().filter(|claim| !marks.has(claim.row)) {
            while let Some((key, row)) = stored_row
                && key < &claim.key[..]
            {
                into.append(table, key, row)?;
                stored_row = stored.next().transpose()?;
            }
            let is_replaced = stored_row.is_some_and(|(key, _)| key == claim.key);
            if is_replaced {
                stored_row = stored.next().transpose()?;
            }
            into.append(table, claim.key, claim.sealed)?;
            match (table, is_replaced) {
                (Table::Cards, true) => merged.replaced += 1,
                (Table::Cards, false) => merged.added += 1,
                _ => {}
            }
        }
        while let Some((key, row)) = stored_row {
            into.append(table, key, row)?;
            stored_row = stored.next().transpose()?;
        }
        behind_part(part);
    }
    into.commit()?;
    Ok(merged)
}

/// Rows that are written behind all others.
struct Appending<'g> {
    new: &'g Generation,
    txn: Option<RwTxn<'g>>,
    rows: u32,
}

/// Rows of a transaction: what is not committed is kept in memory.
const ROWS: u32 = 100_000;

impl Appending<'_> {
    fn append(&mut self, table: Table, key: &[u8], row: &[u8]) -> Result<(), StoreError> {
        let txn = match &mut self.txn {
            Some(txn) => txn,
            none => none.insert(self.new.env.write_txn()?),
        };
        self.new.tables.rows(table).put_with_flags(txn, PutFlags::APPEND, key, row)?;
        self.rows += 1;
        if self.rows == ROWS { self.commit() } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.rows = 0;
        match self.txn.take() {
            Some(txn) => Ok(txn.commit()?),
            None => Ok(()),
        }
    }
}
