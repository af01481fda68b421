//! Limits of many replicas: in a PostgreSQL database.

mod error;
mod statements;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use cvv2_resolver::PostgresPool;
use postgres::types::{ToSql, Type};
use postgres::{Client, Transaction};

pub use self::error::DatabaseError;
use self::error::Stop;
use self::statements::{CALLERS, CARDS, FORMAT, Statements, TO_SWEEP, make_tables};
use super::caller_log::CallerLog;
use super::card_log::{CallerId, CardLog, EventKind};
use super::codec::{NAME_BYTES_MAX, Reader, Unreadable};
use super::durable::Durable;
use super::error::LimitError;
use super::message_use::MessageUse;
use super::moment::{Moment, Span};
use super::policy::LimitPolicy;
use super::refusal::{Denied, Refusal};
use super::report::{CallerLimits, CardLimits, LimitCounters, ListFilter};
use super::store::{LimitStore, Reservation};
use crate::card_key::CardKey;
use crate::message_key::MessageKey;

/// A row for each caller and each card, with the same log as in memory.
///
/// A charge is one transaction: it locks the row, looks, and writes it. Others who charge the same
/// card or caller wait for its commit, whatever replica they are; so what was let through together
/// is never more than the limit. Cards are locked before callers, so that nobody waits in a circle.
pub(super) struct PostgresStore {
    pool: PostgresPool,
    statements: Statements,
    policy: LimitPolicy,
    /// Numbers of callers that this process has seen.
    ids: Mutex<HashMap<String, CallerId>>,
    charges: AtomicU64,
    messages: AtomicU64,
}

impl PostgresStore {
    pub(super) fn open(pool: PostgresPool, policy: LimitPolicy) -> Result<Self, LimitError> {
        policy.check()?;
        let statements = Statements::new(pool.schema());
        let (charges, messages) = (AtomicU64::new(1), AtomicU64::new(1));
        let store = Self { pool, statements, policy, ids: Mutex::default(), charges, messages };
        store.with(|client| make_tables(client, store.pool.schema()))?;
        let found = store.with(|client| client.query_one(&store.statements.format, &[]))?.get(0);
        if found != FORMAT {
            return Err(DatabaseError::Format { found }.into());
        }
        Ok(store)
    }

    /// Does something with a connection, once. A commit that fails by a lost connection may have
    /// been done: the charge counts, to be safe.
    fn with<T>(
        &self,
        task: impl FnOnce(&mut Client) -> Result<T, postgres::Error>,
    ) -> Result<T, DatabaseError> {
        Ok(self.pool.with(task)?)
    }

    /// Does a transaction, which is rolled back if it is stopped.
    fn write<T>(
        &self,
        table: &'static str,
        write: impl FnOnce(&mut Transaction<'_>) -> Result<T, Stop>,
    ) -> Result<T, Denied> {
        let outcome = self.with(|client| {
            let mut transaction = client.transaction()?;
            match write(&mut transaction) {
                Ok(done) => transaction.commit().map(|()| Ok(done)),
                Err(Stop::Database(error)) => Err(error),
                Err(stop) => Ok(Err(stop)),
            }
        });
        outcome.map_err(LimitError::from)?.map_err(|stop| stop.denied(table))
    }

    /// Locks a caller's row, makes it if need be, and changes it.
    fn change_caller(
        &self,
        caller: &str,
        now: Moment,
        change: impl FnOnce(&mut CallerLog) -> Result<(), Refusal>,
    ) -> Result<(), Denied> {
        if !(1..=NAME_BYTES_MAX).contains(&caller.len()) {
            return Err(LimitError::CallerName { bytes_max: NAME_BYTES_MAX }.into());
        }
        let id = self.write(CALLERS, |transaction| {
            let mut found = self.lock_caller(transaction, caller)?;
            if found.is_none() {
                self.make_caller(transaction, caller, now)?;
                found = self.lock_caller(transaction, caller)?;
            }
            // Whoever has made it a moment ago has not been idle.
            let (id, bytes) = found.ok_or(Stop::Unreadable)?;
            let mut log = CallerLog::read(&mut Reader::new(&bytes), &self.policy)?;
            change(&mut log)?;
            self.update_caller(transaction, id, &log)?;
            Ok(id)
        })?;
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(caller.to_owned(), id);
        Ok(())
    }

    /// Makes a caller's row, unless another has just made it.
    fn make_caller(
        &self,
        transaction: &mut Transaction<'_>,
        caller: &str,
        now: Moment,
    ) -> Result<(), Stop> {
        let today = day(now);
        let max = i64::from(self.policy.callers_max);
        let is_full = |transaction: &mut Transaction<'_>| {
            let row = transaction.query_one(&self.statements.count_callers, &[])?;
            Ok::<_, postgres::Error>(row.get::<_, i64>(0) >= max)
        };
        if is_full(transaction)? {
            let values = [typed(&today, Type::INT4)];
            transaction.query_typed(&self.statements.sweep_callers, &values)?;
            if is_full(transaction)? {
                return Err(Stop::Full { setting: "callers_max" });
            }
        }
        let mut empty = Vec::new();
        CallerLog::new(&self.policy).write(&mut empty);
        let values =
            [typed(&caller, Type::TEXT), typed(&empty, Type::BYTEA), typed(&today, Type::INT4)];
        transaction.query_typed(&self.statements.insert_caller, &values)?;
        Ok(())
    }

