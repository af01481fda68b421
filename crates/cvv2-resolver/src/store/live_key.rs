//! A sealing key that rows of a store may be sealed under, as the store remembers it.

use crate::seal::{KeyId, KeyVersion, Nonces, SEAL_LEN, Sealer, Table, Unopened};
use crate::store::StoreError;

/// The version and the id of a key, and a row that proves it.
pub(super) struct LiveKey {
    pub(super) version: KeyVersion,
    pub(super) id: KeyId,
    pub(super) proof: [u8; SEAL_LEN],
}

impl LiveKey {
    /// Seals that were made when a key became one of a store: its proof.
    pub(super) const SEALS: u64 = 1;

    /// The sealer's key of this version.
    pub(super) fn new(sealer: &Sealer, version: KeyVersion) -> Result<Self, StoreError> {
        let id = sealer.sealing_id(version).ok_or(StoreError::MissingKey { version })?;
        let proof = sealer.seal_under(version, &sealer.proof(), &Nonces::new().next()?, &[]);
        Ok(Self { version, id, proof: proof.try_into().expect("a seal around nothing") })
    }

    /// Refuses a sealer that has not got this key, or has another one of its version.
    pub(super) fn check(&self, sealer: &Sealer) -> Result<(), StoreError> {
        let Self { version, id, proof } = *self;
        let given = sealer.sealing_id(version).ok_or(StoreError::MissingKey { version })?;
        if given != id {
            return Err(StoreError::WrongSealingKey { version, store: id, given });
        }
        // The ids are there for the messages; this is the proof, of both keys.
        let damaged = |Unopened| StoreError::Damaged { table: Table::Meta.name() };
        sealer.open(&sealer.proof(), &proof, &mut []).map_err(damaged)
    }
}
