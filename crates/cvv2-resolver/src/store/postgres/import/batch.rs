//! One batch of an import: which of its rows stand alone, and how they and the others are stored.

use std::collections::HashSet;
use std::io;

use super::copying::Copying;
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
///
/// Everything about it that can be found out without the database is found out when it is read, so
/// that the database need not wait for that.
pub(super) struct Batch {
    blocks: Vec<SealedBlock>,
    rows: Vec<Row>,
    /// All claims in the order of tables and keys: so each page of an index is visited once.
    sorted: Vec<At>,
    sealed_under: KeyVersion,
    /// Rows that share their card or a reference with another one.
    shared: HashSet<u64>,
}

/// A row, and where the claim of its card is.
struct Row {
    number: u64,
    card: At,
}

/// Where a claim is.
#[derive(Clone, Copy)]
struct At {
    block: usize,
    offset: usize,
}

/// What became of a batch.
#[derive(Default)]
pub(super) struct Stored {
    pub(super) added: u64,
    pub(super) replaced: u64,
    /// Rows that were refused as cards.
    pub(super) refused: Vec<(u64, Flaw)>,
}

impl Batch {
    /// Reads the claims of blocks, which were sealed under a key of this version.
    pub(super) fn read(
        blocks: Vec<SealedBlock>,
        sealed_under: KeyVersion,
    ) -> Result<Self, StoreError> {
        let mut rows: Vec<Row> = Vec::new();
        let mut claims = Vec::new();
        for (number, block) in blocks.iter().enumerate() {
            let mut rest = &block.claims[..];
            while let Some((claim, behind)) = Claim::split_first(rest) {
                let at = At { block: number, offset: block.claims.len() - rest.len() };
                match (claim.table, rows.last()) {
                    (Table::Cards, _) => rows.push(Row { number: claim.row, card: at }),
                    (_, Some(row)) if row.number == claim.row => {}
                    _ => return Err(invalid()),
                }
                claims.push((claim, at));
                rest = behind;
            }
        }
        claims.sort_unstable_by_key(|(claim, _)| (claim.table as u8, claim.key));
        let mut shared = HashSet::new();
        for claims in claims.chunk_by(|(one, _), (other, _)| id(one) == id(other)) {
            if claims.len() > 1 {
                shared.extend(claims.iter().map(|(claim, _)| claim.row));
            }
        }
        let sorted = claims.into_iter().map(|(_, at)| at).collect();
        Ok(Self { blocks, rows, sorted, sealed_under, shared })
    }

    /// What it was read from.
    pub(super) fn blocks(&self) -> &[SealedBlock] {
        &self.blocks
    }

    /// The most seals that storing it can take under a key of this version.
    pub(super) fn seals_max(&self, version: KeyVersion) -> u64 {
        let again = if version == self.sealed_under { 0 } else { self.sorted.len() as u64 };
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
        let mut others = self.shared.clone();
        if *may_know {
            let known = self.known(session)?;
            let known = self.sorted().filter(|claim| known.contains(&id(claim)));
            others.extend(known.map(|claim| claim.row));
        }
        let copied = self.copy_all_but(&others, session, under, nonces);
        *may_know |= copied.as_ref().is_err_and(Failure::is_duplicate);
        copied?;
        let rows = self.rows.iter().filter(|row| others.contains(&row.number));
        let rows: Vec<_> = rows.map(|row| self.claim(row.card)).collect();
        let mut stored = put(session, &rows, under, nonces)?;
        stored.added += (self.rows.len() - rows.len()) as u64;
        Ok(stored)
    }

    /// What of it the database has.
    fn known(&self, session: &mut Session<'_>) -> Result<HashSet<(u8, Key)>, Failure> {
        let places = |table: Table| {
            let claims = self.sorted().filter(|claim| claim.table == table);
            claims.map(|claim| claim.place().ok_or_else(invalid)).collect::<Result<Vec<_>, _>>()
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

    /// Copies rows into the tables, all but these.
    fn copy_all_but(
        &self,
        others: &HashSet<u64>,
        session: &mut Session<'_>,
        under: (&Sealer, KeyVersion),
        nonces: &mut Nonces,
    ) -> Result<(), Failure> {
        for table in [Table::Cards, Table::References] {
            let is_copied =
                |claim: &Claim<'_>| claim.table == table && !others.contains(&claim.row);
            let mut claims = self.sorted().filter(is_copied).peekable();
            if claims.peek().is_none() {
                continue;
            }
            let copy = format!(
                "COPY {}.{} (hash, bank, sealed) FROM STDIN (FORMAT binary)",
                session.schema(),
                table_name(table)
            );
            let mut copying = Copying::new(session.txn.copy_in(&copy)?);
            for claim in claims {
                let place = claim.place().ok_or_else(invalid)?;
                let again;
                let sealed = if under.1 == self.sealed_under {
                    claim.sealed
                } else {
                    again = seal_again(claim.sealed, &place, under, nonces)?;
                    &again
                };
                copying.push([&place.index, place.bank.as_str().as_bytes(), sealed])?;
            }
            copying.finish()?;
        }
        Ok(())
    }

    fn sorted(&self) -> impl Iterator<Item = Claim<'_>> {
        self.sorted.iter().map(|&at| self.claim(at))
    }

    fn claim(&self, At { block, offset }: At) -> Claim<'_> {
        Claim::split_first(&self.blocks[block].claims[offset..]).expect("found when it was read").0
    }
}

/// The table and the key of a claim: what two rows may not both have.
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

/// Puts rows, given by the claims of their cards, in the order of the file.
fn put(
    session: &mut Session<'_>,
    rows: &[Claim<'_>],
    under: (&Sealer, KeyVersion),
    nonces: &mut Nonces,
) -> Result<Stored, Failure> {
    let mut stored = Stored::default();
    if rows.is_empty() {
        return Ok(stored);
    }
    let cards = rows.iter().map(|row| {
        let place = row.place().ok_or_else(invalid)?;
        let card = under.0.open_card(&place, row.sealed);
        let card = card.map_err(|Unopened| unopened(under.0, Table::Cards, row.sealed))?;
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
        stored.refused.push((row.row, flaw));
    }
    Ok(stored)
}

fn invalid() -> StoreError {
    io::Error::from(io::ErrorKind::InvalidData).into()
}
