//! The tables, and what is said to them.

use postgres::Client;

use super::error::DatabaseError;

pub(super) const CALLERS: &str = "limit_callers";
pub(super) const CARDS: &str = "limit_cards";

/// The version of the tables.
pub(super) const FORMAT: i32 = 1;

/// Charges after which rows that no limit needs are taken away, and how many at most.
pub(super) const CHARGES_TO_SWEEP: u64 = 1000;

/// The statements, with the schema in them.
pub(super) struct Statements {
    pub(super) format: String,
    pub(super) names: String,
    pub(super) count_callers: String,
    pub(super) show_caller: String,
    pub(super) lock_caller: String,
    pub(super) lock_caller_by_id: String,
    pub(super) insert_caller: String,
    pub(super) update_caller: String,
    pub(super) clear_caller: String,
    pub(super) sweep_callers: String,
    pub(super) list_cards: String,
    pub(super) show_card: String,
    pub(super) lock_card: String,
    pub(super) insert_card: String,
    pub(super) update_card: String,
    pub(super) clear_card: String,
    pub(super) sweep_cards: String,
}

impl Statements {
    pub(super) fn new(schema: &str) -> Result<Self, DatabaseError> {
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
pub(super) fn make_tables(client: &mut Client, schema: &str) -> Result<(), postgres::Error> {
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
