//! Limits of many replicas: in a PostgreSQL database.

mod connections;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use postgres::types::Type;
use postgres::{Client, Config, Transaction};

use self::connections::Connections;
use super::caller_log::CallerLog;
use super::card_log::{CallerId, CardLog, EventKind};
use super::codec::{NAME_BYTES_MAX, Reader, Unreadable};
use super::durable::Durable;
use super::error::LimitError;
use super::moment::{Moment, Span};
use super::policy::LimitPolicy;
use super::refusal::{Denied, Refusal};
use super::report::{CallerLimits, CardLimits, LimitCounters, ListFilter};
use super::store::{LimitStore, Reservation};
use crate::card_key::CardKey;

/// A row for each caller and each card, with the same log as in memory.
///
/// A charge is one transaction: it locks the row, looks, and writes it. Others who charge the same
/// card or caller wait for its commit, whatever replica they are; so what was let through together
/// is never more than the limit. Cards are locked before callers, so that nobody waits in a circle.
pub(super) struct PostgresStore {
    connections: Connections,
    statements: Statements,
    policy: LimitPolicy,
    /// Numbers of callers that this process has seen.
    ids: Mutex<HashMap<String, CallerId>>,
    charges: AtomicU64,
}

/// Why a database did not do what it was asked. Nothing of what it says is kept, because it may
/// quote rows, but its SQLSTATE.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The statement failed, or the connection.
    Failed {
        /// Five characters of the SQL standard or of PostgreSQL; none if the connection was lost or
        /// could not be made.
        sqlstate: Option<String>,
    },
    /// The tables are of another version of this program.
    Format {
        /// The version of their format.
        found: i32,
    },
    /// The name of the schema is none that we write into a statement.
    Schema,
    /// A row was not written by us.
    Unreadable {
        /// Its table.
        table: &'static str,
    },
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { sqlstate: Some(state) } => write!(f, "it failed (SQLSTATE {state})"),
            Self::Failed { sqlstate: None } => f.write_str("the connection failed"),
            Self::Format { found } => {
                write!(f, "its tables have format {found}, which this version does not know")
            }
            Self::Schema => f.write_str(
                "the name of the schema has to have 1 to 48 of a to z, 0 to 9 and _, no digit first",
            ),
            Self::Unreadable { table } => write!(f, "a row of {table} was not written by us"),
        }
    }
}

impl std::error::Error for DatabaseError {}

impl From<&postgres::Error> for DatabaseError {
    fn from(error: &postgres::Error) -> Self {
        Self::Failed { sqlstate: error.code().map(|state| state.code().to_owned()) }
    }
}

impl From<DatabaseError> for LimitError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(Arc::new(error))
    }
}

/// What a row that nobody can read comes as, out of a transaction.
type Read<T> = Result<T, Unreadable>;

const CALLERS: &str = "limit_callers";
const CARDS: &str = "limit_cards";
const FORMAT: i32 = 1;

/// Charges after which rows that no limit needs are taken away, and how many at most.
const CHARGES_TO_SWEEP: u64 = 1000;

impl PostgresStore {
    pub(super) fn open(
        config: &Config,
        schema: &str,
        policy: LimitPolicy,
    ) -> Result<Self, LimitError> {
        policy.check()?;
        let statements = Statements::new(schema)?;
        let connections = Connections::new(config);
        connections.with(|client| make_tables(client, schema))?;
        let found = connections.with(|client| client.query_one(&statements.format, &[]))?.get(0);
        if found != FORMAT {
            return Err(DatabaseError::Format { found }.into());
        }
        let (ids, charges) = (Mutex::default(), AtomicU64::new(1));
        Ok(Self { connections, statements, policy, ids, charges })
    }

