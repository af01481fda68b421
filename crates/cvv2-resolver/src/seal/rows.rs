//! What the rows of a store hold: sealed records and sealed cards.

use super::{KeyVersion, NONCE_LEN, Nonces, Place, SEAL_LEN, Sealer, Unopened};
use crate::card_ref::CardRef;
use crate::encoding::{Card, CardBytes, Plain, RecordBytes};
use crate::record::CardRecord;

impl Sealer {
    /// Opens the row of a reference.
    pub(crate) fn open_record(&self, place: &Place, row: &[u8]) -> Result<CardRecord, Unopened> {
        let mut bytes = RecordBytes::new();
        self.open_into(place, row, &mut bytes)?;
        bytes.read().ok_or(Unopened)
    }

    /// Opens the row of a card.
    pub(crate) fn open_card(&self, place: &Place, row: &[u8]) -> Result<Card, Unopened> {
        let mut bytes = CardBytes::new();
        self.open_into(place, row, &mut bytes)?;
        bytes.read().ok_or(Unopened)
    }

    /// Seals a card for its own row, under the key of a version that there is.
    pub(crate) fn seal_card(
        &self,
        version: KeyVersion,
        place: &Place,
        record: &CardRecord,
        refs: &[CardRef],
        nonces: &mut Nonces,
    ) -> Result<Vec<u8>, getrandom::Error> {
        let mut bytes = CardBytes::new();
        bytes.write(record, refs);
        Ok(self.seal_under(version, place, &nonces.next()?, bytes.as_slice()))
    }

    /// Seals a row again under the key of a version that there is, whatever it holds.
    pub(crate) fn reseal(
        &self,
        version: KeyVersion,
        place: &Place,
        row: &[u8],
        nonce: &[u8; NONCE_LEN],
    ) -> Result<Vec<u8>, Unopened> {
        let mut bytes = CardBytes::new();
        self.open_into(place, row, &mut bytes)?;
        Ok(self.seal_under(version, place, nonce, bytes.as_slice()))
    }

    fn open_into<const ROOM: usize>(
        &self,
        place: &Place,
        row: &[u8],
        into: &mut Plain<ROOM>,
    ) -> Result<(), Unopened> {
        let len = row.len().checked_sub(SEAL_LEN).ok_or(Unopened)?;
        self.open(place, row, into.room_for(len).ok_or(Unopened)?)
    }
}
