//! How far an import is, as it stands in its table.

use super::Stored;
use crate::card_ref::ExidForm;
use crate::import::{DIGEST_LEN, ImportOptions, Position, SealedBlock};
use crate::store::StoreError;
use crate::store::postgres::error::Failure;
use crate::store::postgres::pool::{PostgresPool, Session};
use crate::store::postgres::queries::{Query, in_schema};

/// How far an import is: written in the same transaction as what it stored.
#[derive(Clone)]
pub(super) struct Progress {
    /// Which importer this is: another one that goes on with the import has another token.
    token: [u8; TOKEN_LEN],
    delimiter: u8,
    exid_form: ExidForm,
    /// What was read of the input, and the hash of that.
    pub(super) offset: u64,
    pub(super) rows: u64,
    pub(super) digest: [u8; DIGEST_LEN],
    pub(super) added: u64,
    pub(super) replaced: u64,
    pub(super) refused: u64,
    /// Whether that was all of it.
    pub(super) is_read: bool,
}

const TOKEN_LEN: usize = 16;

impl Progress {
    /// How far an import is that was cut short, if there is one.
    pub(super) fn read(pool: &PostgresPool) -> Result<Option<Self>, StoreError> {
        let select = in_schema(
            "SELECT token, delimiter, strict_exids, read_bytes, read_rows, digest, added, replaced,
                    refused, is_read
             FROM {schema}.import",
            pool.schema(),
        );
        let row = pool.read(|link| Ok(link.client.query_opt(&select, &[])?))?;
        let Some(row) = row else { return Ok(None) };
        let damaged = || StoreError::Damaged { table: "import" };
        let number = |column: usize| row.get::<_, i64>(column).cast_unsigned();
        Ok(Some(Self {
            token: row.get::<_, &[u8]>(0).try_into().map_err(|_| damaged())?,
            delimiter: u8::try_from(row.get::<_, i16>(1)).map_err(|_| damaged())?,
            exid_form: if row.get(2) { ExidForm::Strict } else { ExidForm::Any },
            offset: number(3),
            rows: number(4),
            digest: row.get::<_, &[u8]>(5).try_into().map_err(|_| damaged())?,
            added: number(6),
            replaced: number(7),
            refused: number(8),
            is_read: row.get(9),
        }))
    }

    /// Begins an import, in place of any that was cut short.
    pub(super) fn begin(
        pool: &PostgresPool,
        at: &Position,
        options: &ImportOptions,
    ) -> Result<Self, StoreError> {
        let new = Self {
            token: new_token()?,
            delimiter: options.delimiter,
            exid_form: options.exid_form,
            offset: at.offset,
            rows: at.rows,
            digest: at.digest(),
            added: 0,
            replaced: 0,
            refused: 0,
            is_read: false,
        };
        let delete = in_schema(
            "DELETE FROM {schema}.import; DELETE FROM {schema}.import_refusals",
            pool.schema(),
        );
        let insert = in_schema(
            "INSERT INTO {schema}.import (token, delimiter, strict_exids, read_bytes, read_rows,
                                          digest, added, replaced, refused, is_read)
             VALUES ($1, $2, $3, 0, 0, '', 0, 0, 0, false)",
            pool.schema(),
        );
        pool.write(|session| {
            session.take_time()?;
            session.txn.batch_execute(&delete)?;
            let strict = new.exid_form == ExidForm::Strict;
            session.txn.execute(&insert, &[&&new.token[..], &i16::from(new.delimiter), &strict])?;
            new.note(session)
        })?;
        Ok(new)
    }

    /// Goes on with the import under a token of this process, unless somebody else has done so since
    /// it was read.
    pub(super) fn take_over(&mut self, pool: &PostgresPool) -> Result<(), StoreError> {
        let update =
            in_schema("UPDATE {schema}.import SET token = $2 WHERE token = $1", pool.schema());
        let token = new_token()?;
        let values = (&self.token[..], &token[..]);
        let taken =
            pool.write(|session| Ok(session.txn.execute(&update, &[&values.0, &values.1])?))?;
        if taken == 0 {
            return Err(StoreError::Busy);
        }
        self.token = token;
        Ok(())
    }

    /// Whether what an import with these options has left behind may be gone on with.
    pub(super) fn suits(&self, options: &ImportOptions) -> bool {
        (self.delimiter, self.exid_form) == (options.delimiter, options.exid_form)
    }

    /// Whether cards of it are in the store.
    pub(super) fn has_stored(&self) -> bool {
        self.added + self.replaced > 0
    }

    /// How far it is after a batch.
    pub(super) fn after(&self, blocks: &[SealedBlock], stored: &Stored, is_last: bool) -> Self {
        let mut next = self.clone();
        if let Some(block) = blocks.last() {
            (next.offset, next.rows) = (block.end.offset, block.end.rows);
            next.digest = block.end.digest();
        }
        next.added += stored.added;
        next.replaced += stored.replaced;
        next.refused += stored.refused.len() as u64;
        next.refused += blocks.iter().map(|block| block.refusals.len() as u64).sum::<u64>();
        next.is_read = is_last;
        next
    }

    /// Writes it down, unless somebody else goes on with the import.
    pub(super) fn note(&self, session: &mut Session<'_>) -> Result<(), Failure> {
        let numbers = [self.offset, self.rows, self.added, self.replaced, self.refused];
        let [offset, rows, added, replaced, refused] = numbers.map(u64::cast_signed);
        let (token, digest) = (&self.token[..], &self.digest[..]);
        let noted = session.execute(
            Query::NoteImport,
            &[&token, &offset, &rows, &digest, &added, &replaced, &refused, &self.is_read],
        )?;
        if noted == 1 { Ok(()) } else { Err(StoreError::Busy.into()) }
    }

    /// Forgets the import, and the rows that it has refused.
    pub(super) fn forget(&self, pool: &PostgresPool) -> Result<(), StoreError> {
        let [import, refusals] = [
            "DELETE FROM {schema}.import WHERE token = $1",
            "DELETE FROM {schema}.import_refusals",
        ]
        .map(|delete| in_schema(delete, pool.schema()));
        pool.write(|session| {
            session.take_time()?;
            if session.txn.execute(&import, &[&&self.token[..]])? == 0 {
                return Err(StoreError::Busy.into());
            }
            session.txn.execute(&refusals, &[])?;
            Ok(())
        })
    }
}

fn new_token() -> Result<[u8; TOKEN_LEN], StoreError> {
    let mut token = [0; TOKEN_LEN];
    getrandom::fill(&mut token)?;
    Ok(token)
}