    /// Does a transaction, which is committed if it has an outcome and is not refused.
    fn write<T>(
        &self,
        table: &'static str,
        write: impl FnOnce(&mut Transaction<'_>) -> Result<Read<Result<T, Refusal>>, postgres::Error>,
    ) -> Result<T, Denied> {
        let outcome = self.connections.with(|client| {
            let mut transaction = client.transaction()?;
            let outcome = write(&mut transaction)?;
            if let Ok(Ok(_)) = outcome {
                transaction.commit()?;
            }
            Ok(outcome)
        });
        let outcome = outcome.map_err(LimitError::from)?;
        let unreadable = |Unreadable| LimitError::from(DatabaseError::Unreadable { table });
        Ok(outcome.map_err(unreadable)??)
    }

    /// Locks a caller's row, makes it if need be, and changes it.
    fn change_caller(
        &self,
        caller: &str,
        now: Moment,
        change: impl FnOnce(&mut CallerLog) -> Result<(), Refusal>,
    ) -> Result<(), Denied> {
        check_name(caller)?;
        let id = self.write(CALLERS, |transaction| {
            let mut found = self.lock_caller(transaction, caller)?;
            if found.is_none() {
                if !self.has_room(transaction, now)? {
                    return Ok(Ok(Ok(None)));
                }
                let (mut empty, day) = (Vec::new(), day(now));
                CallerLog::new(&self.policy).write(&mut empty);
                transaction.query_typed(
                    &self.statements.insert_caller,
                    &[(&caller, Type::TEXT), (&empty, Type::BYTEA), (&day, Type::INT4)],
                )?;
                found = self.lock_caller(transaction, caller)?;
            }
            // Nobody takes the row of a caller away that has just been made.
            let Some((id, bytes)) = found else { return Ok(Err(Unreadable)) };
            let mut log = match CallerLog::read(&mut Reader::new(&bytes), &self.policy) {
                Ok(log) => log,
                Err(unreadable) => return Ok(Err(unreadable)),
            };
            if let Err(refusal) = change(&mut log) {
                return Ok(Ok(Err(refusal)));
            }
            self.update_caller(transaction, id, &log)?;
            Ok(Ok(Ok(Some(id))))
        })?;
        let Some(id) = id else { return Err(LimitError::Full { setting: "callers_max" }.into()) };
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(caller.to_owned(), id);
        Ok(())
    }

    fn lock_caller(
        &self,
        transaction: &mut Transaction<'_>,
        caller: &str,
    ) -> Result<Option<(CallerId, Vec<u8>)>, postgres::Error> {
        let rows =
            transaction.query_typed(&self.statements.lock_caller, &[(&caller, Type::TEXT)])?;
        Ok(rows.first().map(|row| (id_of(row.get(0)), row.get(1))))
    }

    fn update_caller(
        &self,
        transaction: &mut Transaction<'_>,
        id: CallerId,
        log: &CallerLog,
    ) -> Result<(), postgres::Error> {
        let mut bytes = Vec::new();
        log.write(&mut bytes);
        let (id, dead) = (id.0.cast_signed(), day(log.last().after(self.policy.wrong_is_kept())));
        let values: [(&(dyn postgres::types::ToSql + Sync), Type); 3] =
            [(&id, Type::INT4), (&bytes, Type::BYTEA), (&dead, Type::INT4)];
        transaction.query_typed(&self.statements.update_caller, &values).map(drop)
    }

    /// Whether there is room for another caller, made of those that are idle if need be.
    fn has_room(
        &self,
        transaction: &mut Transaction<'_>,
        now: Moment,
    ) -> Result<bool, postgres::Error> {
        let max = i64::from(self.policy.callers_max);
        let count = |transaction: &mut Transaction<'_>| {
            let row = transaction.query_one(&self.statements.count_callers, &[])?;
            Ok::<i64, postgres::Error>(row.get(0))
        };
        if count(transaction)? < max {
            return Ok(true);
        }
        let today = day(now);
        transaction.query_typed(&self.statements.sweep_callers, &[(&today, Type::INT4)])?;
        Ok(count(transaction)? < max)
    }

    /// The number of a caller. Another process may know a caller that this one does not.
    fn id(&self, caller: &str, now: Moment) -> Result<CallerId, Denied> {
        let known = |ids: &Mutex<HashMap<String, CallerId>>| {
            ids.lock().unwrap_or_else(PoisonError::into_inner).get(caller).copied()
        };
        if let Some(id) = known(&self.ids) {
            return Ok(id);
        }
        self.change_caller(caller, now, |_| Ok(()))?;
        Ok(known(&self.ids).expect("it was just learned"))
    }

