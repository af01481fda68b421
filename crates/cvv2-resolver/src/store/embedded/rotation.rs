//! New keys for a store that is in use, and a copy of a store under other keys.

use std::ops::{Bound, ControlFlow};
use std::path::Path;

use super::EmbeddedStore;
use super::bulk::deal_out;
use crate::encoding::Card;
use crate::import::Sealing;
use crate::seal::{KeyVersion, Nonces, Place, StoreKeys, Table, Unopened};
use crate::store::resealing::{Resealed, START, START_OF_REFERENCES, thousandths};
use crate::store::{StoreError, unopened};

impl EmbeddedStore {
    /// The version of the key that this store seals under.
    #[must_use]
    pub fn current_key(&self) -> KeyVersion {
        self.sealer.current()
    }

    /// Makes a sealing key the current one: cards are sealed under it from now on.
    ///
    /// The key must be among those that the store was opened with. Rows that were sealed before stay
    /// as they are, and open, until [`reseal`](Self::reseal) has got to them. Processes that read
    /// the store need the new key from now on; those that have not got it refuse rows under it with
    /// [`StoreError::MissingKey`].
    ///
    /// # Errors
    ///
    /// [`StoreError::NotNewer`] for a version that is not above all that the store has had,
    /// [`StoreError::MissingKey`] where the key was not given, [`StoreError::Busy`],
    /// [`StoreError::ReadOnly`], and [`StoreError::Storage`] where the file system fails.
    pub fn begin_rotation(&self, to: KeyVersion) -> Result<(), StoreError> {
        let _upkeep = self.begin_upkeep()?;
        let _turn = self.turns.take();
        let generation = self.generation();
        let mut txn = generation.env.write_txn()?;
        let mut live = generation.tables.live_keys(&txn)?;
        let current = live.current;
        if to <= current {
            return Err(StoreError::NotNewer { current, given: to });
        }
        // Nobody seals meanwhile: it is this thread's turn.
        let missing = |Unopened| StoreError::MissingKey { version: to };
        self.sealer.set_current(to).map_err(missing)?;
        let begin = || {
            generation.tables.add_live_key(&mut txn, &mut live, &self.sealer)?;
            generation.tables.set_reseal(&mut txn, &START)?;
            Ok(txn.commit()?)
        };
        begin().inspect_err(|_| {
            let known = self.sealer.set_current(current);
            known.expect("it was the current one");
        })
    }

    /// Seals the next rows again, up to so many, under the current key, durably and in one step.
    ///
    /// To be called until [`Resealed::is_all`]; others may read and write in between, and after a
    /// kill it goes on where it was. In the end the other keys are no longer needed, and the store
    /// opens without them. Where no rotation is under way, everything is done at once.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] for a row that does not open, [`StoreError::KeyWornOut`],
    /// [`StoreError::Busy`], [`StoreError::ReadOnly`], and [`StoreError::Storage`] where the file
    /// system fails.
    pub fn reseal(&self, rows: usize) -> Result<Resealed, StoreError> {
        let _upkeep = self.begin_upkeep()?;
        let _turn = self.turns.take();
        let generation = self.generation();
        let tables = &generation.tables;
        let mut txn = generation.env.write_txn()?;
        let Some(position) = tables.reseal(&txn)? else {
            return Ok(Resealed { rows: 0, done: 1000 });
        };
        let table = if position[0] == 0 { Table::Cards } else { Table::References };
        let behind = Bound::Excluded(&position[1..]);

        let current = self.sealer.current().number();
        let mut next = None;
        let mut old_rows = Vec::new();
        for row in tables.rows(table).range(&txn, &(behind, Bound::Unbounded))?.take(rows.max(1)) {
            let (key, row) = row?;
            next = Some(<[u8; Place::KEY_LEN]>::try_from(key).map_err(|_| damaged(table))?);
            if row.first() != Some(&current) {
                old_rows.push((key.to_vec(), row.to_vec()));
            }
        }
        let mut nonces = Nonces::new();
        for (key, row) in &old_rows {
            let place = Place::from_key(table, key).ok_or_else(|| damaged(table))?;
            let row = self
                .sealer
                .reseal(self.sealer.current(), &place, row, &nonces.next()?)
                .map_err(|Unopened| unopened(&self.sealer, table, row))?;
            tables.rows(table).put(&mut txn, key, &row)?;
        }
        tables.count_seals(&mut txn, self.sealer.current(), nonces.given().cast_signed())?;
        let done = match next {
            Some(key) => {
                let mut position = position;
                position[1..].copy_from_slice(&key);
                tables.set_reseal(&mut txn, &position)?;
                thousandths(&position)
            }
            None if table == Table::Cards => {
                tables.set_reseal(&mut txn, &START_OF_REFERENCES)?;
                500
            }
            None => {
                tables.retire_other_keys(&mut txn)?;
                1000
            }
        };
        txn.commit()?;
        Ok(Resealed { rows: nonces.given(), done })
    }

    /// Writes all cards into a new store in another directory, under other keys, and opens it.
    ///
    /// This is what replaces an index key: with another index key every row has another place. Cards
    /// that are put into this store meanwhile may be missing in the copy. A copy that is cut short
    /// leaves a store without cards behind, to be taken away.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create), and [`StoreError`] where this store cannot be read or holds a
    /// card that does not open.
    pub fn copy_to(
        &self,
        directory: impl AsRef<Path>,
        keys: &StoreKeys,
    ) -> Result<Self, StoreError> {
        let copy = Self::create(directory, keys)?;
        let mut spool = copy.new_spool()?;
        let mut sealing = Sealing::new(&copy.sealer, copy.sealer.current());
        let mut nonces = Nonces::new();
        let mut row = 0;
        let mut claims = Vec::new();
        self.try_each_card(|bank, Card { record, refs }| {
            row += 1;
            claims.clear();
            sealing.claim(row, bank, record, refs, &mut claims, &mut nonces)?;
            deal_out(&claims, &mut spool)?;
            Ok(ControlFlow::Continue(()))
        })?;
        spool.flush()?;
        copy.merge_copied(&spool, row, nonces.given())?;
        Ok(copy)
    }
}

fn damaged(table: Table) -> StoreError {
    StoreError::Damaged { table: table.name() }
}
