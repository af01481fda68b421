//! Putting cards: what the database has is held, what is to be there is worked out here, and all of it
//! is written by a few statements.
//!
//! Two writers who put the same card wait for each other at its row, and two who add the same card or
//! reference at the same time meet at the table's key: the second one's insertion fails, its
//! transaction is done again, and then it sees what the first one has put.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::error::Failure;
use super::pool::Session;
use super::queries::Query;
use super::rows::{Key, Keys, SealedRows, place_of};
use crate::card_ref::CardRef;
use crate::encoding::RecordBytes;
use crate::seal::{KeyVersion, Nonces, Place, Sealer, Table, Unopened};
use crate::store::refs_after_put::refs_after_put;
use crate::store::{NewCard, PutOutcome, REFS_MAX, StoreError, unopened};

/// The most seals that putting these cards can take.
pub(super) fn seals_max(cards: usize) -> u64 {
    (cards * (1 + REFS_MAX)) as u64
}

/// Puts cards in a transaction that holds the current key, which has this version.
pub(super) fn put(
    session: &mut Session<'_>,
    (sealer, version): (&Sealer, KeyVersion),
    new: &[NewCard<'_>],
    nonces: &mut Nonces,
) -> Result<Vec<PutOutcome>, Failure> {
    // The cards after the references: a reference that another replica has committed in between is one
    // of its card's already. The other way round it would look like another card's.
    let known = known_references(session, sealer, new)?;
    let mut cards = known_cards(session, sealer, new)?;
    let mut added = HashSet::new();
    let mut outcomes = Vec::with_capacity(new.len());
    for new in new {
        let home = sealer.card(*new.bank, new.record.pan());
        let card = cards.entry(home.key()).or_insert_with(|| Draft::new(home));
        let refs = refs_after_put(card.refs.clone(), new.refs, |reference| {
            let key = sealer.reference(*new.bank, reference).key();
            Ok::<_, Failure>(known.contains(&key) || added.contains(&key))
        })?;
        outcomes.push(match refs {
            Ok(refs) => {
                let own = &refs[card.refs.len()..];
                added.extend(own.iter().map(|card| sealer.reference(*new.bank, card).key()));
                let is_new = card.refs.is_empty();
                card.refs = refs;
                card.put = Some(*new);
                if is_new { PutOutcome::Added } else { PutOutcome::Replaced }
            }
            Err(refused) => refused,
        });
    }
    write(session, (sealer, version), &cards, nonces)?;
    Ok(outcomes)
}

/// A card as it is, and as it is to be.
struct Draft<'n> {
    home: Place,
    refs: Vec<CardRef>,
    /// How many of its references the database has.
    stored: usize,
    /// What it was put as last.
    put: Option<NewCard<'n>>,
}

impl Draft<'_> {
    fn new(home: Place) -> Self {
        Self { home, refs: Vec::new(), stored: 0, put: None }
    }
}

/// The cards that there are of those that are put, held against changes.
fn known_cards<'n>(
    session: &mut Session<'_>,
    sealer: &Sealer,
    new: &[NewCard<'_>],
) -> Result<HashMap<Key, Draft<'n>>, Failure> {
    let homes: BTreeMap<_, _> = new
        .iter()
        .map(|new| sealer.card(*new.bank, new.record.pan()))
        .map(|home| (home.key(), home))
        .collect();
    let mut cards = HashMap::with_capacity(homes.len());
    for row in Keys::of(homes.values()).query(session, Query::HoldCards)? {
        let damaged = || StoreError::Damaged { table: Table::Cards.name() };
        let home = place_of(&row, Table::Cards).ok_or_else(damaged)?;
        let sealed = row.get(2);
        let card = sealer
            .open_card(&home, sealed)
            .map_err(|Unopened| unopened(sealer, Table::Cards, sealed))?;
        let stored = card.refs.len();
        cards.insert(home.key(), Draft { home, refs: card.refs, stored, put: None });
    }
    Ok(cards)
}

/// Which of the references that are given there are.
fn known_references(
    session: &mut Session<'_>,
    sealer: &Sealer,
    new: &[NewCard<'_>],
) -> Result<HashSet<Key>, Failure> {
    let places: BTreeMap<_, _> = new
        .iter()
        .flat_map(|new| new.refs.iter().map(|card| sealer.reference(*new.bank, card)))
        .map(|place| (place.key(), place))
        .collect();
    if places.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = Keys::of(places.values()).query(session, Query::KnownReferences)?;
    let damaged = || StoreError::Damaged { table: Table::References.name() };
    let key = |row| Ok(place_of(row, Table::References).ok_or_else(damaged)?.key());
    rows.iter().map(key).collect()
}

/// Writes the cards that were put, and their record under each of their references.
fn write(
    session: &mut Session<'_>,
    (sealer, version): (&Sealer, KeyVersion),
    cards: &HashMap<Key, Draft<'_>>,
    nonces: &mut Nonces,
) -> Result<(), Failure> {
    let [mut new_cards, mut cards_again] = [SealedRows::default(), SealedRows::default()];
    let [mut new_refs, mut refs_again] = [SealedRows::default(), SealedRows::default()];
    let mut record = RecordBytes::new();
    for Draft { home, refs, stored, put } in cards.values() {
        let Some(put) = put else { continue };
        let row = sealer.seal_card(version, home, put.record, refs, nonces)?;
        if *stored == 0 { &mut new_cards } else { &mut cards_again }.push(*home, row);
        record.write(put.record);
        for (at, card) in refs.iter().enumerate() {
            let place = sealer.reference(home.bank, card);
            let row = sealer.seal_under(version, &place, &nonces.next()?, record.as_slice());
            if at < *stored { &mut refs_again } else { &mut new_refs }.push(place, row);
        }
    }
    cards_again.write(session, Query::ReplaceCards)?;
    refs_again.write(session, Query::ReplaceReferences)?;
    new_cards.write(session, Query::InsertCards)?;
    new_refs.write(session, Query::InsertReferences)
}
