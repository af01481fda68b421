//! The tables, and what is said to them.

use postgres::Client;

pub(super) const CALLERS: &str = "limit_callers";
pub(super) const CARDS: &str = "limit_cards";
const MESSAGES: &str = "limit_messages";

/// The version of the tables.
pub(super) const FORMAT: i32 = 1;

/// Charges, or messages, after which rows that no limit needs are taken away.
pub(super) const TO_SWEEP: u64 = 1000;

/// How many rows are taken away at most: more than were made meanwhile, so that they become fewer.
const SWEPT_MAX: u64 = 2 * TO_SWEEP;

/// The statements, with the schema in them: a name, as the pool has made sure.
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
    pub(super) use_message: String,
    pub(super) sweep_messages: String,
}

impl Statements {
    pub(super) fn new(schema: &str) -> Self {
        let cards = format!("{schema}.{CARDS}");
        let callers = format!("{schema}.{CALLERS}");
        let messages = format!("{schema}.{MESSAGES}");
        Self {
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
                 WHERE dead_day < $1 LIMIT {SWEPT_MAX} FOR UPDATE SKIP LOCKED)"
            ),
            use_message: format!(
                "INSERT INTO {messages} AS used (message, used_at) VALUES ($1, $2)
                 ON CONFLICT (message) DO UPDATE SET used_at = EXCLUDED.used_at
                 WHERE used.used_at <= $3 RETURNING 1"
            ),
            sweep_messages: format!(
                "DELETE FROM {messages} WHERE message IN (SELECT message FROM {messages}
                 WHERE used_at <= $1 LIMIT {SWEPT_MAX} FOR UPDATE SKIP LOCKED)"
            ),
        }
    }
}

/// Makes the tables unless they are there. Replicas that start together do so one after the other.
pub(super) fn make_tables(client: &mut Client, schema: &str) -> Result<(), postgres::Error> {
    // The one that came last to this format: where it is, all are.
    let table = format!("{schema}.{MESSAGES}");
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
         -- Milliseconds since 1970.
         CREATE TABLE IF NOT EXISTS {schema}.{MESSAGES} (
             message bytea PRIMARY KEY,
             used_at bigint NOT NULL
         );
         CREATE INDEX IF NOT EXISTS limit_messages_used ON {schema}.{MESSAGES} (used_at);
         CREATE TABLE IF NOT EXISTS {schema}.limit_format (format integer NOT NULL);
         INSERT INTO {schema}.limit_format SELECT {FORMAT}
             WHERE NOT EXISTS (SELECT FROM {schema}.limit_format);"
    ))?;
    transaction.commit()
}
