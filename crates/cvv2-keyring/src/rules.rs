//! What the keys of one keyring must not do to each other.
//!
//! After these checks no card has two keys that could both be the one in force: at every point of
//! the number space, the keys of the longest prefix and their predecessors are a line, and each of
//! them starts later than the one before.

use std::collections::HashMap;

use crate::kind::Kind;
use crate::load_error::{Fault, LoadCause, line};
use crate::text::Placed;

/// The most keys of a chain, from the first to its last successor.
pub const CHAIN_KEYS_MAX: usize = 100;

/// Who takes over from whom, by index of the key.
#[derive(Debug)]
pub(crate) struct Chains {
    predecessors: Vec<Option<usize>>,
}

impl Chains {
    /// The key that `key` takes over from, then that one's predecessor, and so on.
    pub(crate) fn predecessors(&self, key: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.predecessors[key], |key| self.predecessors[*key])
    }

    /// How many keys were there before.
    pub(crate) fn depth(&self, key: usize) -> usize {
        self.predecessors(key).count()
    }

    fn is_successor(&self, newer: usize, older: usize) -> bool {
        self.predecessors(newer).any(|key| key == older)
    }

    fn new(keys: &[Placed]) -> Result<Self, Fault> {
        let by_name: HashMap<&str, usize> =
            keys.iter().enumerate().map(|(index, key)| (&*key.entry.name, index)).collect();
        let predecessor = |key: &Placed| match &key.entry.predecessor {
            None => Ok(None),
            Some(name) => by_name
                .get(&**name)
                .map(|index| Some(*index))
                .ok_or_else(|| predecessor_fault(key, LoadCause::UnknownPredecessor)),
        };
        let chains = Self { predecessors: keys.iter().map(predecessor).collect::<Result<_, _>>()? };
        chains.refuse_cycles(keys)?;
        Ok(chains)
    }

    fn refuse_cycles(&self, keys: &[Placed]) -> Result<(), Fault> {
        let chain = |index| self.predecessors(index).take(CHAIN_KEYS_MAX);
        if let Some(index) = (0..keys.len()).find(|index| chain(*index).any(|key| key == *index)) {
            return Err(predecessor_fault(&keys[index], LoadCause::Cycle));
        }
        // A cycle that is longer than any chain ends here, too.
        match (0..keys.len()).find(|index| chain(*index).count() == CHAIN_KEYS_MAX) {
            Some(index) => Err(predecessor_fault(&keys[index], LoadCause::ChainTooLong)),
            None => Ok(()),
        }
    }
}

/// Checks the keys against each other.
pub(crate) fn check(text: &str, keys: &[Placed]) -> Result<Chains, Fault> {
    for key in keys {
        refuse_until_before_from(key)?;
    }
    let chains = Chains::new(keys)?;
    for (index, key) in keys.iter().enumerate() {
        if let Some(older) = chains.predecessors(index).next() {
            check_succession(text, &keys[older], key)?;
        }
        for older in chains.predecessors(index) {
            refuse_return(text, &keys[older], key)?;
        }
    }
    for kind in Kind::ALL {
        check_ranges(text, keys, &chains, kind)?;
    }
    Ok(chains)
}

fn refuse_until_before_from(key: &Placed) -> Result<(), Fault> {
    match (key.entry.until, key.at.until) {
        (Some(until), Some(at)) if until < key.entry.from => {
            Err(Fault::new(at, "until", LoadCause::UntilBeforeFrom))
        }
        _ => Ok(()),
    }
}

fn check_succession(text: &str, older: &Placed, newer: &Placed) -> Result<(), Fault> {
    if newer.entry.from <= older.entry.from {
        let cause = LoadCause::StartsTooEarly { line: line(text, older.at.from) };
        return Err(Fault::new(newer.at.from, "from", cause));
    }
    if let (Some(until), Some(at)) = (older.entry.until, older.at.until)
        && until.next_day().is_some_and(|day| day < newer.entry.from)
    {
        let cause = LoadCause::Gap { line: line(text, at) };
        return Err(Fault::new(newer.at.from, "from", cause));
    }
    let months = (older.entry.cards_expiring_from, newer.entry.cards_expiring_from);
    let places = (older.at.cards_expiring_from, newer.at.cards_expiring_from);
    if let ((Some(older), Some(newer)), (Some(older_at), Some(newer_at))) = (months, places)
        && newer < older
    {
        let cause = LoadCause::StartsTooEarly { line: line(text, older_at) };
        return Err(Fault::new(newer_at, "cards_expiring_from", cause));
    }
    let mut kinds = newer.entry.kinds.iter();
    let same_kind = kinds.any(|kind| older.entry.kinds.contains(kind));
    if !same_kind || !share_cards(older, newer) {
        return Err(predecessor_fault(newer, LoadCause::Disjoint));
    }
    Ok(())
}

