//! Connections: made with time limits, kept, given out, and thrown away when they are lost.

mod manager;

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use postgres::types::ToSql;
use postgres::{Client, IsolationLevel, Row, Statement, Transaction};
use r2d2::{ManageConnection, Pool, PooledConnection};

use self::manager::{Manager, Silent};
use super::error::{DatabaseError, Failure, is_lost, of_commit};
use super::options::PostgresOptions;
use super::queries::Query;
use crate::store::StoreError;

/// Connections to a PostgreSQL database, for any number of threads.
///
/// A connection is used by one thread at a time, which drives it itself: not one of a tokio
/// runtime, where blocking is forbidden, but one of its threads for blocking tasks.
///
/// Clones share the same connections.
#[derive(Clone)]
pub struct PostgresPool {
    pool: Pool<Manager>,
    options: Arc<PostgresOptions>,
}

impl PostgresPool {
    /// Makes one connection, to see that it can be done, and others when they are needed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Option`] for options that cannot be, [`StoreError::NotDurable`] where the
    /// database may lose what it has acknowledged, and [`StoreError::Storage`] where no connection
    /// could be made.
    pub fn open(options: &PostgresOptions) -> Result<Self, StoreError> {
        options.check()?;
        let manager = Manager::new(options)?;
        // The pool's own error is a text. This one says what is the matter.
        drop(manager.connect()?);
        let pool = Pool::builder()
            .max_size(options.connections)
            .min_idle(Some(0))
            .test_on_check_out(false)
            .idle_timeout(Some(IDLE_MAX))
            .max_lifetime(Some(AGE_MAX))
            .connection_timeout(options.checkout_timeout)
            .error_handler(Box::new(Silent))
            .build_unchecked(manager);
        Ok(Self { pool, options: Arc::new(options.clone()) })
    }

    /// The schema that holds the store's tables.
    #[must_use]
    pub fn schema(&self) -> &str {
        &self.options.schema
    }

    /// Does something with a connection of the pool, once.
    ///
    /// Nothing is tried again, because only `task` knows whether that is safe. A commit that fails by
    /// a lost connection may have been done. The next one gets the connection as `task` leaves it: a
    /// [`Transaction`] that is dropped is rolled back, a setting stays.
    ///
    /// # Errors
    ///
    /// [`StoreError::Storage`] with a [`DatabaseError`], which has nothing of the server's text.
    pub fn with<T>(
        &self,
        task: impl FnOnce(&mut Client) -> Result<T, postgres::Error>,
    ) -> Result<T, StoreError> {
        let mut link = self.link_that_answers(TRUSTED_FOR)?;
        let result = task(&mut link.client);
        link.is_lost = result.as_ref().is_err_and(is_lost);
        result.map_err(|error| DatabaseError::from(&error).into())
    }

    /// Does something that may be done twice: where the connection turns out to be lost, once more on
    /// a new one.
    pub(super) fn read<T>(
        &self,
        mut read: impl FnMut(&mut Link) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let asked = Instant::now();
        loop {
            let mut link = self.link()?;
            match read(&mut link) {
                // Others that were idle may be lost too; each is met once, then there are new ones.
                Err(failure) if failure.is_lost() && link.made < asked => link.is_lost = true,
                Err(failure) => {
                    link.is_lost = failure.is_lost();
                    return Err(failure.into_store_error());
                }
                Ok(read) => return Ok(read),
            }
        }
    }

    /// Does a transaction that writes, and returns when the database says that it is durable.
    ///
    /// It is done again where it got into another's way, and where the connection was lost before the
    /// commit: it is certain then that nothing was done.
    ///
    /// # Errors
    ///
    /// [`StoreError::OutcomeUnknown`] where the connection was lost while the commit was under way.
    pub(super) fn write<T>(
        &self,
        mut write: impl FnMut(&mut Session<'_>) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let asked = Instant::now();
        let mut conflicts = 0;
        loop {
            let mut link = self.link()?;
            let result = link.transaction(false, &mut write);
            let Err(failure) = result else { return result.map_err(Failure::into_store_error) };
            link.is_lost =
                failure.is_lost() || matches!(failure, Failure::Store(StoreError::OutcomeUnknown));
            if failure.is_lost() && link.made < asked {
                continue;
            }
            if failure.is_conflict() && conflicts < CONFLICTS_MAX {
                conflicts += 1;
                drop(link);
                thread::sleep(pause(conflicts));
                continue;
            }
            return Err(failure.into_store_error());
        }
    }

    /// Does a transaction that reads the database as it is now, for as long as it takes.
    pub(super) fn read_snapshot<T>(
        &self,
        mut read: impl FnMut(&mut Session<'_>) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        // What was shown already cannot be shown again, so a lost connection is found before.
        let mut link = self.link_that_answers(Duration::ZERO)?;
        let result = link.transaction(true, &mut read);
        link.is_lost = result.as_ref().is_err_and(Failure::is_lost);
        result.map_err(Failure::into_store_error)
    }

    /// A connection that has answered so long ago at most, or was asked whether it is there.
    fn link_that_answers(
        &self,
        trusted_for: Duration,
    ) -> Result<PooledConnection<Manager>, StoreError> {
        loop {
            let mut link = self.link()?;
            if link.answered.elapsed() < trusted_for || link.client.check_connection().is_ok() {
                link.answered = Instant::now();
                return Ok(link);
            }
            link.is_lost = true;
        }
    }

    fn link(&self) -> Result<PooledConnection<Manager>, StoreError> {
        self.pool.get().map_err(|_| DatabaseError::none_free().into())
    }
}

impl fmt::Debug for PostgresPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresPool").field("options", &self.options).finish_non_exhaustive()
    }
}

