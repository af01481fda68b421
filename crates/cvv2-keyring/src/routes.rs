//! From the leading digits of a PAN to the keys that may be asked for it.
//!
//! The number space of twelve digits is cut wherever a range starts or ends. Between two cuts all
//! cards have the same keys, so a lookup is one binary search. It branches on the leading digits of
//! the PAN as far as the keyring tells them apart: on the BIN, which is no secret.

use std::ops::RangeInclusive;

use crate::bin_range::BinRange;
use crate::rules::Chains;

/// The keys of one kind, by leading digits.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    /// Where a section of the number space starts; it ends where the next one starts.
    starts: Vec<u64>,
    /// For each section, its keys in `keys`.
    sections: Vec<(u32, u32)>,
    /// The newest key first.
    keys: Vec<u32>,
}

impl Routes {
    /// The routes of these ranges, each of the key with an index, which are free of overlaps.
    pub(crate) fn new<'a>(
        ranges: impl Iterator<Item = (&'a BinRange, usize)>,
        chains: &Chains,
    ) -> Self {
        let mut claims: Vec<Claim> = ranges.map(|(bins, key)| Claim::new(bins, key)).collect();
        claims.sort_by_key(|claim| claim.first);
        let mut cuts: Vec<u64> =
            claims.iter().flat_map(|claim| [claim.first, claim.last + 1]).collect();
        cuts.sort_unstable();
        cuts.dedup();

        let mut routes = Self::default();
        let mut coming = claims.iter().peekable();
        let mut here: Vec<&Claim> = Vec::new();
        for cut in cuts {
            here.retain(|claim| claim.last >= cut);
            while let Some(claim) = coming.next_if(|claim| claim.first == cut) {
                here.push(claim);
            }
            routes.push(cut, &keys_of(&here, chains));
        }
        routes
    }

    /// The keys for these leading digits, the newest first.
    #[inline]
    pub(crate) fn keys(&self, leading: u64) -> &[u32] {
        // The section before the first start has no keys.
        let Some(section) = self.starts.partition_point(|start| *start <= leading).checked_sub(1)
        else {
            return &[];
        };
        let (first, count) = self.sections[section];
        &self.keys[first as usize..][..count as usize]
    }

    /// Every section of the number space with its keys, the newest first.
    pub(crate) fn sections(&self) -> impl Iterator<Item = (RangeInclusive<u64>, &[u32])> {
        // The last section has no end and no keys.
        self.starts.windows(2).zip(&self.sections).map(|(bounds, (first, count))| {
            let keys = &self.keys[*first as usize..][..*count as usize];
            (bounds[0]..=bounds[1] - 1, keys)
        })
    }

    fn push(&mut self, start: u64, keys: &[u32]) {
        let last = self.sections.last().copied().unwrap_or((0, 0));
        if &self.keys[last.0 as usize..][..last.1 as usize] == keys {
            return; // The section goes on.
        }
        let first = index(self.keys.len());
        self.keys.extend_from_slice(keys);
        self.starts.push(start);
        self.sections.push((first, index(keys.len())));
    }
}

/// The keys of a section, the newest first: that of the longest prefix, and its predecessors.
fn keys_of(here: &[&Claim], chains: &Chains) -> Vec<u32> {
    let newest = here.iter().max_by_key(|claim| (claim.digits, chains.depth(claim.key)));
    let Some(newest) = newest.map(|claim| claim.key) else { return Vec::new() };
    let is_here = |key: &usize| here.iter().any(|claim| claim.key == *key);
    std::iter::once(newest).chain(chains.predecessors(newest).filter(is_here)).map(index).collect()
}

/// A key's claim to a part of the number space.
struct Claim {
    first: u64,
    last: u64,
    digits: u32,
    key: usize,
}

impl Claim {
    fn new(bins: &BinRange, key: usize) -> Self {
        let (first, last) = bins.leading().into_inner();
        Self { first, last, digits: bins.digits(), key }
    }
}

fn index(count: usize) -> u32 {
    u32::try_from(count).expect("far fewer keys and ranges than four billion")
}
