//! What a card is found by after a put, or why it is refused.

use super::{PutOutcome, REFS_MAX};
use crate::card_ref::CardRef;

/// The references of a card after a put: those that it has, then those that are new.
///
/// `is_there` says whether the store has a reference that the card has not.
///
/// # Errors
///
/// Whatever error asking the store has. A put that is refused is no error: its outcome is inside.
pub(super) fn refs_after_put<E>(
    known: Vec<CardRef>,
    given: &[CardRef],
    mut is_there: impl FnMut(&CardRef) -> Result<bool, E>,
) -> Result<Result<Vec<CardRef>, PutOutcome>, E> {
    let mut refs = known;
    for (reference, card) in given.iter().enumerate() {
        if refs.contains(card) {
            continue;
        }
        if is_there(card)? {
            return Ok(Err(PutOutcome::Taken { reference }));
        }
        refs.push(card.clone());
    }
    if given.is_empty() || refs.len() > REFS_MAX {
        let count = if given.is_empty() { 0 } else { refs.len() };
        return Ok(Err(PutOutcome::References { count }));
    }
    Ok(Ok(refs))
}
