//! The tables in the file, and the one that says what the file is.

use heed::types::Bytes;
use heed::{CommitToken, Database, DatabaseOpener, OnCommit, RoTxn, RwTxn};

use crate::seal::{
    FORMAT, KeyId, KeyVersion, Nonces, SEAL_LEN, SEALS_MAX, Sealer, StoreKeys, Table, Unopened,
};
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
/// The id of the index key, the version of the current sealing key, and for each live sealing key,
/// by version, its version, its id and a row that proves it.
const META_KEYS: &[u8] = b"keys";
/// Followed by a key's version: how many rows were sealed under that key, in eight bytes, the most
/// significant first.
const META_SEALS: &[u8] = b"seals ";

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
        keys: &StoreKeys,
        sealer: &Sealer,
    ) -> Result<(), StoreError> {
        self.meta.put(txn, META_FORMAT, &[FORMAT])?;
        let mut row = LiveKeys { index: keys.id(), current: sealer.current(), sealing: Vec::new() };
        self.add_live_key(txn, &mut row, keys, sealer)
    }

    /// Refuses another format and other keys, before anything else is read, and has the sealer seal
    /// under the key that is the store's current one.
    pub(super) fn check_meta(
        &self,
        txn: &RoTxn<'_>,
        given: &StoreKeys,
        sealer: &Sealer,
    ) -> Result<(), StoreError> {
        match self.meta.get(txn, META_FORMAT)? {
            Some(&[FORMAT]) => {}
            Some(&[found]) => return Err(StoreError::Format { found, supported: FORMAT }),
            _ => return Err(DAMAGED),
        }
        let live = self.live_keys(txn)?;
        if live.index != given.id() {
            return Err(StoreError::WrongKeys { store: live.index, given: given.id() });
        }
        for LiveKey { version, id, proof } in &live.sealing {
            let version = *version;
            let given = given.sealing_id(version).ok_or(StoreError::MissingKey { version })?;
            if given != *id {
                return Err(StoreError::WrongSealingKey { version, store: *id, given });
            }
            // The ids are there for the messages; this is the proof, of both keys.
            sealer.open(&sealer.proof(), proof, &mut []).map_err(|Unopened| DAMAGED)?;
        }
        sealer.set_current(live.current).map_err(|Unopened| DAMAGED)
    }

    /// The keys that rows may be sealed under.
    pub(super) fn live_keys(&self, txn: &RoTxn<'_>) -> Result<LiveKeys, StoreError> {
        LiveKeys::read(self.meta.get(txn, META_KEYS)?.ok_or(DAMAGED)?).ok_or(DAMAGED)
    }

    /// Writes the live keys, and with them the sealer's current one, which was none of them.
    pub(super) fn add_live_key(
        &self,
        txn: &mut RwTxn<'_>,
        live: &mut LiveKeys,
        keys: &StoreKeys,
        sealer: &Sealer,
    ) -> Result<(), StoreError> {
        let version = sealer.current();
        let id = keys.sealing_id(version).ok_or(StoreError::MissingKey { version })?;
        let mut nonces = Nonces::new();
        let proof = sealer.seal(&sealer.proof(), &nonces.next()?, &[]);
        let proof = proof.try_into().expect("a seal around nothing");
        live.sealing.push(LiveKey { version, id, proof });
        live.current = version;
        self.meta.put(txn, META_KEYS, &live.to_bytes())?;
        self.meta.put(txn, &seals_key(version), &nonces.given().to_be_bytes())?;
        Ok(())
    }

    /// Adds to the number of seals that were made under a key, or refuses them all.
    pub(super) fn count_seals(
        &self,
        txn: &mut RwTxn<'_>,
        version: KeyVersion,
        more: u64,
    ) -> Result<(), StoreError> {
        let key = seals_key(version);
        let row = self.meta.get(txn, &key)?.ok_or(DAMAGED)?;
        let made = u64::from_be_bytes(row.try_into().map_err(|_| DAMAGED)?);
        let made = made.saturating_add(more);
        if made > SEALS_MAX {
            return Err(StoreError::KeyWornOut { version });
        }
        Ok(self.meta.put(txn, &key, &made.to_be_bytes())?)
    }
}

/// The keys that rows of the store may be sealed under, as `meta` has them.
pub(super) struct LiveKeys {
    index: KeyId,
    current: KeyVersion,
    sealing: Vec<LiveKey>,
}

struct LiveKey {
    version: KeyVersion,
    id: KeyId,
    proof: [u8; SEAL_LEN],
}

impl LiveKeys {
    fn read(row: &[u8]) -> Option<Self> {
        let (index, row) = row.split_first_chunk()?;
        let (&[current], row) = row.split_first_chunk()?;
        let (entries, rest) = row.as_chunks::<{ LiveKey::LEN }>();
        let sealing = entries.iter().map(LiveKey::read).collect::<Option<Vec<_>>>()?;
        let current = KeyVersion::new(current)?;
        (rest.is_empty() && sealing.iter().any(|key| key.version == current)).then_some(Self {
            index: KeyId(*index),
            current,
            sealing,
        })
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut row = self.index.0.to_vec();
        row.push(self.current.number());
        for LiveKey { version, id, proof } in &self.sealing {
            row.push(version.number());
            row.extend_from_slice(&id.0);
            row.extend_from_slice(proof);
        }
        row
    }
}

impl LiveKey {
    const LEN: usize = 1 + KeyId::LEN + SEAL_LEN;

    fn read(entry: &[u8; Self::LEN]) -> Option<Self> {
        let (&[version], entry) = entry.split_first_chunk()?;
        let (id, proof) = entry.split_first_chunk()?;
        Some(Self {
            version: KeyVersion::new(version)?,
            id: KeyId(*id),
            proof: proof.try_into().ok()?,
        })
    }
}

fn seals_key(version: KeyVersion) -> Vec<u8> {
    [META_SEALS, &[version.number()]].concat()
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