    fn lock_caller(
        &self,
        transaction: &mut Transaction<'_>,
        caller: &str,
    ) -> Result<Option<(CallerId, Vec<u8>)>, postgres::Error> {
        let rows =
            transaction.query_typed(&self.statements.lock_caller, &[typed(&caller, Type::TEXT)])?;
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
        let values = [typed(&id, Type::INT4), typed(&bytes, Type::BYTEA), typed(&dead, Type::INT4)];
        transaction.query_typed(&self.statements.update_caller, &values).map(drop)
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
    ) -> Result<T, Stop> {
        let key = &card.to_bytes()[..];
        let key = [typed(&key, Type::BYTEA)];
        let mut rows = transaction.query_typed(&self.statements.lock_card, &key)?;
        while rows.is_empty() {
            // Somebody may sweep it away between the two; then it is made again.
            transaction.query_typed(&self.statements.insert_card, &key)?;
            rows = transaction.query_typed(&self.statements.lock_card, &key)?;
        }
        let mut log = CardLog::read(&mut Reader::new(rows[0].get(0)))?;
        let changed = change(&mut log)?;
        let mut bytes = Vec::new();
        log.write(&mut bytes);
        let dead = day(log.last().unwrap_or_default().after(self.policy.wrong_is_kept()));
        let [key] = key;
        let values = [key, typed(&bytes, Type::BYTEA), typed(&dead, Type::INT4)];
        transaction.query_typed(&self.statements.update_card, &values)?;
        Ok(changed)
    }

    /// Takes rows away that no limit needs any more, every now and then.
    fn sweep_cards(&self, now: Moment) -> Result<(), LimitError> {
        if self.charges.fetch_add(1, Ordering::Relaxed).is_multiple_of(TO_SWEEP) {
            let today = day(now);
            let values = [typed(&today, Type::INT4)];
            self.with(|client| client.query_typed(&self.statements.sweep_cards, &values))?;
        }
        Ok(())
    }

    /// The same with messages.
    fn sweep_messages(&self, past: i64) -> Result<(), LimitError> {
        if self.messages.fetch_add(1, Ordering::Relaxed).is_multiple_of(TO_SWEEP) {
            let values = [typed(&past, Type::INT8)];
            self.with(|client| client.query_typed(&self.statements.sweep_messages, &values))?;
        }
        Ok(())
    }

