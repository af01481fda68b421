//! A transaction that puts cards.

use heed::RwTxn;

use super::generation::Generation;
use crate::encoding::RecordBytes;
use crate::seal::{Nonces, Sealer, Table, Unopened};
use crate::store::refs_after_put::refs_after_put;
use crate::store::{NewCard, PutOutcome, StoreError, unopened};

/// A transaction that puts cards.
pub(super) struct Writing<'g> {
    generation: &'g Generation,
    sealer: &'g Sealer,
    pub(super) txn: RwTxn<'g>,
    nonces: Nonces,
}

impl<'g> Writing<'g> {
    pub(super) fn begin(
        generation: &'g Generation,
        sealer: &'g Sealer,
    ) -> Result<Self, StoreError> {
        Ok(Self { generation, sealer, txn: generation.env.write_txn()?, nonces: Nonces::new() })
    }

    /// Puts one card, if its references allow it.
    pub(super) fn put(&mut self, new: &NewCard<'_>) -> Result<PutOutcome, StoreError> {
        let Self { generation, sealer, txn, nonces } = self;
        let tables = &generation.tables;
        let home = sealer.card(*new.bank, new.record.pan());
        let known = match tables.cards.get(txn, &home.key())? {
            Some(row) => match sealer.open_card(&home, row) {
                Ok(card) => card.refs,
                Err(Unopened) => return Err(unopened(sealer, Table::Cards, row)),
            },
            None => Vec::new(),
        };
        let is_new = known.is_empty();
        let refs = refs_after_put(known, new.refs, |card| {
            let place = sealer.reference(*new.bank, card);
            Ok::<_, StoreError>(tables.references.get(txn, &place.key())?.is_some())
        })?;
        let refs = match refs {
            Ok(refs) => refs,
            Err(refused) => return Ok(refused),
        };

        let row = sealer.seal_card(sealer.current(), &home, new.record, &refs, nonces)?;
        tables.cards.put(txn, &home.key(), &row)?;
        let mut record = RecordBytes::new();
        record.write(new.record);
        for card in &refs {
            let place = sealer.reference(*new.bank, card);
            let row = sealer.seal(&place, &nonces.next()?, record.as_slice());
            tables.references.put(txn, &place.key(), &row)?;
        }
        Ok(if is_new { PutOutcome::Added } else { PutOutcome::Replaced })
    }

    /// Commits, and returns when the disk has it.
    pub(super) fn commit(mut self) -> Result<(), StoreError> {
        let (made, under) = (self.nonces.given().cast_signed(), self.sealer.current());
        self.generation.tables.count_seals(&mut self.txn, under, made)?;
        Ok(self.txn.commit()?)
    }
}
