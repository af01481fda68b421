//! Sealed rows between the database and the seal.

use std::collections::BTreeMap;

use postgres::Row;

use super::error::Failure;
use super::pool::Session;
use super::queries::Query;
use crate::bank::BankId;
use crate::seal::{Place, Table};

/// Where a row stands in its table: the order of keys is the order of the table.
pub(super) type Key = [u8; Place::KEY_LEN];

/// The keys of many rows, in the shape that a statement takes: hashes, and banks.
pub(super) struct Keys<'p> {
    pub(super) hashes: Vec<&'p [u8]>,
    pub(super) banks: Vec<&'p str>,
}

impl<'p> Keys<'p> {
    pub(super) fn of(places: impl IntoIterator<Item = &'p Place>) -> Self {
        let (hashes, banks) =
            places.into_iter().map(|place| (&place.index[..], place.bank.as_str())).unzip();
        Self { hashes, banks }
    }

    /// What a query finds under these keys.
    pub(super) fn query(
        &self,
        session: &mut Session<'_>,
        query: Query,
    ) -> Result<Vec<Row>, postgres::Error> {
        session.query(query, &[&self.hashes, &self.banks])
    }
}

/// The place in `table` that a row says it stands at, in its first two columns.
pub(super) fn place_of(row: &Row, table: Table) -> Option<Place> {
    let index = row.get::<_, &[u8]>(0).try_into().ok()?;
    Some(Place { table, bank: BankId::parse(row.get(1)).ok()?, index })
}

/// Sealed rows that are to be written, each in its place.
#[derive(Default)]
pub(super) struct SealedRows(BTreeMap<Key, (Place, Vec<u8>)>);

impl SealedRows {
    pub(super) fn push(&mut self, place: Place, sealed: Vec<u8>) {
        self.0.insert(place.key(), (place, sealed));
    }

    /// Writes all of them, in the order of keys, so that no two writers wait for each other.
    pub(super) fn write(&self, session: &mut Session<'_>, query: Query) -> Result<(), Failure> {
        if self.0.is_empty() {
            return Ok(());
        }
        let Keys { hashes, banks } = Keys::of(self.0.values().map(|(place, _)| place));
        let sealed: Vec<_> = self.0.values().map(|(_, sealed)| sealed.as_slice()).collect();
        session.execute(query, &[&hashes, &banks, &sealed])?;
        Ok(())
    }
}