    /// Locks a card's row, makes it if need be, and changes it.
    fn change_card<T>(
        &self,
        transaction: &mut Transaction<'_>,
        card: CardKey,
        change: impl FnOnce(&mut CardLog) -> Result<T, Refusal>,
    ) -> Result<Read<Result<T, Refusal>>, postgres::Error> {
        let key = &card.to_bytes()[..];
        let key: (&(dyn postgres::types::ToSql + Sync), Type) = (&key, Type::BYTEA);
        let mut rows = transaction.query_typed(&self.statements.lock_card, &[key.clone()])?;
        while rows.is_empty() {
            // Somebody may sweep it away between the two; then it is made again.
            transaction.query_typed(&self.statements.insert_card, &[key.clone()])?;
            rows = transaction.query_typed(&self.statements.lock_card, &[key.clone()])?;
        }
        let mut log = match CardLog::read(&mut Reader::new(rows[0].get(0))) {
            Ok(log) => log,
            Err(unreadable) => return Ok(Err(unreadable)),
        };
        let changed = match change(&mut log) {
            Ok(changed) => changed,
            Err(refusal) => return Ok(Ok(Err(refusal))),
        };
        let mut bytes = Vec::new();
        log.write(&mut bytes);
        let dead = day(log.last().unwrap_or_default().after(self.policy.wrong_is_kept()));
        let values = [key, (&bytes, Type::BYTEA), (&dead, Type::INT4)];
        transaction.query_typed(&self.statements.update_card, &values)?;
        Ok(Ok(Ok(changed)))
    }

    /// Takes rows away that no limit needs any more, every now and then.
    fn sweep(&self, now: Moment) -> Result<(), LimitError> {
        if self.charges.fetch_add(1, Ordering::Relaxed).is_multiple_of(CHARGES_TO_SWEEP) {
            let today = day(now);
            let values: [(&(dyn postgres::types::ToSql + Sync), Type); 1] = [(&today, Type::INT4)];
            self.connections
                .with(|client| client.query_typed(&self.statements.sweep_cards, &values))?;
        }
        Ok(())
    }

    fn names(&self) -> Result<HashMap<CallerId, String>, LimitError> {
        let rows = self.connections.with(|client| client.query(&self.statements.names, &[]))?;
        Ok(rows.iter().map(|row| (id_of(row.get(0)), row.get(1))).collect())
    }
}

impl LimitStore for PostgresStore {
    fn admit(&self, caller: &str, now: Moment) -> Result<(), Denied> {
        self.change_caller(caller, now, |log| log.admit(&self.policy, now))
    }

    fn not_found(&self, caller: &str, now: Moment) -> Result<(), LimitError> {
        let charged = self.change_caller(caller, now, |log| {
            log.not_found(now);
            Ok(())
        });
        charged.map_err(unavailable)
    }

    fn charge(
        &self,
        caller: &str,
        card: CardKey,
        kind: EventKind,
        now: Moment,
    ) -> Result<Reservation, Denied> {
        self.sweep(now)?;
        let id = self.id(caller, now)?;
        let at = self.write(CARDS, |transaction| {
            self.change_card(transaction, card, |log| log.charge(&self.policy, kind, id, now))
        })?;
        Ok(Reservation { caller: id, card, at })
    }

    fn settle(&self, reserved: Reservation, is_wrong: bool) -> Result<(), LimitError> {
        let Reservation { caller: id, card, at } = reserved;
        let settled = self.write(CALLERS, |transaction| {
            if !is_wrong {
                let given_back = self.change_card(transaction, card, |log| {
                    log.give_back(at, id);
                    Ok(())
                })?;
                if given_back.is_err() {
                    return Ok(given_back);
                }
            }
            let number = id.0.cast_signed();
            let values: [(&(dyn postgres::types::ToSql + Sync), Type); 1] = [(&number, Type::INT4)];
            let rows = transaction.query_typed(&self.statements.lock_caller_by_id, &values)?;
            // It may have made room for another since.
            let Some(row) = rows.first() else { return Ok(Ok(Ok(()))) };
            let mut log = match CallerLog::read(&mut Reader::new(row.get(0)), &self.policy) {
                Ok(log) => log,
                Err(unreadable) => return Ok(Err(unreadable)),
            };
            log.verified(at, is_wrong);
            self.update_caller(transaction, id, &log)?;
            Ok(Ok(Ok(())))
        });
        settled.map_err(unavailable)
    }

    /// A commit returns when it is durable.
    fn durable(&self) -> Durable {
        Durable::done()
    }

