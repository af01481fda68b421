//! Sealed cards in PostgreSQL, for many replicas.

mod error;
mod import;
mod keys;
mod migration;
mod options;
mod pool;
mod queries;
mod rotation;
mod rows;
mod tls;
mod writing;

use std::collections::HashMap;
use std::fmt;
use std::ops::ControlFlow;

pub use self::error::DatabaseError;
use self::error::Failure;
use self::keys::SealBudget;
pub use self::options::{PostgresOptions, PostgresPassword, PostgresServer};
pub use self::pool::PostgresPool;
use self::pool::Session;
use self::queries::{Query, in_schema};
use self::rows::{Keys, place_of};
use super::{CardStore, CardVisitor, CheckReport, NewCard, PutOutcome, StoreError, unopened};
use crate::bank::BankId;
use crate::card_ref::CardRef;
use crate::encoding::Card;
use crate::record::CardRecord;
use crate::seal::{KeyVersion, Nonces, Place, Sealer, StoreKeys, Table, Unopened};

/// A store in a schema of a PostgreSQL database (15 or later).
///
/// Any number of processes read and write at the same time. The keys stay with them: the database
/// gets keyed hashes, codes of banks and sealed rows, in the same form as the embedded store's file.
///
/// # What is in the database
///
/// | table | row |
/// |---|---|
/// | `card_references` | keyed hash of the reference, bank → the sealed record |
/// | `cards` | keyed hash of the PAN, bank → the sealed card: the record and all its references |
/// | `store`, `sealing_keys` | format, ids and proofs of the keys, number of seals made under each |
/// | `resealing`, `import`, `import_refusals` | how far sealing again and an import are |
///
/// A look-up is one row of `card_references` by hash and bank; there is no statement that asks
/// across banks. Both tables of sealed rows are cut into parts by the hash, which is the first column
/// of their keys: a database that spreads rows over machines by the key spreads them evenly.
///
/// # Writers
///
/// Each transaction that writes cards holds the row that names the current key against changes, so
/// whoever makes another key current waits for them, and nothing is sealed under the old one
/// afterwards, by no replica. What gets into another's way is done again, as it was rolled back.
///
/// # Durability
///
/// A put returns after the database has said that the commit is durable. A database that does not
/// wait for its disk is refused ([`StoreError::NotDurable`]); where a session decides that, it is
/// switched on. A connection that is lost during the commit is [`StoreError::OutcomeUnknown`]: the
/// same put may be done again, whatever has become of it.
///
/// # Threads
///
/// Calls block. In a tokio runtime they belong to its threads for blocking tasks.
pub struct PostgresStore {
    pool: PostgresPool,
    /// Its current key is the one that was current when this process last wrote.
    sealer: Box<Sealer>,
    budget: SealBudget,
}

impl PostgresStore {
    /// Makes the tables where they are not there, and a new store in them.
    ///
    /// The role needs the right to make a schema or tables in it. Who only opens needs to read and
    /// write them.
    ///
    /// # Errors
    ///
    /// [`StoreError::SchemaExists`] where there is a store, and as [`PostgresPool::open`].
    pub fn create(options: &PostgresOptions, keys: &StoreKeys) -> Result<Self, StoreError> {
        let pool = PostgresPool::open(options)?;
        migration::migrate(&pool)?;
        let sealer = Sealer::new(keys);
        let version = sealer.current();
        pool.write(|session| keys::write_first(session, &sealer, version))?;
        Ok(Self { pool, sealer, budget: SealBudget::default() })
    }

    /// Brings the tables of a store to what this program works with, and returns how many steps that
    /// took: none where they are.
    ///
    /// # Errors
    ///
    /// As [`PostgresPool::open`].
    pub fn migrate(options: &PostgresOptions) -> Result<u32, StoreError> {
        migration::migrate(&PostgresPool::open(options)?)
    }

    /// Opens a store.
    ///
    /// # Errors
    ///
    /// [`StoreError::MissingSchema`] where there is none; [`StoreError::SchemaStep`] and
    /// [`StoreError::Format`] where it is another program's; [`StoreError::WrongKeys`],
    /// [`StoreError::WrongSealingKey`] and [`StoreError::MissingKey`] where it was not written under
    /// `keys`, or not all are given; and as [`PostgresPool::open`].
    pub fn open(options: &PostgresOptions, keys: &StoreKeys) -> Result<Self, StoreError> {
        Self::with_pool(PostgresPool::open(options)?, keys)
    }

