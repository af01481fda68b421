//! Cards in memory, looked up in the most obvious way.

use std::io::Read;
use std::sync::{PoisonError, RwLock};

use super::{CardStore, CardVisitor, CheckReport, NewCard, PutOutcome, REFS_MAX, StoreError};
use crate::bank::BankId;
use crate::card_ref::CardRef;
use crate::import::{
    CardImport, ImportError, ImportOptions, ImportSummary, ImportWatcher, RowCard, one_by_one,
};
use crate::record::CardRecord;

/// A store that forgets everything when it is dropped: for tests, and a handful of cards.
///
/// Cards are kept in clear and zeroized when replaced or dropped. A look-up reads the cards one by
/// one; the suite that both stores run holds [`EmbeddedStore`](super::EmbeddedStore) to what this
/// one does.
#[derive(Debug, Default)]
pub struct MemoryStore {
    /// Boxed, because a growing vector leaves copies of what it moves.
    #[expect(clippy::vec_box, reason = "a growing vector moves pointers, not cards")]
    cards: RwLock<Vec<Box<Card>>>,
}

#[derive(Debug)]
struct Card {
    bank: BankId,
    refs: Vec<CardRef>,
    record: CardRecord,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl CardStore for MemoryStore {
    fn resolve(&self, bank: &BankId, card: &CardRef) -> Result<Option<CardRecord>, StoreError> {
        let cards = self.cards.read().unwrap_or_else(PoisonError::into_inner);
        let found = cards.iter().find(|known| known.bank == *bank && known.refs.contains(card));
        Ok(found.map(|known| known.record.clone()))
    }

    fn put_many(&self, new: &[NewCard<'_>]) -> Result<Vec<PutOutcome>, StoreError> {
        let mut cards = self.cards.write().unwrap_or_else(PoisonError::into_inner);
        Ok(new.iter().map(|new| put(&mut cards, new)).collect())
    }

    fn len(&self) -> Result<u64, StoreError> {
        Ok(self.cards.read().unwrap_or_else(PoisonError::into_inner).len() as u64)
    }

    fn each_card(&self, visit: &mut CardVisitor<'_>) -> Result<(), StoreError> {
        let cards = self.cards.read().unwrap_or_else(PoisonError::into_inner);
        let _ = cards.iter().try_for_each(|card| visit(&card.bank, &card.refs, &card.record));
        Ok(())
    }

    fn check(&self) -> Result<CheckReport, StoreError> {
        let cards = self.cards.read().unwrap_or_else(PoisonError::into_inner);
        Ok(CheckReport {
            cards: cards.len() as u64,
            references: cards.iter().map(|card| card.refs.len() as u64).sum(),
            ..CheckReport::default()
        })
    }
}

impl CardImport for MemoryStore {
    fn import(
        &self,
        input: &mut dyn Read,
        options: &ImportOptions,
        watcher: &mut dyn ImportWatcher,
    ) -> Result<ImportSummary, ImportError> {
        one_by_one(input, options, watcher, &mut |RowCard { bank, refs, record }| {
            let outcomes = self.put_many(&[NewCard { bank, refs, record }])?;
            Ok(outcomes[0])
        })
    }
}

#[expect(clippy::vec_box, reason = "as in the store")]
fn put(cards: &mut Vec<Box<Card>>, new: &NewCard<'_>) -> PutOutcome {
    let is_same = |known: &Card| known.bank == *new.bank && known.record.pan() == new.record.pan();
    let taken = new.refs.iter().position(|card| {
        cards
            .iter()
            .any(|known| known.bank == *new.bank && !is_same(known) && known.refs.contains(card))
    });
    if let Some(reference) = taken {
        return PutOutcome::Taken { reference };
    }

    let same = cards.iter().position(|known| is_same(known));
    let known_refs = same.map_or(&[][..], |at| &cards[at].refs);
    let mut refs = Vec::with_capacity(known_refs.len() + new.refs.len());
    refs.extend_from_slice(known_refs);
    for card in new.refs {
        if !refs.contains(card) {
            refs.push(card.clone());
        }
    }
    if new.refs.is_empty() || refs.len() > REFS_MAX {
        let count = if new.refs.is_empty() { 0 } else { refs.len() };
        return PutOutcome::References { count };
    }

    let card = Box::new(Card { bank: *new.bank, refs, record: new.record.clone() });
    if let Some(at) = same {
        cards[at] = card;
        PutOutcome::Replaced
    } else {
        cards.push(card);
        PutOutcome::Added
    }
}
