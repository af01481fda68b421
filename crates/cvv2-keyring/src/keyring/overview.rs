//! What is in force on a day, for people who look at a keyring.

use std::collections::BTreeSet;

use time::Date;

use super::{Key, Keyring};
use crate::bin_range::BinRange;
use crate::entry::KeyEntry;
use crate::kind::Kind;
use crate::month::Month;

/// Cards that have the same keys on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InForce<'a> {
    /// The kind of value.
    pub kind: Kind,
    /// The leading digits of the cards.
    pub bins: BinRange,
    /// The first month in which the cards expire, if there is one.
    pub cards_expiring_from: Option<Month>,
    /// The first month in which they do not any more, if there is one.
    pub cards_expiring_before: Option<Month>,
    /// The key that generates.
    pub generating: Option<&'a KeyEntry>,
    /// The keys that verify: the one in force first, then the others from the newest to the oldest.
    pub verifying: Vec<&'a KeyEntry>,
}

impl Keyring {
    /// Which keys generate and verify on a day, for all cards that have any: by kind, by leading
    /// digits, by expiry.
    #[must_use]
    pub fn overview(&self, on: Date) -> Vec<InForce<'_>> {
        let mut rows = Vec::new();
        for (kind, routes) in Kind::ALL.into_iter().zip(&self.routes) {
            for (leading, keys) in routes.sections() {
                let bins = BinRange::of_leading(&leading);
                let keys: Vec<_> = keys.iter().map(|key| &self.keys[*key as usize]).collect();
                for (cards_expiring_from, cards_expiring_before) in spans(&keys) {
                    let expires = cards_expiring_from.unwrap_or(Month::MIN);
                    let admitted = || keys.iter().filter(|key| key.admits(expires, on));
                    let generating = admitted()
                        .find(|key| key.entry.state.generates())
                        .and_then(|key| key.generating())
                        .map(|key| key.entry);
                    let mut verifying: Vec<_> =
                        admitted().filter_map(|key| key.verifying()).map(|key| key.entry).collect();
                    let first = verifying.iter().position(|entry| Some(*entry) == generating);
                    if let Some(at) = first {
                        verifying[..=at].rotate_right(1);
                    }
                    if generating.is_some() || !verifying.is_empty() {
                        rows.push(InForce {
                            kind,
                            bins,
                            cards_expiring_from,
                            cards_expiring_before,
                            generating,
                            verifying,
                        });
                    }
                }
            }
        }
        rows
    }
}

/// The spans of expiry in which cards have the same keys: from a month, and before another.
fn spans(keys: &[&Key]) -> impl Iterator<Item = (Option<Month>, Option<Month>)> {
    let months: BTreeSet<_> = keys.iter().filter_map(|key| key.entry.cards_expiring_from).collect();
    let from = std::iter::once(None).chain(months.clone().into_iter().map(Some));
    let before = months.into_iter().map(Some).chain([None]);
    from.zip(before)
}