    /// Opens a store with connections that serve others too.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn with_pool(pool: PostgresPool, keys: &StoreKeys) -> Result<Self, StoreError> {
        let sealer = Sealer::new(keys);
        let missing = || StoreError::MissingSchema { schema: pool.schema().to_owned() };
        let tables = in_schema("{schema}.migrations", pool.schema());
        let there: bool = pool.read(|link| {
            Ok(link.client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&tables])?.get(0))
        })?;
        if !there {
            return Err(missing());
        }
        let current = pool.read_snapshot(|session| {
            let select = in_schema("SELECT max(number) FROM {schema}.migrations", session.schema());
            let found: Option<i32> = session.txn.query_one(&select, &[])?.get(0);
            let (found, supported) = (found.ok_or_else(missing)?, migration::newest());
            if found != supported {
                return Err(StoreError::SchemaStep { found, supported }.into());
            }
            keys::check(session, &sealer)
        })?;
        know_current(&sealer, current)?;
        Ok(Self { pool, sealer, budget: SealBudget::default() })
    }

    /// The connections of this store.
    #[must_use]
    pub fn pool(&self) -> &PostgresPool {
        &self.pool
    }

    /// Whether look-ups can be answered now: the database answers, and the key that is its current
    /// one is among this store's.
    ///
    /// # Errors
    ///
    /// [`StoreError::MissingKey`] where another replica has made a key current that this one has not
    /// got, and [`StoreError::Storage`] where the database does not answer.
    pub fn ready(&self) -> Result<(), StoreError> {
        let version = self.current_in_database()?;
        if self.sealer.sealing_id(version).is_some() {
            Ok(())
        } else {
            Err(StoreError::MissingKey { version })
        }
    }

    fn current_in_database(&self) -> Result<KeyVersion, StoreError> {
        let select = in_schema("SELECT current_key FROM {schema}.store", self.pool.schema());
        let number = self.pool.read(|link| Ok(link.client.query_one(&select, &[])?.get(0)))?;
        keys::version(number)
    }

    /// Does a transaction that seals rows under the key that is the current one as long as it lasts.
    ///
    /// `seals` says how many there will be at most. Where another replica has made another key
    /// current, it is known from then on.
    fn sealing<T>(
        &self,
        seals: &dyn Fn(KeyVersion) -> u64,
        mut task: impl FnMut(&mut Session<'_>, KeyVersion, &mut Nonces) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        loop {
            let version = self.sealer.current();
            let taken = seals(version);
            if !self.budget.take(&self.pool, version, taken)? {
                know_current(&self.sealer, self.current_in_database()?)?;
                continue;
            }
            let mut made = 0;
            let result = self.pool.write(|session| {
                let current = keys::hold_current(session)?;
                know_current(&self.sealer, current)?;
                if current != version {
                    return Ok(None);
                }
                let mut nonces = Nonces::new();
                let result = task(session, version, &mut nonces);
                made += nonces.given();
                result.map(Some)
            });
            self.budget.settle(version, taken, made);
            if let Some(result) = result? {
                return Ok(result);
            }
        }
    }

    /// Compares the copies of some cards' records with the cards, and returns how many there are.
    fn check_cards(
        &self,
        session: &mut Session<'_>,
        cards: &[(BankId, Card)],
        report: &mut CheckReport,
    ) -> Result<u64, Failure> {
        let places: Vec<_> = cards
            .iter()
            .flat_map(|(bank, card)| card.refs.iter().map(|c| self.sealer.reference(*bank, c)))
            .collect();
        let rows = Keys::of(&places).query(session, Query::References)?;
        let sealed: HashMap<_, &[u8]> = rows
            .iter()
            .filter_map(|row| Some((place_of(row, Table::References)?.key(), row.get(2))))
            .collect();
        let records = cards.iter().flat_map(|(_, card)| card.refs.iter().map(|_| &card.record));
        let mut present = 0;
        for (place, of_card) in places.iter().zip(records) {
            let Some(sealed) = sealed.get(&place.key()) else {
                report.references_missing += 1;
                continue;
            };
            present += 1;
            match self.sealer.open_record(place, sealed) {
                Ok(record) if record == *of_card => {}
                Ok(_) => report.references_differing += 1,
                Err(Unopened) => report.references_unopened += 1,
            }
        }
        Ok(present)
    }

    /// The card of a row, if it opens and stands where it belongs.
    fn card_of_row(&self, row: &postgres::Row) -> Option<(BankId, Card)> {
        let home = place_of(row, Table::Cards)?;
        let card = self.sealer.open_card(&home, row.get(2)).ok()?;
        (self.sealer.card(home.bank, card.record.pan()) == home).then_some((home.bank, card))
    }
}

