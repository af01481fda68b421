//! The tables, made and changed in numbered steps.

use std::fmt::Write as _;

use super::pool::PostgresPool;
use super::queries::in_schema;
use crate::store::StoreError;

/// Each step's statements, in order. A step that was released is never changed.
const STEPS: [&str; 1] = [include_str!("migrations/1.sql")];

/// Parts of a table of sealed rows.
///
/// A look-up locks the table and all its parts for a moment, and a session can lock sixteen without
/// asking a table that all sessions share.
const PARTS: u32 = 8;

/// Takes the steps that the schema has not taken yet, each in a transaction of its own, and returns
/// how many it took.
pub(super) fn migrate(pool: &PostgresPool) -> Result<u32, StoreError> {
    let make_schema = in_schema(
        "CREATE SCHEMA IF NOT EXISTS {schema};
         CREATE TABLE IF NOT EXISTS {schema}.migrations (
             number integer PRIMARY KEY,
             taken timestamptz NOT NULL DEFAULT now()
         )",
        pool.schema(),
    );
    pool.write(|session| Ok(session.txn.batch_execute(&make_schema)?))?;
    let mut taken = 0;
    for (step, number) in STEPS.iter().zip(1..) {
        let statements = in_schema(&with_partitions(step, pool.schema()), pool.schema());
        taken += pool.write(|session| {
            session.take_time()?;
            let lock = in_schema("LOCK TABLE {schema}.migrations", session.schema());
            session.txn.batch_execute(&lock)?;
            let note = in_schema(
                "INSERT INTO {schema}.migrations (number) VALUES ($1) ON CONFLICT DO NOTHING",
                session.schema(),
            );
            let is_new = session.txn.execute(&note, &[&number])? == 1;
            if is_new {
                session.txn.batch_execute(&statements)?;
            }
            Ok(u32::from(is_new))
        })?;
    }
    Ok(taken)
}

/// The number of the last step that this program knows.
pub(super) fn newest() -> i32 {
    i32::try_from(STEPS.len()).expect("few")
}

/// Fills in the parts of a table where a step says `{partitions TABLE}`.
fn with_partitions(step: &str, schema: &str) -> String {
    let mut statements = String::with_capacity(step.len() * 2);
    let mut rest = step;
    while let Some((before, behind)) = rest.split_once("{partitions ") {
        let (table, after) = behind.split_once('}').expect("written in the step");
        statements.push_str(before);
        for part in 0..PARTS {
            // Hashes of one part have the same first three bits.
            let bound = |part: u32| format!("'\\x{:02x}'", part * 256 / PARTS);
            let from = if part == 0 { "MINVALUE".to_owned() } else { bound(part) };
            let to = if part + 1 == PARTS { "MAXVALUE".to_owned() } else { bound(part + 1) };
            let _ = write!(
                statements,
                "CREATE TABLE {schema}.{table}_{part} PARTITION OF {schema}.{table}
                 FOR VALUES FROM ({from}) TO ({to}) WITH (fillfactor = 90);\n"
            );
        }
        rest = after;
    }
    statements.push_str(rest);
    statements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cut_the_hashes_evenly() {
        let statements = with_partitions("a {partitions t} b", "s");
        assert!(statements.starts_with("a CREATE TABLE s.t_0 PARTITION OF s.t"));
        assert!(statements.contains("FROM (MINVALUE) TO ('\\x20')"));
        assert!(statements.contains("FROM ('\\x20') TO ('\\x40')"));
        assert!(statements.contains("FROM ('\\xe0') TO (MAXVALUE)"));
        assert!(statements.ends_with("\n b"));
        assert_eq!(statements.matches("PARTITION OF").count(), 8);
    }
}