/// A connection that nobody has used for so long is closed.
const IDLE_MAX: Duration = Duration::from_mins(10);

/// A connection that is so old is replaced, so that a new address of the host is noticed.
const AGE_MAX: Duration = Duration::from_mins(30);

/// A connection that has answered so long ago at most is there, as far as one can know.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// How often a transaction that gets into others' way is tried again.
const CONFLICTS_MAX: u32 = 20;

/// How long to wait before that: longer each time, and not as long as the others.
fn pause(conflicts: u32) -> Duration {
    let mut byte = [0];
    // Without chance it is as long for all, which is no harm.
    let _ = getrandom::fill(&mut byte);
    Duration::from_micros(u64::from(conflicts) * (200 + 20 * u64::from(byte[0])))
}

/// A connection and the statements that were prepared on it.
pub(super) struct Link {
    pub(super) client: Client,
    statements: Statements,
    made: Instant,
    /// When it was last known to be there.
    answered: Instant,
    is_lost: bool,
}

impl Link {
    /// One row or none, for a query.
    pub(super) fn query_opt(
        &mut self,
        query: Query,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, postgres::Error> {
        let client = &mut self.client;
        let statement = self.statements.get(query, |text| client.prepare(text))?;
        self.client.query_opt(&statement, values)
    }

    fn transaction<T>(
        &mut self,
        is_snapshot: bool,
        task: &mut impl FnMut(&mut Session<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let txn = if is_snapshot {
            let builder = self.client.build_transaction().read_only(true);
            builder.isolation_level(IsolationLevel::RepeatableRead).start()?
        } else {
            self.client.transaction()?
        };
        let mut session = Session { txn, statements: &mut self.statements };
        let result = task(&mut session)?;
        // Of what only reads, there is nothing to commit: dropped, it is rolled back.
        if !is_snapshot {
            session.txn.commit().map_err(of_commit)?;
        }
        Ok(result)
    }
}

/// A transaction, and the statements that were prepared on its connection.
pub(super) struct Session<'l> {
    pub(super) txn: Transaction<'l>,
    statements: &'l mut Statements,
}

impl Session<'_> {
    /// All rows, for a query.
    pub(super) fn query(
        &mut self,
        query: Query,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, postgres::Error> {
        let statement = self.prepared(query)?;
        self.txn.query(&statement, values)
    }

    /// How many rows a query has changed.
    pub(super) fn execute(
        &mut self,
        query: Query,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, postgres::Error> {
        let statement = self.prepared(query)?;
        self.txn.execute(&statement, values)
    }

    pub(super) fn prepared(&mut self, query: Query) -> Result<Statement, postgres::Error> {
        let txn = &mut self.txn;
        self.statements.get(query, |text| txn.prepare(text))
    }

    /// The schema that holds the store's tables.
    pub(super) fn schema(&self) -> &str {
        &self.statements.schema
    }

    /// For what is expected to take long: gives each statement of this transaction an hour, and the
    /// transaction all the time that it may be idle.
    pub(super) fn take_time(&mut self) -> Result<(), postgres::Error> {
        self.txn.batch_execute(
            "SET LOCAL statement_timeout = '1h'; SET LOCAL idle_in_transaction_session_timeout = 0",
        )
    }
}

struct Statements {
    schema: Arc<str>,
    prepared: [Option<Statement>; Query::COUNT],
}

impl Statements {
    fn get(
        &mut self,
        query: Query,
        prepare: impl FnOnce(&str) -> Result<Statement, postgres::Error>,
    ) -> Result<Statement, postgres::Error> {
        let slot = &mut self.prepared[query as usize];
        if slot.is_none() {
            *slot = Some(prepare(&query.text(&self.schema))?);
        }
        Ok(slot.clone().expect("it was prepared above"))
    }
}
