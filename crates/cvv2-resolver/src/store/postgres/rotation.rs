//! New sealing keys for a store that is in use, by any number of replicas.

use super::error::Failure;
use super::keys;
use super::pool::Session;
use super::queries::{Query, in_schema};
use super::rows::{Key, Keys, place_of};
use super::{PostgresStore, know_current, table_name};
use crate::seal::{INDEX_LEN, KeyVersion, Nonces, Place, Table, Unopened};
use crate::store::resealing::{Position, Resealed, START, START_OF_REFERENCES, thousandths};
use crate::store::{StoreError, unopened};

impl PostgresStore {
    /// The version of the key that this store sealed under when it last wrote.
    #[must_use]
    pub fn current_key(&self) -> KeyVersion {
        self.sealer.current()
    }

    /// Makes a sealing key the current one: cards are sealed under it from now on, by all replicas.
    ///
    /// The key must be among those that this store was opened with, and those of every other replica:
    /// one that has not got it refuses to write, and refuses rows under it, with
    /// [`StoreError::MissingKey`]. So give it to all of them first. Rows that were sealed before stay
    /// as they are, and open, until [`reseal`](Self::reseal) has got to them.
    ///
    /// This waits for everybody who writes at the moment, up to the lock time-out of the options.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotNewer`] for a version that is not above all that the store has had,
    /// [`StoreError::MissingKey`] where the key was not given, and [`StoreError`] where the database
    /// fails.
    pub fn begin_rotation(&self, to: KeyVersion) -> Result<(), StoreError> {
        self.pool.write(|session| {
            // Waits for all who write, and keeps others from it.
            let hold =
                in_schema("SELECT current_key FROM {schema}.store FOR UPDATE", session.schema());
            let current = keys::version(session.txn.query_one(&hold, &[])?.get(0))?;
            if to <= current {
                return Err(StoreError::NotNewer { current, given: to }.into());
            }
            keys::add(session, &self.sealer, to)?;
            let change = in_schema("UPDATE {schema}.store SET current_key = $1", session.schema());
            session.txn.execute(&change, &[&keys::number(to)])?;
            let begin = in_schema(
                "INSERT INTO {schema}.resealing (position) VALUES ($1)
                 ON CONFLICT (only_row) DO UPDATE SET position = EXCLUDED.position",
                session.schema(),
            );
            session.txn.execute(&begin, &[&&START[..]])?;
            Ok(())
        })?;
        know_current(&self.sealer, to)
    }

    /// Seals the next rows again, up to so many and at most 65,536, under the current key, durably
    /// and in one step.
    ///
    /// To be called until [`Resealed::is_all`]; others may read, write and do the same in between,
    /// and after a kill it goes on where it was. In the end the other keys are no longer needed, and
    /// the store opens without them. Where no rotation is under way, everything is done at once.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] for a row that does not open, [`StoreError::KeyWornOut`], and
    /// [`StoreError`] where the database fails.
    pub fn reseal(&self, rows: usize) -> Result<Resealed, StoreError> {
        let rows = rows.clamp(1, ROWS_MAX);
        self.sealing(&|_| rows as u64, |session, version, nonces| {
            self.reseal_in(session, rows, version, nonces)
        })
    }

    fn reseal_in(
        &self,
        session: &mut Session<'_>,
        rows: usize,
        version: KeyVersion,
        nonces: &mut Nonces,
    ) -> Result<Resealed, Failure> {
        // One after the other.
        let hold =
            in_schema("SELECT position FROM {schema}.resealing FOR UPDATE", session.schema());
        let Some(row) = session.txn.query_opt(&hold, &[])? else {
            return Ok(Resealed { rows: 0, done: 1000 });
        };
        let position: Position =
            row.get::<_, &[u8]>(0).try_into().map_err(|_| damaged(Table::Meta))?;
        let table = if position[0] == 0 { Table::Cards } else { Table::References };
        let behind = Key::try_from(&position[1..]).expect("as long as that");
        let (resealed, next) =
            self.reseal_behind(session, (table, behind), rows, version, nonces)?;
        let done = match next {
            Some(key) => {
                let mut position = position;
                position[1..].copy_from_slice(&key);
                set_position(session, &position)?;
                thousandths(&position)
            }
            None if table == Table::Cards => {
                set_position(session, &START_OF_REFERENCES)?;
                500
            }
            None => {
                retire_other_keys(session, version)?;
                1000
            }
        };
        Ok(Resealed { rows: resealed, done })
    }

    /// Seals rows of a table again that stand behind a key. Returns how many, and the last one's key.
    fn reseal_behind(
        &self,
        session: &mut Session<'_>,
        (table, behind): (Table, Key),
        rows: usize,
        version: KeyVersion,
        nonces: &mut Nonces,
    ) -> Result<(u64, Option<Key>), Failure> {
        let (hash, bank) = behind.split_at(INDEX_LEN);
        let bank = str::from_utf8(bank).map_err(|_| damaged(Table::Meta))?.trim_end_matches('\0');
        // The number is in the text, so that the database knows it for its plan.
        let select = format!(
            "SELECT hash, bank, sealed FROM {}.{} WHERE (hash, bank) > ($1, $2)
             ORDER BY hash, bank LIMIT {rows}",
            session.schema(),
            table_name(table)
        );
        let found = session.txn.query(&select, &[&hash, &bank])?;
        let mut places = Vec::new();
        let (mut old, mut new) = (Vec::new(), Vec::new());
        let mut last = None;
        for row in &found {
            let place: Place = place_of(row, table).ok_or_else(|| damaged(table))?;
            last = Some(place.key());
            let sealed: &[u8] = row.get(2);
            if sealed.first() == Some(&version.number()) {
                continue;
            }
            new.push(
                self.sealer
                    .reseal(version, &place, sealed, &nonces.next()?)
                    .map_err(|Unopened| unopened(&self.sealer, table, sealed))?,
            );
            old.push(sealed);
            places.push(place);
        }
        if places.is_empty() {
            return Ok((0, last));
        }
        let query =
            if table == Table::Cards { Query::ResealCards } else { Query::ResealReferences };
        let Keys { hashes, banks } = Keys::of(&places);
        // Whoever has put a row meanwhile has sealed it under the current key.
        Ok((session.execute(query, &[&hashes, &banks, &old, &new])?, last))
    }
}

/// The most rows of one step.
const ROWS_MAX: usize = 1 << 16;

fn set_position(session: &mut Session<'_>, position: &Position) -> Result<(), postgres::Error> {
    let update = in_schema("UPDATE {schema}.resealing SET position = $1", session.schema());
    session.txn.execute(&update, &[&&position[..]])?;
    Ok(())
}

/// Forgets all sealing keys but the current one: no row is sealed under another.
fn retire_other_keys(
    session: &mut Session<'_>,
    current: KeyVersion,
) -> Result<(), postgres::Error> {
    let delete = "DELETE FROM {schema}.sealing_keys WHERE version <> $1";
    session.txn.execute(&in_schema(delete, session.schema()), &[&keys::number(current)])?;
    let delete = "DELETE FROM {schema}.resealing";
    session.txn.execute(&in_schema(delete, session.schema()), &[])?;
    Ok(())
}

fn damaged(table: Table) -> StoreError {
    StoreError::Damaged { table: table.name() }
}