/// Refuses an older key that would come into force again after the last day of the newer.
fn refuse_return(text: &str, older: &Placed, newer: &Placed) -> Result<(), Fault> {
    let (Some(until), Some(at)) = (newer.entry.until, newer.at.until) else { return Ok(()) };
    let outlives = older.entry.until.is_none_or(|day| day > until);
    if outlives && older.entry.state.generates() {
        let line = line(text, older.at.until.unwrap_or(older.at.from));
        return Err(Fault::new(at, "until", LoadCause::PredecessorOutlives { line }));
    }
    Ok(())
}

fn share_cards(a: &Placed, b: &Placed) -> bool {
    let mut ranges: Vec<_> = a
        .entry
        .bins
        .iter()
        .map(|bins| (bins.leading(), false))
        .chain(b.entry.bins.iter().map(|bins| (bins.leading(), true)))
        .collect();
    ranges.sort_by_key(|(range, _)| *range.start());
    // The furthest end so far of either key's ranges.
    let mut ends = [None, None];
    ranges.into_iter().any(|(range, of_b)| {
        let shares = ends[usize::from(!of_b)].is_some_and(|end| end >= *range.start());
        let end = &mut ends[usize::from(of_b)];
        *end = (*end).max(Some(*range.end()));
        shares
    })
}

/// A range of a key, while ranges are compared.
struct Claim {
    first: u64,
    last: u64,
    digits: u32,
    key: usize,
    at: usize,
}

/// Compares every two ranges of a kind that share cards.
fn check_ranges(text: &str, keys: &[Placed], chains: &Chains, kind: Kind) -> Result<(), Fault> {
    let mut claims = Vec::new();
    for (index, key) in keys.iter().enumerate().filter(|(_, key)| key.entry.kinds.contains(&kind)) {
        for (bins, at) in key.entry.bins.iter().zip(&key.at.bins) {
            let (first, last) = bins.leading().into_inner();
            claims.push(Claim { first, last, digits: bins.digits(), key: index, at: *at });
        }
    }
    claims.sort_by_key(|claim| claim.first);
    let mut open: Vec<&Claim> = Vec::new();
    for claim in &claims {
        open.retain(|earlier| earlier.last >= claim.first);
        for earlier in &open {
            check_pair(text, chains, earlier, claim)?;
        }
        open.push(claim);
    }
    Ok(())
}

/// Checks two ranges that share cards.
fn check_pair(text: &str, chains: &Chains, a: &Claim, b: &Claim) -> Result<(), Fault> {
    let fault = |at, cause| Err(Fault::new(at, "bins", cause));
    // The older key and the newer, if one is.
    let succession = if chains.is_successor(a.key, b.key) {
        Some((b, a))
    } else if chains.is_successor(b.key, a.key) {
        Some((a, b))
    } else {
        None
    };
    match succession {
        Some((older, newer)) if newer.digits < older.digits => {
            let cause = LoadCause::ShorterThanPredecessor { line: line(text, older.at) };
            fault(newer.at, cause)
        }
        None if a.key == b.key || a.digits == b.digits => {
            let (earlier, later) = (a.at.min(b.at), a.at.max(b.at));
            let line = line(text, earlier);
            let own = a.key == b.key;
            fault(
                later,
                if own { LoadCause::OwnOverlap { line } } else { LoadCause::Overlap { line } },
            )
        }
        _ => Ok(()),
    }
}

fn predecessor_fault(key: &Placed, cause: LoadCause) -> Fault {
    Fault { at: key.at.predecessor.unwrap_or(key.at.name), field: Some("predecessor"), cause }
}
