//! A new generation from the old one and the claims of rows that stand alone.
//!
//! One thread sorts the claims, part by part, another one merges them with the old generation, and
//! this one writes, which takes longest: it does nothing else.
//!
//! Both come in the order of keys, so the new file is written from one end to the other: every page
//! is full and is written once. Writing into the old file would visit and copy nearly each of its
//! pages as soon as there are a few new rows for each of them, and would leave them half full.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::building::{Piece, build};
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
/// It is whole but for what the caller has yet to say in its `meta`, is not synchronised to its end,
/// and nobody knows of it. Nobody may write to `old` meanwhile.
pub(super) fn merge(
    directory: &Path,
    old: &Generation,
    spool: &Spool,
    marks: &Marks,
    sealer: &Sealer,
    behind_piece: &mut dyn FnMut(),
) -> Result<(Generation, Merged), StoreError> {
    let number = old.number + 1;
    directory::remove_generation(directory, number)?;
    let new = Generation::create(directory, number, Access::Build, sealer)?;
    let txn = old.env.read_txn()?;
    let mut meta = new.env.write_txn()?;
    new.tables.copy_meta(&mut meta, &old.tables, &txn)?;
    meta.commit()?;
    drop(txn);

    let merged = thread::scope(|scope| {
        let (to_merge, sorted) = sync_channel(1);
        let (to_write, pieces) = sync_channel(PIECES_AHEAD);
        scope.spawn(move || {
            // Nobody takes them any more where the other side has failed.
            (0..PARTS).try_for_each(|part| to_merge.send(Sorted::read(spool, part, By::Key)))
        });
        let merging = scope.spawn(move || merge_parts(old, &sorted, marks, &to_write));
        let built = build(&new, pieces, &|| new.sync(), behind_piece);
        let merged = merging.join().expect("a thread that panics has nothing to tell");
        built.and(merged)
    })?;
    Ok((new, merged))
}

/// Pieces that are merged and wait for being written.
const PIECES_AHEAD: usize = 4;

/// Merges the claims of each part with what the old generation has of it.
fn merge_parts(
    old: &Generation,
    parts: &Receiver<std::io::Result<Sorted>>,
    marks: &Marks,
    to_write: &SyncSender<Piece>,
) -> Result<Merged, StoreError> {
    let txn = old.env.read_txn()?;
    let mut merged = Merged::default();
    for part in 0..PARTS {
        let (table, first_byte) = part_of(part);
        let sorted = parts.recv().expect("it sends every part unless it panics")?;
        let mut into = Pieces { to_write, piece: Piece::new(table) };
        let mut stored = old.tables.rows(table).prefix_iter(&txn, &[first_byte])?;
        let mut stored_row = stored.next().transpose()?;
        for claim in sorted.claims().filter(|claim| !marks.has(claim.row)) {
            while let Some((key, row)) = stored_row
                && key < &claim.key[..]
            {
                into.push(key, row)?;
                stored_row = stored.next().transpose()?;
            }
            let is_replaced = stored_row.is_some_and(|(key, _)| key == claim.key);
            if is_replaced {
                stored_row = stored.next().transpose()?;
            }
            into.push(claim.key, claim.sealed)?;
            match (table, is_replaced) {
                (Table::Cards, true) => merged.replaced += 1,
                (Table::Cards, false) => merged.added += 1,
                _ => {}
            }
        }
        while let Some((key, row)) = stored_row {
            into.push(key, row)?;
            stored_row = stored.next().transpose()?;
        }
        into.hand_on()?;
    }
    Ok(merged)
}

/// Rows of one table that are handed on in pieces.
struct Pieces<'t> {
    to_write: &'t SyncSender<Piece>,
    piece: Piece,
}

impl Pieces<'_> {
    fn push(&mut self, key: &[u8], row: &[u8]) -> Result<(), StoreError> {
        self.piece.push(key, row)?;
        if self.piece.is_full() { self.hand_on() } else { Ok(()) }
    }

    fn hand_on(&mut self) -> Result<(), StoreError> {
        let next = Piece::new(self.piece.table());
        // Whoever writes has failed otherwise, and that is what is told.
        let taken = self.to_write.send(std::mem::replace(&mut self.piece, next));
        taken.map_err(|_| StoreError::Busy)
    }
}
