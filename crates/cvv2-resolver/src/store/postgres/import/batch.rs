//! One batch of an import: which of its rows stand alone, and how they and the others are stored.

use std::collections::{HashMap, HashSet};
use std::io;

use postgres::binary_copy::BinaryCopyInWriter;
use postgres::types::Type;

use crate::encoding::Card;
use crate::import::{Claim, Flaw, SealedBlock};
use crate::seal::{KeyVersion, Nonces, Place, Sealer, Table, Unopened};
use crate::store::postgres::error::Failure;
use crate::store::postgres::pool::Session;
use crate::store::postgres::queries::Query;
use crate::store::postgres::rows::{Key, Keys, place_of};
use crate::store::postgres::{table_name, writing};
use crate::store::{NewCard, PutOutcome, StoreError, unopened};

/// The rows of some blocks that are cards.
pub(super) struct Batch<'b> {
    rows: Vec<Row<'b>>,
    sealed_under: KeyVersion,
    /// Rows that share their card or a reference with another one.
    shared: HashSet<u64>,
}

/// The claims of a row.
struct Row<'b> {
    number: u64,
    card: Claim<'b>,
    refs: Vec<Claim<'b>>,
}

/// What became of a batch.
#[derive(Default)]
pub(super) struct Stored {
    pub(super) added: u64,
    pub(super) replaced: u64,
    /// Rows that were refused as cards.
    pub(super) refused: Vec<(u64, Flaw)>,
}

impl<'b> Batch<'b> {
    /// Reads the claims of blocks, which were sealed under a key of this version.
    pub(super) fn read(
        blocks: &'b [SealedBlock],
        sealed_under: KeyVersion,
    ) -> Result<Self, StoreError> {
        let mut rows: Vec<Row<'b>> = Vec::new();
        for block in blocks {
            let mut rest = &block.claims[..];
            while let Some((claim, behind)) = Claim::split_first(rest) {
                match (claim.table, rows.last_mut()) {
                    (Table::Cards, _) => {
                        rows.push(Row { number: claim.row, card: claim, refs: Vec::new() });
                    }
                    (_, Some(row)) if row.number == claim.row => row.refs.push(claim),
                    _ => return Err(invalid()),
                }
                rest = behind;
            }
        }
        let mut first = HashMap::new();
        let mut shared = HashSet::new();
        for row in &rows {
            for claim in row.claims() {
                if let Some(other) = first.insert((claim.table as u8, claim.key), row.number)
                    && other != row.number
                {
                    shared.extend([other, row.number]);
                }
            }
        }
        Ok(Self { rows, sealed_under, shared })
    }

    /// The most seals that storing it can take under a key of this version.
    pub(super) fn seals_max(&self, version: KeyVersion) -> u64 {
        let again = if version == self.sealed_under {
            0
        } else {
            self.rows.iter().map(|row| 1 + row.refs.len() as u64).sum()
        };
        again + writing::seals_max(self.rows.len())
    }

    /// Stores it in a transaction that holds the current key.
    ///
    /// `may_know` says whether it may be that the database has some of it; it becomes so where that
    /// turns out, and the transaction is to be done again.
    pub(super) fn store(
        &self,
        session: &mut Session<'_>,
        under: (&Sealer, KeyVersion),
        may_know: &mut bool,
        nonces: &mut Nonces,
    ) -> Result<Stored, Failure> {
        let known = if *may_know { self.known(session)? } else { HashSet::new() };
        let (others, alone): (Vec<_>, Vec<_>) = self.rows.iter().partition(|row| {
            self.shared.contains(&row.number)
                || row.claims().any(|claim| known.contains(&id(claim)))
        });
        let copied = self.copy(session, &alone, under, nonces);
        *may_know |= copied.as_ref().is_err_and(Failure::is_duplicate);
        copied?;
        let mut stored = put(session, &others, under, nonces)?;
        stored.added += alone.len() as u64;
        Ok(stored)
    }

