//! Which keys a store has, which one is the current one, and how many rows each may still seal.

use std::sync::{Mutex, PoisonError};

use super::error::Failure;
use super::pool::{PostgresPool, Session};
use super::queries::{Query, in_schema};
use crate::seal::{FORMAT, KeyId, KeyVersion, SEALS_MAX, Sealer, Table};
use crate::store::StoreError;
use crate::store::live_key::LiveKey;

const DAMAGED: StoreError = StoreError::Damaged { table: Table::Meta.name() };

/// Makes the schema's tables a store under the sealer's keys.
pub(super) fn write_first(
    session: &mut Session<'_>,
    sealer: &Sealer,
    version: KeyVersion,
) -> Result<(), Failure> {
    let insert = in_schema(
        "INSERT INTO {schema}.store (format, index_key, current_key) VALUES ($1, $2, $3)
         ON CONFLICT DO NOTHING",
        session.schema(),
    );
    let values = (i16::from(FORMAT), &sealer.id().0[..], number(version));
    if session.txn.execute(&insert, &[&values.0, &values.1, &values.2])? == 0 {
        return Err(StoreError::SchemaExists { schema: session.schema().to_owned() }.into());
    }
    add(session, sealer, version)
}

/// Adds a key to those that rows may be sealed under.
pub(super) fn add(
    session: &mut Session<'_>,
    sealer: &Sealer,
    version: KeyVersion,
) -> Result<(), Failure> {
    let LiveKey { id, proof, .. } = LiveKey::new(sealer, version)?;
    let insert = in_schema(
        "INSERT INTO {schema}.sealing_keys (version, id, proof, seals) VALUES ($1, $2, $3, $4)",
        session.schema(),
    );
    let seals = LiveKey::SEALS.cast_signed();
    session.txn.execute(&insert, &[&number(version), &&id.0[..], &&proof[..], &seals])?;
    Ok(())
}

/// Refuses another format and other keys, before anything else is read, and returns the version of
/// the current key.
pub(super) fn check(session: &mut Session<'_>, sealer: &Sealer) -> Result<KeyVersion, Failure> {
    let select = "SELECT format, index_key, current_key FROM {schema}.store";
    let select = in_schema(select, session.schema());
    let row = session.txn.query_opt(&select, &[])?;
    let missing = || StoreError::MissingSchema { schema: session.schema().to_owned() };
    let row = row.ok_or_else(missing)?;
    let format = row.get::<_, i16>(0);
    if format != i16::from(FORMAT) {
        let found = u8::try_from(format).map_err(|_| DAMAGED)?;
        return Err(StoreError::Format { found, supported: FORMAT }.into());
    }
    let index = KeyId(row.get::<_, &[u8]>(1).try_into().map_err(|_| DAMAGED)?);
    if index != sealer.id() {
        return Err(StoreError::WrongKeys { store: index, given: sealer.id() }.into());
    }
    let current = version(row.get(2))?;

    let select = "SELECT version, id, proof FROM {schema}.sealing_keys ORDER BY version";
    let select = in_schema(select, session.schema());
    let mut has_current = false;
    for row in session.txn.query(&select, &[])? {
        let key = LiveKey {
            version: version(row.get(0))?,
            id: KeyId(row.get::<_, &[u8]>(1).try_into().map_err(|_| DAMAGED)?),
            proof: row.get::<_, &[u8]>(2).try_into().map_err(|_| DAMAGED)?,
        };
        key.check(sealer)?;
        has_current |= key.version == current;
    }
    if has_current { Ok(current) } else { Err(DAMAGED.into()) }
}

/// The version of the current key. Until the transaction ends nobody makes another one current, and
/// nobody forgets a key.
pub(super) fn hold_current(session: &mut Session<'_>) -> Result<KeyVersion, Failure> {
    let rows = session.query(Query::CurrentKey, &[])?;
    Ok(version(rows.first().ok_or(DAMAGED)?.get(0))?)
}

pub(super) fn version(number: i16) -> Result<KeyVersion, StoreError> {
    u8::try_from(number).ok().and_then(KeyVersion::new).ok_or(DAMAGED)
}

pub(super) fn number(version: KeyVersion) -> i16 {
    i16::from(version.number())
}

/// Seals that were counted in the database and not made yet, under one key.
///
/// They are counted before they are made, so a process that is killed has made no more than were
/// counted, and many at a time, so that not each card waits for it.
#[derive(Default)]
pub(super) struct SealBudget(Mutex<Option<(KeyVersion, i64)>>);

/// Seals that are counted at a time.
const BLOCK: i64 = 1 << 14;

impl SealBudget {
    /// Takes so many seals under a key, unless the store has no such key any more.
    ///
    /// # Errors
    ///
    /// [`StoreError::KeyWornOut`] where the key may not seal so many.
    pub(super) fn take(
        &self,
        pool: &PostgresPool,
        version: KeyVersion,
        seals: u64,
    ) -> Result<bool, StoreError> {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = left.filter(|(of, _)| *of == version).map_or(0, |(_, left)| left);
        let lacking = (seals.cast_signed() - known).max(0);
        let mut counted = 0;
        if lacking > 0 {
            // The last ones are taken as they are needed.
            for block in [lacking.max(BLOCK), lacking] {
                if counted == 0 && count(pool, version, block)? {
                    counted = block;
                }
            }
            if counted == 0 {
                let is_live = is_live(pool, version)?;
                return if is_live { Err(StoreError::KeyWornOut { version }) } else { Ok(false) };
            }
        }
        *left = Some((version, known + counted - seals.cast_signed()));
        Ok(true)
    }

    /// Sets right what was taken: `taken` seals, of which `made` were made. More were made where a
    /// transaction had to be done again; those are counted with the next ones.
    pub(super) fn settle(&self, version: KeyVersion, taken: u64, made: u64) {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, left)) = &mut *left
            && *of == version
        {
            *left += taken.cast_signed() - made.cast_signed();
        }
    }
}

/// Counts so many seals more under a key, if there is one and it may make them.
fn count(pool: &PostgresPool, version: KeyVersion, seals: i64) -> Result<bool, StoreError> {
    let update = in_schema(
        "UPDATE {schema}.sealing_keys SET seals = seals + $2
         WHERE version = $1 AND seals + $2 <= $3",
        pool.schema(),
    );
    let values = (number(version), seals, SEALS_MAX.cast_signed());
    let counted = pool
        .write(|session| Ok(session.txn.execute(&update, &[&values.0, &values.1, &values.2])?))?;
    Ok(counted == 1)
}

fn is_live(pool: &PostgresPool, version: KeyVersion) -> Result<bool, StoreError> {
    let select = in_schema("SELECT FROM {schema}.sealing_keys WHERE version = $1", pool.schema());
    pool.read(|link| Ok(link.client.query_opt(&select, &[&number(version)])?.is_some()))
}