    fn list_cards(&self, filter: &ListFilter, now: Moment) -> Result<Vec<CardLimits>, LimitError> {
        let names = self.names()?;
        let (mut listed, mut after) = (Vec::new(), Vec::new());
        loop {
            let values: [(&(dyn postgres::types::ToSql + Sync), Type); 1] = [(&after, Type::BYTEA)];
            let rows = self
                .connections
                .with(|client| client.query_typed(&self.statements.list_cards, &values))?;
            let Some(last) = rows.last() else { return Ok(listed) };
            after = last.get(0);
            let mut some = Vec::new();
            for row in &rows {
                let (card, log) = card_of(row.get(0), row.get(1))?;
                let usages = log.usages(&self.policy, now);
                let name = |id| names.get(&id).map(String::as_str);
                some.push(CardLimits::new(card, usages, now, name));
            }
            let left = ListFilter { rows_max: filter.rows_max - listed.len(), ..filter.clone() };
            listed.extend(left.rows(some.into_iter(), |row| &row.usage));
            if listed.len() >= filter.rows_max {
                return Ok(listed);
            }
        }
    }

    fn list_callers(
        &self,
        filter: &ListFilter,
        now: Moment,
    ) -> Result<Vec<CallerLimits>, LimitError> {
        let names = self.names()?;
        let mut rows = Vec::new();
        for caller in names.values() {
            rows.extend(self.show_caller(caller, now)?);
        }
        Ok(filter.rows(rows.into_iter(), |row| &row.usage))
    }

    fn show_card(&self, card: CardKey, now: Moment) -> Result<Option<CardLimits>, LimitError> {
        let key = &card.to_bytes()[..];
        let values: [(&(dyn postgres::types::ToSql + Sync), Type); 1] = [(&key, Type::BYTEA)];
        let rows = self
            .connections
            .with(|client| client.query_typed(&self.statements.show_card, &values))?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (card, log) = card_of(row.get(0), row.get(1))?;
        let names = self.names()?;
        let name = |id| names.get(&id).map(String::as_str);
        Ok(Some(CardLimits::new(card, log.usages(&self.policy, now), now, name)))
    }

    fn show_caller(&self, caller: &str, now: Moment) -> Result<Option<CallerLimits>, LimitError> {
        let values: [(&(dyn postgres::types::ToSql + Sync), Type); 1] = [(&caller, Type::TEXT)];
        let rows = self
            .connections
            .with(|client| client.query_typed(&self.statements.show_caller, &values))?;
        let Some(row) = rows.first() else { return Ok(None) };
        let log = CallerLog::read(&mut Reader::new(row.get(0)), &self.policy)
            .map_err(|Unreadable| DatabaseError::Unreadable { table: CALLERS })?;
        Ok(Some(CallerLimits::new(caller, log.usages(&self.policy, now), now)))
    }

    fn clear_card(&self, card: CardKey) -> Result<bool, LimitError> {
        let key = &card.to_bytes()[..];
        let values: [(&(dyn postgres::types::ToSql + Sync), Type); 1] = [(&key, Type::BYTEA)];
        let rows = self
            .connections
            .with(|client| client.query_typed(&self.statements.clear_card, &values))?;
        Ok(!rows.is_empty())
    }

    fn clear_caller(&self, caller: &str) -> Result<bool, LimitError> {
        let mut empty = Vec::new();
        CallerLog::new(&self.policy).write(&mut empty);
        let values: [(&(dyn postgres::types::ToSql + Sync), Type); 2] =
            [(&caller, Type::TEXT), (&empty, Type::BYTEA)];
        let rows = self
            .connections
            .with(|client| client.query_typed(&self.statements.clear_caller, &values))?;
        Ok(!rows.is_empty())
    }

    fn count(&self, _: &mut LimitCounters) {}
}

/// The statements, with the schema in them.
struct Statements {
    format: String,
    names: String,
    count_callers: String,
    show_caller: String,
    lock_caller: String,
    lock_caller_by_id: String,
    insert_caller: String,
    update_caller: String,
    clear_caller: String,
    sweep_callers: String,
    list_cards: String,
    show_card: String,
    lock_card: String,
    insert_card: String,
    update_card: String,
    clear_card: String,
    sweep_cards: String,
}