    /// What of it the database has.
    fn known(&self, session: &mut Session<'_>) -> Result<HashSet<(u8, Key)>, Failure> {
        let places = |table: Table| {
            let claims = self.rows.iter().flat_map(Row::claims);
            claims
                .filter(|claim| claim.table == table)
                .map(|claim| claim.place().ok_or_else(invalid))
                .collect::<Result<Vec<_>, _>>()
        };
        let mut known = HashSet::new();
        for (table, query) in
            [(Table::Cards, Query::KnownCards), (Table::References, Query::KnownReferences)]
        {
            for row in Keys::of(&places(table)?).query(session, query)? {
                let place = place_of(&row, table).ok_or_else(invalid)?;
                known.insert((table as u8, place.key()));
            }
        }
        Ok(known)
    }

    /// Copies rows that stand alone into the tables.
    fn copy(
        &self,
        session: &mut Session<'_>,
        rows: &[&Row<'b>],
        under: (&Sealer, KeyVersion),
        nonces: &mut Nonces,
    ) -> Result<(), Failure> {
        for table in [Table::Cards, Table::References] {
            let mut claims: Vec<_> =
                rows.iter().flat_map(|row| row.claims()).filter(|c| c.table == table).collect();
            if claims.is_empty() {
                continue;
            }
            // In the order of keys, each page of the table's index is visited once.
            claims.sort_unstable_by_key(|claim| claim.key);
            let copy = format!(
                "COPY {}.{} (hash, bank, sealed) FROM STDIN (FORMAT binary)",
                session.schema(),
                table_name(table)
            );
            let writer = session.txn.copy_in(&copy)?;
            let mut writer =
                BinaryCopyInWriter::new(writer, &[Type::BYTEA, Type::TEXT, Type::BYTEA]);
            for claim in claims {
                let place = claim.place().ok_or_else(invalid)?;
                let again;
                let sealed = if under.1 == self.sealed_under {
                    claim.sealed
                } else {
                    again = seal_again(claim.sealed, &place, under, nonces)?;
                    &again
                };
                writer.write(&[&&place.index[..], &place.bank.as_str(), &sealed])?;
            }
            writer.finish()?;
        }
        Ok(())
    }
}

impl<'b> Row<'b> {
    fn claims(&self) -> impl Iterator<Item = &Claim<'b>> {
        [&self.card].into_iter().chain(&self.refs)
    }
}

fn id(claim: &Claim<'_>) -> (u8, Key) {
    (claim.table as u8, *claim.key)
}

fn seal_again(
    sealed: &[u8],
    place: &Place,
    (sealer, version): (&Sealer, KeyVersion),
    nonces: &mut Nonces,
) -> Result<Vec<u8>, Failure> {
    let again = sealer.reseal(version, place, sealed, &nonces.next()?);
    Ok(again.map_err(|Unopened| unopened(sealer, place.table, sealed))?)
}

/// Puts rows in the order of the file.
fn put(
    session: &mut Session<'_>,
    rows: &[&Row<'_>],
    under: (&Sealer, KeyVersion),
    nonces: &mut Nonces,
) -> Result<Stored, Failure> {
    let mut stored = Stored::default();
    if rows.is_empty() {
        return Ok(stored);
    }
    let cards = rows.iter().map(|row| {
        let place = row.card.place().ok_or_else(invalid)?;
        let card = under.0.open_card(&place, row.card.sealed);
        let card = card.map_err(|Unopened| unopened(under.0, Table::Cards, row.card.sealed))?;
        Ok((place.bank, card))
    });
    let cards = cards.collect::<Result<Vec<_>, StoreError>>()?;
    let new: Vec<_> =
        cards.iter().map(|(bank, Card { record, refs })| NewCard { bank, refs, record }).collect();
    let outcomes = writing::put(session, under, &new, nonces)?;
    for ((row, new), outcome) in rows.iter().zip(&new).zip(outcomes) {
        let flaw = match outcome {
            PutOutcome::Added => {
                stored.added += 1;
                continue;
            }
            PutOutcome::Replaced => {
                stored.replaced += 1;
                continue;
            }
            PutOutcome::Taken { reference } => Flaw::taken(&new.refs[reference]),
            PutOutcome::References { count } => Flaw::References { count },
        };
        stored.refused.push((row.number, flaw));
    }
    Ok(stored)
}

fn invalid() -> StoreError {
    io::Error::from(io::ErrorKind::InvalidData).into()
}
