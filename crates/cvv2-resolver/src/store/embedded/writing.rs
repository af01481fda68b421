//! Putting cards: one transaction for each group of callers.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use heed::RwTxn;

use super::generation::Generation;
use crate::bank::BankId;
use crate::card_ref::CardRef;
use crate::encoding::RecordBytes;
use crate::record::CardRecord;
use crate::seal::{Nonces, Sealer, Table, Unopened};
use crate::store::refs_after_put::refs_after_put;
use crate::store::{NewCard, PutOutcome, StoreError, unopened};

/// A transaction that puts cards.
pub(super) struct Writing<'g> {
    generation: &'g Generation,
    sealer: &'g Sealer,
    pub(super) txn: RwTxn<'g>,
    nonces: Nonces,
}

impl<'g> Writing<'g> {
    pub(super) fn begin(
        generation: &'g Generation,
        sealer: &'g Sealer,
    ) -> Result<Self, StoreError> {
        Ok(Self { generation, sealer, txn: generation.env.write_txn()?, nonces: Nonces::new() })
    }

    /// Puts one card, if its references allow it.
    pub(super) fn put(&mut self, new: &NewCard<'_>) -> Result<PutOutcome, StoreError> {
        let Self { generation, sealer, txn, nonces } = self;
        let tables = &generation.tables;
        let home = sealer.card(*new.bank, new.record.pan());
        let known = match tables.cards.get(txn, &home.key())? {
            Some(row) => match sealer.open_card(&home, row) {
                Ok(card) => card.refs,
                Err(Unopened) => return Err(unopened(sealer, Table::Cards, row)),
            },
            None => Vec::new(),
        };
        let is_new = known.is_empty();
        let refs = refs_after_put(known, new.refs, |card| {
            let place = sealer.reference(*new.bank, card);
            Ok::<_, StoreError>(tables.references.get(txn, &place.key())?.is_some())
        })?;
        let refs = match refs {
            Ok(refs) => refs,
            Err(refused) => return Ok(refused),
        };

        let row = sealer.seal_card(sealer.current(), &home, new.record, &refs, nonces)?;
        tables.cards.put(txn, &home.key(), &row)?;
        let mut record = RecordBytes::new();
        record.write(new.record);
        for card in &refs {
            let place = sealer.reference(*new.bank, card);
            let row = sealer.seal(&place, &nonces.next()?, record.as_slice());
            tables.references.put(txn, &place.key(), &row)?;
        }
        Ok(if is_new { PutOutcome::Added } else { PutOutcome::Replaced })
    }

    /// Commits, and returns when the disk has it.
    pub(super) fn commit(mut self) -> Result<(), StoreError> {
        let (made, under) = (self.nonces.given().cast_signed(), self.sealer.current());
        self.generation.tables.count_seals(&mut self.txn, under, made)?;
        Ok(self.txn.commit()?)
    }
}

/// Lets callers who put at the same time share a commit.
///
/// A commit waits for the disk, and the disk takes as long for many cards as for one. So whoever
/// comes while another's commit is under way leaves its cards here; the first who then gets the
/// turn puts the cards of all who wait.
#[derive(Default)]
pub(super) struct Turns {
    waiting: Mutex<Vec<Arc<Ticket>>>,
    turn: Mutex<()>,
}

/// The cards of one caller, and what became of them.
struct Ticket {
    cards: Vec<(BankId, Vec<CardRef>, CardRecord)>,
    outcome: Mutex<Option<Outcomes>>,
}

type Outcomes = Result<Vec<PutOutcome>, StoreError>;

impl Turns {
    /// Waits until nobody writes, and keeps others from it.
    pub(super) fn take(&self) -> MutexGuard<'_, ()> {
        // Whoever panicked has left its transaction to be aborted: nothing is half done.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the cards put, by the caller or on its behalf, in one step and durably.
    ///
    /// `current` is asked for the generation to put them into when it is somebody's turn.
    pub(super) fn put(
        &self,
        cards: &[NewCard<'_>],
        sealer: &Sealer,
        current: impl Fn() -> Arc<Generation>,
    ) -> Outcomes {
        let cards = cards.iter().map(|new| (*new.bank, new.refs.to_vec(), new.record.clone()));
        let ticket = Arc::new(Ticket { cards: cards.collect(), outcome: Mutex::new(None) });
        lock(&self.waiting).push(Arc::clone(&ticket));
        let _turn = self.take();
        if let Some(outcome) = lock(&ticket.outcome).take() {
            return outcome;
        }
        let group = mem::take(&mut *lock(&self.waiting));
        put_group(&group, &current(), sealer);
        let outcome = lock(&ticket.outcome).take();
        outcome.expect("nobody but who has the turn takes tickets away, and then answers them")
    }
}

/// Puts the cards of all tickets in one transaction; or each ticket's in its own, where one of them
/// would be the end of all.
fn put_group(group: &[Arc<Ticket>], generation: &Generation, sealer: &Sealer) {
    let together = || {
        let mut writing = Writing::begin(generation, sealer)?;
        let outcomes =
            group.iter().map(|ticket| ticket.put(&mut writing)).collect::<Result<Vec<_>, _>>()?;
        writing.commit()?;
        Ok::<_, StoreError>(outcomes)
    };
    match together() {
        Ok(all) => {
            for (ticket, outcomes) in group.iter().zip(all) {
                *lock(&ticket.outcome) = Some(Ok(outcomes));
            }
        }
        Err(error) if group.len() == 1 => *lock(&group[0].outcome) = Some(Err(error)),
        Err(_) => {
            for alone in group {
                put_group(&[Arc::clone(alone)], generation, sealer);
            }
        }
    }
}

impl Ticket {
    fn put(&self, writing: &mut Writing<'_>) -> Outcomes {
        let cards = self.cards.iter();
        cards.map(|(bank, refs, record)| writing.put(&NewCard { bank, refs, record })).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
