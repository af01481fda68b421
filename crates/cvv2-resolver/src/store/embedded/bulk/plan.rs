//! Which rows of a file can be stored in the order of their keys.
//!
//! Most rows of a file have nothing to do with each other. A row *stands alone* if no other row of
//! the file has its PAN or one of its references, and what the store has is the very same card
//! under no other references, or nothing. Rows that stand alone can be stored in any order, with
//! what was sealed for them when they were read. All others depend on the order of the file, as
//! `put` does: they are put one by one, afterwards. That comes to the same, because a row that
//! stands alone shares nothing with any other.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use heed::RoTxn;

use super::spool::{By, Sorted, Spool};
use super::{PARTS, part_of};
use crate::import::Claim;
use crate::seal::{Sealer, Table};
use crate::store::StoreError;
use crate::store::embedded::generation::Generation;
use crate::store::embedded::writing::unopened;

/// A mark for each row of a file.
pub(super) struct Marks {
    words: Vec<AtomicU64>,
}

impl Marks {
    /// No mark for any of the rows up to this number.
    fn none(rows: u64) -> Self {
        let words = usize::try_from(rows / 64 + 1).expect("as many bits as fit into memory");
        Self { words: (0..words).map(|_| AtomicU64::new(0)).collect() }
    }

    fn set(&self, row: u64) {
        self.word(row).fetch_or(1 << (row % 64), Ordering::Relaxed);
    }

    pub(super) fn has(&self, row: u64) -> bool {
        self.word(row).load(Ordering::Relaxed) & 1 << (row % 64) != 0
    }

    pub(super) fn are_empty(&self) -> bool {
        self.words.iter().all(|word| word.load(Ordering::Relaxed) == 0)
    }

    fn word(&self, row: u64) -> &AtomicU64 {
        &self.words[usize::try_from(row / 64).expect("a row of the file")]
    }
}

/// Marks the rows that do not stand alone, of a file with so many rows.
pub(super) fn mark(
    spool: &Spool,
    rows: u64,
    store: &Generation,
    sealer: &Sealer,
) -> Result<Marks, StoreError> {
    let marks = Marks::none(rows);
    let next = AtomicUsize::new(0);
    let work = || {
        let txn = store.env.read_txn()?;
        loop {
            let part = next.fetch_add(1, Ordering::Relaxed);
            if part >= PARTS {
                return Ok::<_, StoreError>(());
            }
            let sorted = Sorted::read(spool, part, By::Key)?;
            mark_part(&sorted, part, store, &txn, sealer, &marks)?;
        }
    };
    thread::scope(|scope| {
        let other = scope.spawn(work);
        let here = work();
        let there = other.join().expect("a thread that panics has nothing to tell");
        here.and(there)
    })?;
    Ok(marks)
}

/// Marks among the claims of one part, which all rows with the same key are in.
fn mark_part(
    sorted: &Sorted,
    part: usize,
    store: &Generation,
    txn: &RoTxn<'_>,
    sealer: &Sealer,
    marks: &Marks,
) -> Result<(), StoreError> {
    let (table, first_byte) = part_of(part);
    let mut known = store.tables.rows(table).prefix_iter(txn, &[first_byte])?;
    let mut known_row = known.next().transpose()?;
    let mut claims = sorted.claims().peekable();
    while let Some(claim) = claims.next() {
        while claims.peek().is_some_and(|next| next.key == claim.key) {
            let next = claims.next().expect("it was there a moment ago");
            marks.set(claim.row);
            marks.set(next.row);
        }
        while known_row.is_some_and(|(key, _)| key < &claim.key[..]) {
            known_row = known.next().transpose()?;
        }
        if let Some((key, row)) = known_row
            && key == claim.key
            && !marks.has(claim.row)
            && !takes_the_place_of(&claim, row, sealer)?
        {
            marks.set(claim.row);
        }
    }
    Ok(())
}

/// Whether a claim may stand where `row` stands: of a card if it has all references that the card
/// has, of a reference if it is the same card's.
fn takes_the_place_of(claim: &Claim<'_>, row: &[u8], sealer: &Sealer) -> Result<bool, StoreError> {
    let place = claim.place().ok_or(io::Error::from(io::ErrorKind::InvalidData))?;
    let own = |_| unopened(sealer, claim.table, claim.sealed);
    let stored = |_| unopened(sealer, claim.table, row);
    if claim.table == Table::Cards {
        let new = sealer.open_card(&place, claim.sealed).map_err(own)?;
        let old = sealer.open_card(&place, row).map_err(stored)?;
        Ok(old.refs.iter().all(|card| new.refs.contains(card)))
    } else {
        let new = sealer.open_record(&place, claim.sealed).map_err(own)?;
        let old = sealer.open_record(&place, row).map_err(stored)?;
        Ok(new.pan() == old.pan())
    }
}
