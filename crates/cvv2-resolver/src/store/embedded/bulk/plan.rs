//! Which rows of a file can be stored in the order of their keys.
//!
//! Most rows of a file have nothing to do with each other. A row *stands alone* if no other row of
//! the file has its PAN or one of its references, and what the store has is the very same card
//! under no other references, or nothing. Rows that stand alone can be stored in any order, with
//! what was sealed for them when they were read. All others depend on the order of the file, as
//! `put` does: they are put one by one, afterwards. That comes to the same, because a row that
//! stands alone shares nothing with any other.
//!
//! Whether a reference that the store has is the card's own is not looked up for each: of a card
//! that the store has, it is known which references it has, and the store has every one of them. So
//! it is enough that the store has as many of a row's references as are the card's own.

use std::io;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::thread;

use heed::RoTxn;

use super::spool::{By, Sorted, Spool};
use super::{PARTS, part_of};
use crate::card_ref::CardRef;
use crate::import::Claim;
use crate::seal::{Sealer, Table};
use crate::store::embedded::generation::Generation;
use crate::store::{StoreError, unopened};

/// A mark for each row of a file.
pub(super) struct Marks {
    words: Vec<AtomicU64>,
}

impl Marks {
    /// No mark for any of the rows up to this number.
    pub(super) fn none(rows: u64) -> Self {
        let words = usize::try_from(rows / 64 + 1).expect("a bit for each row fits into memory");
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
    let bytes = usize::try_from(rows + 1).expect("a byte for each row fits into memory");
    let plan = Plan {
        store,
        sealer,
        marks: Marks::none(rows),
        own: (0..bytes).map(|_| AtomicU8::new(0)).collect(),
    };
    let next = AtomicUsize::new(0);
    let work = || {
        let txn = store.env.read_txn()?;
        loop {
            let part = next.fetch_add(1, Ordering::Relaxed);
            if part >= PARTS {
                return Ok::<_, StoreError>(());
            }
            plan.compare(&Sorted::read(spool, part, By::Key)?, part, &txn)?;
        }
    };
    thread::scope(|scope| {
        let other = scope.spawn(work);
        let here = work();
        let there = other.join().expect("a thread that panics has nothing to tell");
        here.and(there)
    })?;
    for (row, left) in (0..).zip(&plan.own) {
        if left.load(Ordering::Relaxed) != 0 {
            plan.marks.set(row);
        }
    }
    Ok(plan.marks)
}

struct Plan<'s> {
    store: &'s Generation,
    sealer: &'s Sealer,
    marks: Marks,
    /// For each row how many of its references are the card's own in the store, less those that the
    /// store has: zero in the end, or it has one of another card's. At most 64 are added or taken
    /// away, so that it goes round without harm.
    own: Vec<AtomicU8>,
}

impl Plan<'_> {
    /// Marks what the claims of one part show: all claims with the same key are in the same part.
    fn compare(&self, sorted: &Sorted, part: usize, txn: &RoTxn<'_>) -> Result<(), StoreError> {
        let (table, first_byte) = part_of(part);
        let mut known = self.store.tables.rows(table).prefix_iter(txn, &[first_byte])?;
        let mut known_row = known.next().transpose()?;
        let mut claims = sorted.claims().peekable();
        while let Some(claim) = claims.next() {
            while claims.peek().is_some_and(|next| next.key == claim.key) {
                let next = claims.next().expect("it was there a moment ago");
                self.marks.set(claim.row);
                self.marks.set(next.row);
            }
            while known_row.is_some_and(|(key, _)| key < &claim.key[..]) {
                known_row = known.next().transpose()?;
            }
            if let Some((key, row)) = known_row
                && key == claim.key
                && !self.marks.has(claim.row)
            {
                self.compare_with_store(&claim, row)?;
            }
        }
        Ok(())
    }

    /// What a claim means to the row that stands in its place.
    fn compare_with_store(&self, claim: &Claim<'_>, row: &[u8]) -> Result<(), StoreError> {
        let own = usize::try_from(claim.row).expect("a row of the file");
        if claim.table == Table::References {
            self.own[own].fetch_sub(1, Ordering::Relaxed);
            return Ok(());
        }
        let [new, old] = [self.refs(claim, claim.sealed)?, self.refs(claim, row)?];
        if old.iter().all(|card| new.contains(card)) {
            let count = u8::try_from(old.len()).expect("at most 64");
            self.own[own].fetch_add(count, Ordering::Relaxed);
        } else {
            self.marks.set(claim.row);
        }
        Ok(())
    }

    /// The references of a card that is sealed for the place of `claim`.
    fn refs(&self, claim: &Claim<'_>, row: &[u8]) -> Result<Vec<CardRef>, StoreError> {
        let place = claim.place().ok_or(io::Error::from(io::ErrorKind::InvalidData))?;
        match self.sealer.open_card(&place, row) {
            Ok(card) => Ok(card.refs),
            Err(_) => Err(unopened(self.sealer, claim.table, row)),
        }
    }
}