impl CardStore for PostgresStore {
    fn resolve(&self, bank: &BankId, card: &CardRef) -> Result<Option<CardRecord>, StoreError> {
        let place = self.sealer.reference(*bank, card);
        let Place { index, bank, .. } = &place;
        let row = self
            .pool
            .read(|link| Ok(link.query_opt(Query::Lookup, &[&&index[..], &bank.as_str()])?))?;
        let Some(row) = row else { return Ok(None) };
        let sealed = row.get(0);
        match self.sealer.open_record(&place, sealed) {
            Ok(record) => Ok(Some(record)),
            Err(Unopened) => Err(unopened(&self.sealer, Table::References, sealed)),
        }
    }

    fn put_many(&self, cards: &[NewCard<'_>]) -> Result<Vec<PutOutcome>, StoreError> {
        if cards.is_empty() {
            return Ok(Vec::new());
        }
        self.sealing(&|_| writing::seals_max(cards.len()), |session, version, nonces| {
            writing::put(session, (&self.sealer, version), cards, nonces)
        })
    }

    /// Counts them, which takes as long as the database takes to read its index.
    fn len(&self) -> Result<u64, StoreError> {
        self.pool.read_snapshot(|session| {
            session.take_time()?;
            Ok(count(session, Table::Cards)?)
        })
    }

    fn is_empty(&self) -> Result<bool, StoreError> {
        let select =
            in_schema("SELECT NOT EXISTS (SELECT FROM {schema}.cards)", self.pool.schema());
        self.pool.read(|link| Ok(link.client.query_one(&select, &[])?.get(0)))
    }

    fn ready(&self) -> Result<(), StoreError> {
        self.ready()
    }

    /// A connection of the pool is taken until `visit` has seen the last card.
    fn each_card(&self, visit: &mut CardVisitor<'_>) -> Result<(), StoreError> {
        self.pool.read_snapshot(|session| {
            session.take_time()?;
            each_batch(session, |_, rows| {
                for row in rows {
                    let (bank, card) = self
                        .card_of_row(row)
                        .ok_or_else(|| unopened(&self.sealer, Table::Cards, row.get(2)))?;
                    if visit(&bank, &card.refs, &card.record).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Ok(ControlFlow::Continue(()))
            })
        })
    }

    fn check(&self) -> Result<CheckReport, StoreError> {
        self.pool.read_snapshot(|session| {
            session.take_time()?;
            let mut report = CheckReport {
                cards: count(session, Table::Cards)?,
                references: count(session, Table::References)?,
                ..CheckReport::default()
            };
            let mut listed = 0;
            each_batch(session, |session, rows| {
                let cards: Vec<_> = rows.iter().filter_map(|row| self.card_of_row(row)).collect();
                report.cards_unopened += (rows.len() - cards.len()) as u64;
                listed += self.check_cards(session, &cards, &mut report)?;
                Ok(ControlFlow::Continue(()))
            })?;
            // No reference is listed twice: it would be of two cards, and differ from one of them.
            report.references_unlisted = report.references.saturating_sub(listed);
            Ok(report)
        })
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("pool", &self.pool).finish_non_exhaustive()
    }
}

/// Seals under this key from now on, or says that it was not given.
fn know_current(sealer: &Sealer, version: KeyVersion) -> Result<(), StoreError> {
    sealer.set_current(version).map_err(|Unopened| StoreError::MissingKey { version })
}

fn table_name(table: Table) -> &'static str {
    match table {
        Table::References => "card_references",
        Table::Cards => "cards",
        Table::Meta => "store",
    }
}

fn count(session: &mut Session<'_>, table: Table) -> Result<u64, postgres::Error> {
    let select = format!("SELECT count(*) FROM {}.{}", session.schema(), table_name(table));
    Ok(session.txn.query_one(&select, &[])?.get::<_, i64>(0).cast_unsigned())
}

/// Cards that are fetched at a time.
const BATCH: i32 = 1000;

/// Shows all rows of cards to `look`, some at a time.
fn each_batch(
    session: &mut Session<'_>,
    mut look: impl FnMut(&mut Session<'_>, &[postgres::Row]) -> Result<ControlFlow<()>, Failure>,
) -> Result<(), Failure> {
    let statement = session.prepared(Query::EachCard)?;
    let portal = session.txn.bind(&statement, &[])?;
    loop {
        let rows = session.txn.query_portal(&portal, BATCH)?;
        if rows.is_empty() || look(session, &rows)?.is_break() {
            return Ok(());
        }
    }
}
