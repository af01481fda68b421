//! How far sealing a store again under a new key is.

use crate::seal::Place;

/// How far sealing a store again is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resealed {
    /// Rows that this call has sealed again.
    pub rows: u64,
    /// How much of the store is done, in thousandths; 1000 when everything is.
    pub done: u16,
}

impl Resealed {
    /// Whether every row is sealed under the current key, and the others are no longer needed.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.done == 1000
    }
}

/// How far sealing again is: 0 for cards and 1 for references, then the key of the last row.
pub(super) type Position = [u8; 1 + Place::KEY_LEN];

/// No row has a key of zeros: an index is zero for one card in 2^128.
pub(super) const START: Position = [0; _];
pub(super) const START_OF_REFERENCES: Position = {
    let mut start = START;
    start[0] = 1;
    start
};

/// How much is done, with even keys.
pub(super) fn thousandths(position: &Position) -> u16 {
    let [table, first, second, ..] = *position;
    let of_table = u32::from(u16::from_be_bytes([first, second])) * 500 / 65_536;
    500 * u16::from(table) + u16::try_from(of_table).expect("below 500")
}