    fn names(&self) -> Result<HashMap<CallerId, String>, LimitError> {
        let rows = self.with(|client| client.query(&self.statements.names, &[]))?;
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

    /// One statement: it finds the name, or takes it, and whoever takes the same one waits for it.
    fn first_use(&self, message: MessageKey, now: Moment) -> Result<MessageUse, LimitError> {
        let at = i64::try_from(now.millis()).unwrap_or(i64::MAX);
        let window = i64::try_from(self.policy.message_window().millis());
        let past = at - window.expect("a window has at most 1,440 minutes");
        self.sweep_messages(past)?;
        let key = &message.to_bytes()[..];
        let values = [typed(&key, Type::BYTEA), typed(&at, Type::INT8), typed(&past, Type::INT8)];
        let taken =
            self.with(|client| client.query_typed(&self.statements.use_message, &values))?;
        Ok(if taken.is_empty() { MessageUse::Again } else { MessageUse::First })
    }

    fn charge(
        &self,
        caller: &str,
        card: CardKey,
        kind: EventKind,
        now: Moment,
    ) -> Result<Reservation, Denied> {
        self.sweep_cards(now)?;
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
                self.change_card(transaction, card, |log| {
                    log.give_back(at, id);
                    Ok(())
                })?;
            }
            let number = id.0.cast_signed();
            let values = [typed(&number, Type::INT4)];
            let rows = transaction.query_typed(&self.statements.lock_caller_by_id, &values)?;
            // It may have made room for another since.
            let Some(row) = rows.first() else { return Ok(()) };
            let mut log = CallerLog::read(&mut Reader::new(row.get(0)), &self.policy)?;
            log.verified(at, is_wrong);
            self.update_caller(transaction, id, &log)?;
            Ok(())
        });
        settled.map_err(unavailable)
    }

    /// A commit returns when it is durable.
    fn durable(&self) -> Durable {
        Durable::done()
    }

    fn list_cards(&self, filter: &ListFilter, now: Moment) -> Result<Vec<CardLimits>, LimitError> {
        let names = self.names()?;
        let mut listed = Vec::new();
        let mut after: Vec<u8> = Vec::new();
        loop {
            let values = [typed(&after, Type::BYTEA)];
            let rows =
                self.with(|client| client.query_typed(&self.statements.list_cards, &values))?;
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
        let values = [typed(&key, Type::BYTEA)];
        let rows = self.with(|client| client.query_typed(&self.statements.show_card, &values))?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (card, log) = card_of(row.get(0), row.get(1))?;
        let names = self.names()?;
        let name = |id| names.get(&id).map(String::as_str);
        Ok(Some(CardLimits::new(card, log.usages(&self.policy, now), now, name)))
    }

    fn show_caller(&self, caller: &str, now: Moment) -> Result<Option<CallerLimits>, LimitError> {
        let values = [typed(&caller, Type::TEXT)];
        let rows = self.with(|client| client.query_typed(&self.statements.show_caller, &values))?;
        let Some(row) = rows.first() else { return Ok(None) };
        let log = CallerLog::read(&mut Reader::new(row.get(0)), &self.policy)
            .map_err(|Unreadable| DatabaseError::Unreadable { table: CALLERS })?;
        Ok(Some(CallerLimits::new(caller, log.usages(&self.policy, now), now)))
    }

    fn clear_card(&self, card: CardKey) -> Result<bool, LimitError> {
        let key = &card.to_bytes()[..];
        let values = [typed(&key, Type::BYTEA)];
        let rows = self.with(|client| client.query_typed(&self.statements.clear_card, &values))?;
        Ok(!rows.is_empty())
    }

    fn clear_caller(&self, caller: &str) -> Result<bool, LimitError> {
        let mut empty = Vec::new();
        CallerLog::new(&self.policy).write(&mut empty);
        let values = [typed(&caller, Type::TEXT), typed(&empty, Type::BYTEA)];
        let rows =
            self.with(|client| client.query_typed(&self.statements.clear_caller, &values))?;
        Ok(!rows.is_empty())
    }

    fn count(&self, _: &mut LimitCounters) {}
}

/// A value and its type: with it a statement needs no round trip to be prepared.
fn typed(value: &(dyn ToSql + Sync), of: Type) -> (&(dyn ToSql + Sync), Type) {
    (value, of)
}

fn card_of(key: &[u8], log: &[u8]) -> Result<(CardKey, CardLog), DatabaseError> {
    let unreadable = || DatabaseError::Unreadable { table: CARDS };
    let key = <[u8; CardKey::LEN]>::try_from(key).map_err(|_| unreadable())?;
    let log = CardLog::read(&mut Reader::new(log)).map_err(|Unreadable| unreadable())?;
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
