//! The tables in the file, and the one that says what the file is.

use heed::types::Bytes;
use heed::{CommitToken, Database, DatabaseOpener, OnCommit, RoTxn, RwTxn};

use crate::seal::{FORMAT, KeyId, KeyVersion, SEAL_LEN, SEALS_MAX, Sealer, Table, Unopened};
use crate::store::StoreError;
use crate::store::live_key::LiveKey;
use crate::store::resealing::Position;

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

/// How far an import is, where one is not finished.
const META_IMPORT: &[u8] = b"import";
/// How far sealing again is, where it is not done.
const META_RESEAL: &[u8] = b"reseal";
/// The number of the generation that came after this one, where one did.
const META_SUCCESSOR: &[u8] = b"successor";

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
        sealer: &Sealer,
    ) -> Result<(), StoreError> {
        self.meta.put(txn, META_FORMAT, &[FORMAT])?;
        let mut none = LiveKeys { index: sealer.id(), current: sealer.current(), sealing: vec![] };
        self.add_live_key(txn, &mut none, sealer)
    }

    /// Refuses another format and other keys, before anything else is read, and has the sealer seal
    /// under the key that is the store's current one.
    pub(super) fn check_meta(&self, txn: &RoTxn<'_>, sealer: &Sealer) -> Result<(), StoreError> {
        match self.meta.get(txn, META_FORMAT)? {
            Some(&[FORMAT]) => {}
            Some(&[found]) => return Err(StoreError::Format { found, supported: FORMAT }),
            _ => return Err(DAMAGED),
        }
        let live = self.live_keys(txn)?;
        if live.index != sealer.id() {
            return Err(StoreError::WrongKeys { store: live.index, given: sealer.id() });
        }
        live.sealing.iter().try_for_each(|key| key.check(sealer))?;
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
        sealer: &Sealer,
    ) -> Result<(), StoreError> {
        let version = sealer.current();
        live.sealing.push(LiveKey::new(sealer, version)?);
        live.current = version;
        self.meta.put(txn, META_KEYS, &live.to_bytes())?;
        self.meta.put(txn, &seals_key(version), &LiveKey::SEALS.to_be_bytes())?;
        Ok(())
    }

    /// The number of the generation that came after this one.
    pub(super) fn successor(&self, txn: &RoTxn<'_>) -> Result<Option<u32>, StoreError> {
        match self.meta.get(txn, META_SUCCESSOR)? {
            Some(row) => Ok(Some(u32::from_be_bytes(row.try_into().map_err(|_| DAMAGED)?))),
            None => Ok(None),
        }
    }

    pub(super) fn set_successor(&self, txn: &mut RwTxn<'_>, number: u32) -> heed::Result<()> {
        self.meta.put(txn, META_SUCCESSOR, &number.to_be_bytes())
    }

    /// How far an import is that is not finished.
    pub(super) fn import<'r>(&self, txn: &'r RoTxn<'_>) -> heed::Result<Option<&'r [u8]>> {
        self.meta.get(txn, META_IMPORT)
    }

    pub(super) fn set_import(&self, txn: &mut RwTxn<'_>, progress: &[u8]) -> heed::Result<()> {
        self.meta.put(txn, META_IMPORT, progress)
    }

    pub(super) fn remove_import(&self, txn: &mut RwTxn<'_>) -> heed::Result<bool> {
        self.meta.delete(txn, META_IMPORT)
    }

    /// How far sealing again is, where it is not done.
    pub(super) fn reseal(&self, txn: &RoTxn<'_>) -> Result<Option<Position>, StoreError> {
        let row = self.meta.get(txn, META_RESEAL)?;
        row.map(|row| row.try_into().map_err(|_| DAMAGED)).transpose()
    }

    pub(super) fn set_reseal(&self, txn: &mut RwTxn<'_>, position: &Position) -> heed::Result<()> {
        self.meta.put(txn, META_RESEAL, position)
    }

    /// Forgets all sealing keys but the current one: no row is sealed under another.
    pub(super) fn retire_other_keys(&self, txn: &mut RwTxn<'_>) -> Result<(), StoreError> {
        let mut live = self.live_keys(txn)?;
        let current = live.current;
        for key in live.sealing.extract_if(.., |key| key.version != current) {
            self.meta.delete(txn, &seals_key(key.version))?;
        }
        self.meta.put(txn, META_KEYS, &live.to_bytes())?;
        self.meta.delete(txn, META_RESEAL)?;
        Ok(())
    }

    /// The rows of a table.
    pub(super) fn rows(&self, table: Table) -> Rows<'t> {
        match table {
            Table::References => self.references,
            Table::Cards => self.cards,
            Table::Meta => self.meta,
        }
    }

    /// Writes everything that `meta` of another generation says, in place of what this one says.
    pub(super) fn copy_meta(
        &self,
        txn: &mut RwTxn<'_>,
        from: &Tables<'_>,
        from_txn: &RoTxn<'_>,
    ) -> heed::Result<()> {
        self.meta.clear(txn)?;
        for row in from.meta.iter(from_txn)? {
            let (key, value) = row?;
            self.meta.put(txn, key, value)?;
        }
        Ok(())
    }

    /// Corrects the number of seals that were made under a key, or refuses them all.
    pub(super) fn count_seals(
        &self,
        txn: &mut RwTxn<'_>,
        version: KeyVersion,
        more: i64,
    ) -> Result<(), StoreError> {
        let key = seals_key(version);
        let row = self.meta.get(txn, &key)?.ok_or(DAMAGED)?;
        let made = u64::from_be_bytes(row.try_into().map_err(|_| DAMAGED)?);
        let made = made.saturating_add_signed(more);
        if made > SEALS_MAX {
            return Err(StoreError::KeyWornOut { version });
        }
        Ok(self.meta.put(txn, &key, &made.to_be_bytes())?)
    }
}

/// The keys that rows of the store may be sealed under, as `meta` has them.
pub(super) struct LiveKeys {
    index: KeyId,
    pub(super) current: KeyVersion,
    sealing: Vec<LiveKey>,
}

impl LiveKeys {
    fn read(row: &[u8]) -> Option<Self> {
        let (index, row) = row.split_first_chunk()?;
        let (&[current], row) = row.split_first_chunk()?;
        let (entries, rest) = row.as_chunks::<LIVE_KEY_LEN>();
        let sealing = entries.iter().map(read_live_key).collect::<Option<Vec<_>>>()?;
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

const LIVE_KEY_LEN: usize = 1 + KeyId::LEN + SEAL_LEN;

fn read_live_key(entry: &[u8; LIVE_KEY_LEN]) -> Option<LiveKey> {
    let (&[version], entry) = entry.split_first_chunk()?;
    let (id, proof) = entry.split_first_chunk()?;
    Some(LiveKey {
        version: KeyVersion::new(version)?,
        id: KeyId(*id),
        proof: proof.try_into().ok()?,
    })
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
