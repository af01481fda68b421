//! The tables in the file, and the one that says what the file is.

use heed::types::Bytes;
use heed::{CommitToken, Database, DatabaseOpener, OnCommit, RoTxn, RwTxn};

use crate::seal::{FORMAT, KeyId, Nonces, SEALS_MAX, Sealer, Table, Unopened};
use crate::store::StoreError;

/// The handles of the tables; `'static` once the transaction that opened them is committed.
pub(super) struct Tables<'t> {
    pub(super) references: Rows<'t>,
    pub(super) cards: Rows<'t>,
    pub(super) meta: Rows<'t>,
}

pub(super) type Rows<'t> = Database<'t, Bytes, Bytes>;

/// One byte: the version of the format.
const META_FORMAT: &[u8] = b"format";
/// The id of the keys, and a row that is sealed under them.
const META_KEYS: &[u8] = b"keys";
/// How many rows were sealed: eight bytes, the most significant first.
const META_SEALS: &[u8] = b"seals";

const DAMAGED: StoreError = StoreError::Damaged { table: Table::Meta.name() };

impl<'t> Tables<'t> {
    /// How many tables there are.
    pub(super) const COUNT: u32 = 3;

    pub(super) fn create<T>(
        opener: &DatabaseOpener<'t, T>,
        txn: &mut RwTxn<'t>,
    ) -> heed::Result<Self> {
        Ok(Self {
            references: opener.create_database(txn, Some(Table::References.name()))?,
            cards: opener.create_database(txn, Some(Table::Cards.name()))?,
            meta: opener.create_database(txn, Some(Table::Meta.name()))?,
        })
    }

    /// The tables, if the file has them.
    pub(super) fn open<T>(
        opener: &DatabaseOpener<'t, T>,
        txn: &RoTxn<'t>,
    ) -> heed::Result<Option<Self>> {
        let references = opener.open_database(txn, Some(Table::References.name()))?;
        let cards = opener.open_database(txn, Some(Table::Cards.name()))?;
        let meta = opener.open_database(txn, Some(Table::Meta.name()))?;
        Ok(references.zip(cards).zip(meta).map(|((references, cards), meta)| Self {
            references,
            cards,
            meta,
        }))
    }

    /// Whether the file is a store already.
    pub(super) fn have_meta(&self, txn: &RoTxn<'_>) -> heed::Result<bool> {
        Ok(!self.meta.is_empty(txn)?)
    }

    pub(super) fn write_meta(
        &self,
        txn: &mut RwTxn<'_>,
        id: KeyId,
        sealer: &Sealer,
    ) -> Result<(), StoreError> {
        let mut nonces = Nonces::new();
        let proof = sealer.seal(&sealer.proof(), &nonces.next()?, &[]);
        self.meta.put(txn, META_FORMAT, &[FORMAT])?;
        self.meta.put(txn, META_KEYS, &[&id.0[..], &proof].concat())?;
        self.meta.put(txn, META_SEALS, &nonces.given().to_be_bytes())?;
        Ok(())
    }

    /// Refuses another format and other keys, before anything else is read.
    pub(super) fn check_meta(
        &self,
        txn: &RoTxn<'_>,
        given: KeyId,
        sealer: &Sealer,
    ) -> Result<(), StoreError> {
        match self.meta.get(txn, META_FORMAT)? {
            Some(&[FORMAT]) => {}
            Some(&[found]) => return Err(StoreError::Format { found, supported: FORMAT }),
            _ => return Err(DAMAGED),
        }
        let row = self.meta.get(txn, META_KEYS)?.ok_or(DAMAGED)?;
        let (&id, proof) = row.split_first_chunk().ok_or(DAMAGED)?;
        if KeyId(id) != given {
            return Err(StoreError::WrongKeys { store: KeyId(id), given });
        }
        // The id is there for the message; this is the proof.
        sealer.open(&sealer.proof(), proof, &mut []).map_err(|Unopened| DAMAGED)
    }

    /// Adds to the number of seals that were made, or refuses them all.
    pub(super) fn count_seals(&self, txn: &mut RwTxn<'_>, more: u64) -> Result<(), StoreError> {
        let row = self.meta.get(txn, META_SEALS)?.ok_or(DAMAGED)?;
        let made = u64::from_be_bytes(row.try_into().map_err(|_| DAMAGED)?);
        let made = made.saturating_add(more);
        if made > SEALS_MAX {
            return Err(StoreError::KeysWornOut);
        }
        Ok(self.meta.put(txn, META_SEALS, &made.to_be_bytes())?)
    }
}

impl OnCommit for Tables<'_> {
    type Committed = Tables<'static>;

    fn on_commit(self, token: &CommitToken) -> Self::Committed {
        Tables {
            references: self.references.on_commit(token),
            cards: self.cards.on_commit(token),
            meta: self.meta.on_commit(token),
        }
    }
}