impl Statements {
    fn new(schema: &str) -> Result<Self, DatabaseError> {
        let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if !(1..=48).contains(&schema.len())
            || !schema.bytes().all(is_name)
            || schema.as_bytes()[0].is_ascii_digit()
        {
            return Err(DatabaseError::Schema);
        }
        let cards = format!("{schema}.{CARDS}");
        let callers = format!("{schema}.{CALLERS}");
        Ok(Self {
            format: format!("SELECT format FROM {schema}.limit_format"),
            names: format!("SELECT id, name FROM {callers} ORDER BY name"),
            count_callers: format!("SELECT count(*) FROM {callers}"),
            show_caller: format!("SELECT log FROM {callers} WHERE name = $1"),
            lock_caller: format!("SELECT id, log FROM {callers} WHERE name = $1 FOR UPDATE"),
            lock_caller_by_id: format!("SELECT log FROM {callers} WHERE id = $1 FOR UPDATE"),
            insert_caller: format!(
                "INSERT INTO {callers} (name, log, dead_day) VALUES ($1, $2, $3)
                 ON CONFLICT (name) DO NOTHING"
            ),
            update_caller: format!("UPDATE {callers} SET log = $2, dead_day = $3 WHERE id = $1"),
            clear_caller: format!("UPDATE {callers} SET log = $2 WHERE name = $1 RETURNING id"),
            sweep_callers: format!("DELETE FROM {callers} WHERE dead_day < $1"),
            list_cards: format!(
                "SELECT card, log FROM {cards} WHERE card > $1 ORDER BY card LIMIT 1000"
            ),
            show_card: format!("SELECT card, log FROM {cards} WHERE card = $1"),
            lock_card: format!("SELECT log FROM {cards} WHERE card = $1 FOR UPDATE"),
            insert_card: format!(
                "INSERT INTO {cards} (card, log, dead_day) VALUES ($1, '\\x0000', 0)
                 ON CONFLICT (card) DO NOTHING"
            ),
            update_card: format!("UPDATE {cards} SET log = $2, dead_day = $3 WHERE card = $1"),
            clear_card: format!("DELETE FROM {cards} WHERE card = $1 RETURNING 1"),
            sweep_cards: format!(
                "DELETE FROM {cards} WHERE card IN (SELECT card FROM {cards}
                 WHERE dead_day < $1 LIMIT {CHARGES_TO_SWEEP} FOR UPDATE SKIP LOCKED)"
            ),
        })
    }
}

/// Makes the tables unless they are there. Replicas that start together do so one after the other.
fn make_tables(client: &mut Client, schema: &str) -> Result<(), postgres::Error> {
    let table = format!("{schema}.limit_format");
    let there: bool = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table])?.get(0);
    if there {
        return Ok(());
    }
    let mut transaction = client.transaction()?;
    transaction.batch_execute(&format!(
        "SELECT pg_advisory_xact_lock(hashtextextended('{schema}.limits', 0));
         CREATE SCHEMA IF NOT EXISTS {schema};
         CREATE TABLE IF NOT EXISTS {schema}.{CALLERS} (
             id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
             name text NOT NULL UNIQUE,
             log bytea NOT NULL,
             dead_day integer NOT NULL
         ) WITH (fillfactor = 50);
         -- A day changes once a day, so that most changes of a row touch no index.
         CREATE TABLE IF NOT EXISTS {schema}.{CARDS} (
             card bytea PRIMARY KEY,
             log bytea NOT NULL,
             dead_day integer NOT NULL
         ) WITH (fillfactor = 70);
         CREATE INDEX IF NOT EXISTS limit_cards_dead ON {schema}.{CARDS} (dead_day);
         CREATE TABLE IF NOT EXISTS {schema}.limit_format (format integer NOT NULL);
         INSERT INTO {schema}.limit_format SELECT {FORMAT}
             WHERE NOT EXISTS (SELECT FROM {schema}.limit_format);"
    ))?;
    transaction.commit()
}

fn check_name(caller: &str) -> Result<(), LimitError> {
    if (1..=NAME_BYTES_MAX).contains(&caller.len()) {
        Ok(())
    } else {
        Err(LimitError::CallerName { bytes_max: NAME_BYTES_MAX })
    }
}

fn card_of(key: &[u8], log: &[u8]) -> Result<(CardKey, CardLog), DatabaseError> {
    let unreadable = DatabaseError::Unreadable { table: CARDS };
    let key = <[u8; CardKey::LEN]>::try_from(key).map_err(|_| unreadable.clone())?;
    let log = CardLog::read(&mut Reader::new(log)).map_err(|Unreadable| unreadable)?;
    Ok((CardKey::from_bytes(key), log))
}

fn id_of(number: i32) -> CallerId {
    CallerId(number.cast_unsigned())
}

/// The day of a time, since 1970.
fn day(at: Moment) -> i32 {
    i32::try_from(at.millis() / Span::DAY.millis()).unwrap_or(i32::MAX)
}

/// Of what is never refused.
fn unavailable(denied: Denied) -> LimitError {
    match denied {
        Denied::Unavailable(error) => error,
        Denied::Refused(refusal) => unreachable!("{refusal}: nothing was asked of a limit"),
    }
}
