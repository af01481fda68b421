//! A set of nodes of a circuit.

use core::ops::{BitAnd, BitOr, BitXor, Not};

/// A set of nodes, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Nodes(u128);

impl Nodes {
    /// Nodes above this one do not fit into a set, so circuits must not have them.
    pub(crate) const NODES_MAX: usize = 128;

    /// No node.
    pub(crate) const EMPTY: Self = Self(0);

    /// The nodes `0..end`.
    #[inline]
    #[must_use]
    pub(crate) const fn below(end: usize) -> Self {
        Self(if end < 128 { (1 << end) - 1 } else { u128::MAX })
    }

    /// Only `node`.
    #[inline]
    #[must_use]
    pub(crate) const fn one(node: u8) -> Self {
        Self(1 << node)
    }

    /// Whether `node` is in the set.
    #[inline]
    #[must_use]
    pub(crate) const fn has(self, node: u8) -> bool {
        self.0 >> node & 1 == 1
    }

    /// Whether there is no node in the set.
    #[inline]
    #[must_use]
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many nodes are in the set.
    #[inline]
    #[must_use]
    pub(crate) const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The same set without `node`.
    #[inline]
    #[must_use]
    pub(crate) const fn without(self, node: u8) -> Self {
        Self(self.0 & !(1 << node))
    }
}

/// For each of the 64 inputs of the S-box, the nodes that are 1.
pub(crate) fn columns(tables: &[u64], columns: &mut [Nodes; 64]) {
    let mut halves = [[0; 64]; 2];
    for (half, tables) in halves.iter_mut().zip(tables.chunks(64)) {
        half[..tables.len()].copy_from_slice(tables);
        transpose(half);
    }
    let [low, high] = halves;
    for (column, (low, high)) in columns.iter_mut().zip(low.into_iter().zip(high)) {
        *column = Nodes(u128::from(low) | u128::from(high) << 64);
    }
}

/// Swaps bit `j` of word `i` with bit `i` of word `j`.
fn transpose(words: &mut [u64; 64]) {
    let mut half = 32;
    let mut mask = u64::MAX >> 32;
    while half != 0 {
        for i in 0..64 {
            if i & half == 0 {
                let swap = (words[i] >> half ^ words[i | half]) & mask;
                words[i] ^= swap << half;
                words[i | half] ^= swap;
            }
        }
        half >>= 1;
        mask ^= mask << half;
    }
}

impl BitAnd for Nodes {
    type Output = Self;
    #[inline]
    fn bitand(self, rhs: Self) -> Self {
        Self(self.0 & rhs.0)
    }
}

impl BitOr for Nodes {
    type Output = Self;
    #[inline]
    fn bitor(self, rhs: Self) -> Self {
        Self(self.0 | rhs.0)
    }
}

impl BitXor for Nodes {
    type Output = Self;
    #[inline]
    fn bitxor(self, rhs: Self) -> Self {
        Self(self.0 ^ rhs.0)
    }
}

impl Not for Nodes {
    type Output = Self;
    #[inline]
    fn not(self) -> Self {
        Self(!self.0)
    }
}

impl IntoIterator for Nodes {
    type Item = u8;
    type IntoIter = Rising;
    #[inline]
    fn into_iter(self) -> Rising {
        Rising(self)
    }
}

/// The nodes of a set in rising order.
#[derive(Clone, Debug)]
pub(crate) struct Rising(Nodes);

impl Iterator for Rising {
    type Item = u8;
    #[inline]
    fn next(&mut self) -> Option<u8> {
        let Nodes(rest) = self.0;
        if rest == 0 {
            return None;
        }
        self.0 = Nodes(rest & (rest - 1));
        Some(node(rest.trailing_zeros() as usize))
    }
}

/// The number of the node at a place of a list.
#[inline]
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "no list is longer than NODES_MAX")]
pub(crate) const fn node(at: usize) -> u8 {
    at as u8
}
