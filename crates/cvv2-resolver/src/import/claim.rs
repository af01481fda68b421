//! A sealed row on its way to its place.

use crate::seal::{KeyVersion, Nonces, Place, SEAL_LEN, Sealer, Table};

/// What a row of a file wants to stand in a store: a sealed row, ready for its place.
///
/// Claims are handed on, and may be written to disk, as bytes: table, length, number of the row,
/// key, sealed row. Nothing in them is readable without the keys but the bank and the number of the
/// row.
#[derive(Clone, Copy)]
pub(crate) struct Claim<'c> {
    pub(crate) table: Table,
    /// The number of the row in the file.
    pub(crate) row: u64,
    /// Where it is to stand.
    pub(crate) key: &'c [u8; Place::KEY_LEN],
    pub(crate) sealed: &'c [u8],
}

/// Table, length, row, key.
const HEAD_LEN: usize = 1 + 2 + 8 + Place::KEY_LEN;

impl<'c> Claim<'c> {
    /// Seals `plain` for `place` and writes the claim behind what is in `into`.
    pub(crate) fn seal(
        into: &mut Vec<u8>,
        row: u64,
        place: &Place,
        plain: &[u8],
        (sealer, version): (&Sealer, KeyVersion),
        nonces: &mut Nonces,
    ) -> Result<(), getrandom::Error> {
        let len = u16::try_from(plain.len() + SEAL_LEN).expect("cards are shorter than 64 KiB");
        into.push(place.table as u8);
        into.extend_from_slice(&len.to_le_bytes());
        into.extend_from_slice(&row.to_le_bytes());
        into.extend_from_slice(&place.key());
        sealer.seal_into(into, version, place, &nonces.next()?, plain);
        Ok(())
    }

    /// The first claim, and what is behind it; nothing where there is no whole one.
    pub(crate) fn split_first(bytes: &'c [u8]) -> Option<(Self, &'c [u8])> {
        let (head, rest) = bytes.split_first_chunk::<HEAD_LEN>()?;
        let (&[table], head) = head.split_first_chunk()?;
        let (&len, head) = head.split_first_chunk()?;
        let (&row, key) = head.split_first_chunk()?;
        let (sealed, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(len)))?;
        let claim = Self {
            table: Table::from_number(table)?,
            row: u64::from_le_bytes(row),
            key: key.try_into().ok()?,
            sealed,
        };
        Some((claim, rest))
    }

    /// How many bytes it is.
    pub(crate) fn len(&self) -> usize {
        HEAD_LEN + self.sealed.len()
    }

    /// Where it is to stand.
    pub(crate) fn place(&self) -> Option<Place> {
        Place::from_key(self.table, self.key)
    }
}
