//! The keyed index that rows are found by, and the seal that rows are kept under.
//!
//! # Index
//!
//! HMAC-SHA-256 under the index key over a separator, the bank, the kind of identifier and the
//! identifier, cut to its first 16 bytes. Everything but the identifier has a fixed length and the
//! identifier comes last, so no two inputs are the same bytes; the input fits one block of SHA-256
//! with its padding. Without the key nobody can try PANs against a stolen file, few as there are.
//!
//! Sixteen bytes are enough: among 2^32 rows two share an index with a chance of 2^-65, and forging
//! an index is of no use without the sealing key. All 32 would make the file larger by a quarter.
//!
//! # Seal
//!
//! AES-256-GCM. The associated data are the format's version, the key's version, the table, the
//! index and the bank: all that says where a row stands. A row that was moved to another index,
//! bank or table, or given another version, does not open.
//!
//! Nonces are 96 random bits from the operating system's generator, because a counter would have to
//! survive crashes, restored backups and copies of the file, and a nonce used twice gives two rows
//! away. Random nonces collide by chance: NIST SP 800-38D, section 8.3, therefore allows 2^32 seals
//! under one key, which keeps that chance below 2^-32. The store counts its seals under each key
//! and refuses more ([`SEALS_MAX`]). A hundred million cards with two references each are 2^28.2
//! seals: the limit is reached after fourteen imports of the whole portfolio, and a new sealing key
//! is due before. The count starts again where a key is used for a second store or an old copy of
//! the store is brought back: use new keys then.
//!
//! # Versions
//!
//! Several sealing keys may be live, each row names its own, and new rows are sealed under the
//! current one. So a sealing key is replaced while the store is in use: the new key becomes current,
//! a pass in the background seals every row again, and then the old key is no longer needed.
//!
//! The index key has no versions, because a look-up has one index to look for. A new index key means
//! a new place for every row: the store is written again.
//!
//! # Not protected
//!
//! Whoever can write the file can put an older version of a whole card back, take rows away, and
//! see how many rows a bank has and how many references a card. Sealing says that a row is genuine,
//! not that it is the latest.

mod key_version;
mod keys;
mod rows;

use std::sync::atomic::{AtomicU8, Ordering};

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, Aes256Gcm};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::zeroize_stack;

pub use key_version::KeyVersion;
pub use keys::{KeyId, StoreKey, StoreKeys, StoreKeysError};

use crate::bank::BankId;
use crate::card_ref::{CardRef, CardRefKind};

/// The version of the file's format, bound into every seal.
pub(crate) const FORMAT: u8 = 2;

/// How many rows may be sealed under one key: the bound of NIST SP 800-38D, section 8.3.
pub(crate) const SEALS_MAX: u64 = 1 << 32;

/// How much longer a row is than what it holds: key version, nonce, tag.
pub(crate) const SEAL_LEN: usize = 1 + NONCE_LEN + TAG_LEN;

const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;

/// What makes an index out of a bank and an identifier.
pub(crate) type Index = [u8; INDEX_LEN];
pub(crate) const INDEX_LEN: usize = 16;

/// Where a row stands: what its seal is bound to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) table: Table,
    pub(crate) bank: BankId,
    pub(crate) index: Index,
}

/// The tables of sealed rows. A number once given is never given to another table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// Reference to record.
    References = 1,
    /// Card by its PAN, with all its references.
    Cards = 2,
    /// The row that proves the keys.
    Meta = 3,
}

impl Table {
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        [Self::References, Self::Cards, Self::Meta].into_iter().find(|t| *t as u8 == number)
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::References => "references",
            Self::Cards => "cards",
            Self::Meta => "meta",
        }
    }
}

/// A row's seal is broken, or it was never sealed under these keys for this place.
#[derive(Debug)]
pub(crate) struct Unopened;

/// The keys of a store, ready for use.
pub(crate) struct Sealer {
    index: Hmac<Sha256>,
    /// The id of the index key.
    id: KeyId,
    sealing: Vec<SealingKey>,
    /// The number of the version that rows are sealed under.
    current: AtomicU8,
}

struct SealingKey {
    version: KeyVersion,
    id: KeyId,
    aead: Aes256Gcm,
}

impl Sealer {
    /// Prepares the keys on the heap, and wipes what the preparation left on the stack.
    ///
    /// Rows are sealed under the newest of the keys until the store says otherwise.
    pub(crate) fn new(keys: &StoreKeys) -> Box<Self> {
        #[inline(never)]
        fn prepare(keys: &StoreKeys) -> Box<Sealer> {
            // With room for all at once: a vector that grows leaves copies of what it moves.
            let mut sealing = Vec::with_capacity(keys.versions().count());
            for version in keys.versions() {
                let key = keys.expose_sealing(version).expect("one of its versions");
                let id = keys.sealing_id(version).expect("one of its versions");
                sealing.push(SealingKey { version, id, aead: Aes256Gcm::new(key.into()) });
            }
            let newest = keys.versions().last().expect("a set has a sealing key");
            Box::new(Sealer {
                index: Hmac::new_from_slice(keys.expose_index()).expect("HMAC takes any length"),
                id: keys.id(),
                sealing,
                current: AtomicU8::new(newest.number()),
            })
        }
        let sealer = prepare(keys);
        zeroize_stack::<8192>();
        sealer
    }

    /// The id of the index key.
    pub(crate) fn id(&self) -> KeyId {
        self.id
    }

    /// The id of the sealing key of a version, if there is one.
    pub(crate) fn sealing_id(&self, version: KeyVersion) -> Option<KeyId> {
        self.sealing_key(version.number()).ok().map(|key| key.id)
    }

    /// The version that rows are sealed under.
    pub(crate) fn current(&self) -> KeyVersion {
        KeyVersion::new(self.current.load(Ordering::Relaxed)).expect("stored from a version")
    }

    /// Seals under this version from now on, or refuses because it has no such key.
    pub(crate) fn set_current(&self, version: KeyVersion) -> Result<(), Unopened> {
        self.sealing_key(version.number())?;
        self.current.store(version.number(), Ordering::Relaxed);
        Ok(())
    }

    /// The version that a row was sealed under, if its key is not among the keys.
    pub(crate) fn missing_key(&self, row: &[u8]) -> Option<KeyVersion> {
        let version = row.first().copied().and_then(KeyVersion::new)?;
        self.sealing_key(version.number()).is_err().then_some(version)
    }

    /// Where the record stands that is found by a reference.
    pub(crate) fn reference(&self, bank: BankId, card: &CardRef) -> Place {
        let kind = match card.kind() {
            CardRefKind::ContractNumber => Kind::ContractNumber,
            CardRefKind::Exid => Kind::Exid,
        };
        let index = self.index(bank, kind, card.expose().as_bytes());
        Place { table: Table::References, bank, index }
    }

    /// Where a card stands with all its references.
    pub(crate) fn card(&self, bank: BankId, pan: &cvv2::Pan) -> Place {
        let index = self.index(bank, Kind::Card, pan.expose().as_bytes());
        Place { table: Table::Cards, bank, index }
    }

    /// Seals `plain` for `place` under the current key.
    pub(crate) fn seal(&self, place: &Place, nonce: &[u8; NONCE_LEN], plain: &[u8]) -> Vec<u8> {
        self.seal_under(self.current(), place, nonce, plain)
    }

    /// Seals `plain` for `place` under the key of a version that there is.
    pub(crate) fn seal_under(
        &self,
        version: KeyVersion,
        place: &Place,
        nonce: &[u8; NONCE_LEN],
        plain: &[u8],
    ) -> Vec<u8> {
        let mut row = Vec::with_capacity(plain.len() + SEAL_LEN);
        self.seal_into(&mut row, version, place, nonce, plain);
        row
    }

    /// As [`seal_under`](Self::seal_under), behind what is in `rows` already.
    pub(crate) fn seal_into(
        &self,
        rows: &mut Vec<u8>,
        version: KeyVersion,
        place: &Place,
        nonce: &[u8; NONCE_LEN],
        plain: &[u8],
    ) {
        let version = version.number();
        rows.push(version);
        rows.extend_from_slice(nonce);
        let start = rows.len();
        rows.resize(start + plain.len(), 0);
        let buffer = InOutBuf::new(plain, &mut rows[start..]).expect("as long as each other");
        let tag = self
            .sealing_key(version)
            .expect("the key is there")
            .aead
            .encrypt_inout_detached(nonce.into(), &place.associated_data(version), buffer)
            .expect("far shorter than the 64 GiB that GCM takes");
        rows.extend_from_slice(&tag);
    }

    /// Opens `row`, which stands at `place`, into `plain`, which has the length that it must have.
    ///
    /// `plain` is written only after the tag was found to be right.
    pub(crate) fn open(&self, place: &Place, row: &[u8], plain: &mut [u8]) -> Result<(), Unopened> {
        let (&[key_version], row) = row.split_first_chunk().ok_or(Unopened)?;
        let (nonce, row) = row.split_first_chunk::<NONCE_LEN>().ok_or(Unopened)?;
        let (sealed, tag) = row.split_last_chunk::<TAG_LEN>().ok_or(Unopened)?;
        let buffer = InOutBuf::new(sealed, plain).map_err(|_| Unopened)?;
        let associated_data = place.associated_data(key_version);
        self.sealing_key(key_version)?
            .aead
            .decrypt_inout_detached(nonce.into(), &associated_data, buffer, tag.into())
            .map_err(|_| Unopened)
    }

    fn sealing_key(&self, version: u8) -> Result<&SealingKey, Unopened> {
        self.sealing.iter().find(|key| key.version.number() == version).ok_or(Unopened)
    }

    /// A place that is only found with the index key: what is sealed for it proves both keys.
    pub(crate) fn proof(&self) -> Place {
        let bank = BankId::parse("0").expect("one digit");
        Place { table: Table::Meta, bank, index: self.index(bank, Kind::Proof, b"") }
    }

    fn index(&self, bank: BankId, kind: Kind, identifier: &[u8]) -> Index {
        let mac = self
            .index
            .clone()
            .chain_update(b"cvv2 idx")
            .chain_update(bank.to_bytes())
            .chain_update([kind as u8])
            .chain_update(identifier)
            .finalize()
            .into_bytes();
        *mac.first_chunk().expect("32 bytes")
    }
}

/// What an index is made of, so that equal texts of different kinds have different indexes.
#[derive(Clone, Copy)]
enum Kind {
    ContractNumber = 1,
    Exid = 2,
    /// A card by its PAN, which no reference can be mistaken for.
    Card = 3,
    Proof = 4,
}

impl Place {
    const ASSOCIATED_LEN: usize = 8 + 3 + BankId::LEN_MAX + INDEX_LEN;
    pub(crate) const KEY_LEN: usize = BankId::LEN_MAX + INDEX_LEN;

    /// The key of the row in its table: the index, then the bank.
    ///
    /// In this order the first bits of the key are spread evenly, whatever banks there are, so that
    /// a table can be cut into slices of the same size.
    pub(crate) fn key(&self) -> [u8; Self::KEY_LEN] {
        let mut key = [0; Self::KEY_LEN];
        let (index, bank) = key.split_at_mut(INDEX_LEN);
        index.copy_from_slice(&self.index);
        bank.copy_from_slice(&self.bank.to_bytes());
        key
    }

    /// The place in `table` of which this is the key, if there is one.
    pub(crate) fn from_key(table: Table, key: &[u8]) -> Option<Self> {
        let (index, bank) = key.split_first_chunk()?;
        Some(Self { table, bank: BankId::from_bytes(bank.try_into().ok()?)?, index: *index })
    }

    fn associated_data(&self, key_version: u8) -> [u8; Self::ASSOCIATED_LEN] {
        let mut data = [0; Self::ASSOCIATED_LEN];
        let (head, place) = data.split_at_mut(8 + 3);
        head[..8].copy_from_slice(b"cvv2 row");
        head[8..].copy_from_slice(&[FORMAT, key_version, self.table as u8]);
        place.copy_from_slice(&self.key());
        data
    }
}

/// Random nonces, fetched from the operating system many at a time: one at a time, an import would
/// spend more time in system calls than in sealing.
pub(crate) struct Nonces {
    pool: [[u8; NONCE_LEN]; Nonces::POOL],
    left: usize,
    given: u64,
}

impl Nonces {
    const POOL: usize = 64;

    pub(crate) fn new() -> Self {
        Self { pool: [[0; NONCE_LEN]; Self::POOL], left: 0, given: 0 }
    }

    /// A nonce that was given to nobody else.
    pub(crate) fn next(&mut self) -> Result<[u8; NONCE_LEN], getrandom::Error> {
        if self.left == 0 {
            getrandom::fill(self.pool.as_flattened_mut())?;
            self.left = Self::POOL;
        }
        self.left -= 1;
        self.given += 1;
        Ok(self.pool[self.left])
    }

    /// How many were given: how many rows were sealed with them.
    pub(crate) fn given(&self) -> u64 {
        self.given
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use cvv2::Pan;
    use proptest::prelude::*;
    use proptest::sample::Index as Choice;

    use super::*;
    use crate::card_ref::{ContractNumber, Exid, ExidForm};
    use crate::encoding::RecordBytes;
    use crate::record::tests::record;

    const NONCE: [u8; NONCE_LEN] = *b"twelve bytes";

    fn sealer(key: &str) -> Box<Sealer> {
        Sealer::new(&StoreKeys::from_hex(&hex_keys(key)).unwrap())
    }

    fn hex_keys(key: &str) -> String {
        format!("{}{}", key.repeat(32), "5a".repeat(32))
    }

    fn bank(code: &str) -> BankId {
        BankId::parse(code).unwrap()
    }

    fn number(text: &str) -> CardRef {
        ContractNumber::parse(text).unwrap().into()
    }

    fn opens(sealer: &Sealer, place: &Place, row: &[u8]) -> bool {
        let mut plain = vec![0; row.len().saturating_sub(SEAL_LEN)];
        let opened = sealer.open(place, row, &mut plain);
        assert!(opened.is_ok() || plain.iter().all(|&b| b == 0), "an unopened row left plaintext");
        opened.is_ok()
    }

    #[test]
    fn the_index_is_the_keyed_hash_that_the_text_says() {
        // python3: hmac.new(bytes([0x5a]) * 32, b"cvv2 idx" + b"IB\0\0" + b"\x01" + b"0014829746",
        //                   "sha256").hexdigest()[:32]
        let place = sealer("00").reference(bank("IB"), &number("0014829746"));
        assert_eq!(hex::encode(place.index), "4ecae9f6b17c5241199a0c1c5fb60e23");
        assert_eq!(hex::encode(place.key()), "4ecae9f6b17c5241199a0c1c5fb60e2349420000");
    }

    #[test]
    fn a_row_is_the_gcm_that_the_text_says() {
        let sealer = sealer("00");
        let place = sealer.reference(bank("IB"), &number("0014829746"));
        let row = sealer.seal(&place, &NONCE, b"plain");
        // cryptography.hazmat.primitives.ciphers.aead.AESGCM(bytes(32)).encrypt(b"twelve bytes",
        //     b"plain", b"cvv2 row" + b"\x02\x01\x01" + index + b"IB\0\0")
        assert_eq!(
            hex::encode(&row),
            format!("01{}{}", hex::encode(NONCE), "f114ebf31d50d238864f242a9350d1502e7c212b6c")
        );
    }

    #[test]
    fn rows_are_sealed_under_the_current_key_and_open_under_their_own() {
        let old = sealer("00");
        let both = format!("{} 2:{}", hex_keys("00"), "01".repeat(32));
        let both = Sealer::new(&StoreKeys::from_hex(&both).unwrap());
        let new = Sealer::new(&StoreKeys::from_hex(&format!("2:{}", hex_keys("01"))).unwrap());
        let place = old.reference(bank("IB"), &number("0014829746"));
        let [first, second] = [1, 2].map(|number| KeyVersion::new(number).unwrap());

        assert_eq!(both.current(), second, "the newest, unless the store says otherwise");
        let row_of_second = both.seal(&place, &NONCE, b"plain");
        both.set_current(first).unwrap();
        let row_of_first = both.seal(&place, &NONCE, b"plain");
        assert_eq!((row_of_first[0], row_of_second[0]), (1, 2));
        for (sealer, opened) in [(&old, [true, false]), (&both, [true; 2]), (&new, [false, true])] {
            assert_eq!(
                [&row_of_first, &row_of_second].map(|row| opens(sealer, &place, row)),
                opened
            );
        }
        assert_eq!(old.missing_key(&row_of_second), Some(second));
        assert_eq!(both.missing_key(&row_of_second), None);
        assert!(old.set_current(second).is_err() && old.current() == first);
        // A row that claims another version than it has opens under neither.
        for (mut row, version) in [(row_of_first, 2), (row_of_second, 1)] {
            row[0] = version;
            assert!(!opens(&both, &place, &row));
        }
    }

    #[test]
    fn bank_kind_and_text_each_make_another_index() {
        let sealer = sealer("00");
        let text = "99984100148297467162";
        let exid = CardRef::from(Exid::parse(text, ExidForm::Strict).unwrap());
        let pan = Pan::parse("4123456789012345").unwrap();
        let indexes = [
            sealer.reference(bank("IBTF"), &exid),
            sealer.reference(bank("IBT"), &exid),
            sealer.reference(bank("IBTF"), &number(text)),
            sealer.reference(bank("IBTF"), &number(&text[1..])),
            sealer.reference(bank("IBTF"), &number(pan.expose())),
            sealer.card(bank("IBTF"), &pan),
            sealer.card(bank("ELSE"), &pan),
            sealer.proof(),
        ]
        .map(|place| place.index);
        assert_eq!(indexes.iter().collect::<HashSet<_>>().len(), indexes.len());
    }

    #[test]
    fn nonces_differ_across_the_pools_seam_and_are_counted() {
        let mut nonces = Nonces::new();
        let given: HashSet<_> = (0..=2 * Nonces::POOL).map(|_| nonces.next().unwrap()).collect();
        assert_eq!(given.len(), 2 * Nonces::POOL + 1);
        assert_eq!(nonces.given(), 2 * Nonces::POOL as u64 + 1);
    }

    #[test]
    fn rows_that_were_cut_or_grew_do_not_open() {
        let sealer = sealer("00");
        let place = sealer.reference(bank("IBTF"), &number("1"));
        let row = sealer.seal(&place, &NONCE, &[7; 16]);
        for len in 0..row.len() {
            assert!(!opens(&sealer, &place, &row[..len]), "{len} bytes");
        }
        assert!(!opens(&sealer, &place, &[&row[..], &[0]].concat()));
        assert!(opens(&sealer, &place, &row));
    }

    proptest! {
        #[test]
        fn a_record_opens_where_it_was_sealed_and_nowhere_else(
            record in record(), other_text in "[!-WYZ-wyz~]{1,32}", other_bank in "[A-Za-z0-9]{1,4}",
        ) {
            let [sealer, other_sealer] = ["00", "01"].map(sealer);
            let place = sealer.reference(bank("IBTF"), &number("0014829746"));
            let mut plain = RecordBytes::new();
            plain.write(&record);
            let row = sealer.seal(&place, &NONCE, plain.as_slice());
            prop_assert!(sealer.open_record(&place, &row).is_ok_and(|opened| opened == record));

            prop_assume!(other_text != "0014829746" && other_bank != "IBTF");
            let elsewhere = sealer.reference(place.bank, &number(&other_text));
            let foreign = Place { bank: bank(&other_bank), ..place };
            let other_table = Place { table: Table::Cards, ..place };
            prop_assert!(!opens(&sealer, &elsewhere, &row));
            prop_assert!(!opens(&sealer, &foreign, &row));
            prop_assert!(!opens(&sealer, &other_table, &row));
            prop_assert!(!opens(&other_sealer, &place, &row));
        }

        #[test]
        fn one_flipped_bit_anywhere_in_the_row_or_its_place_refuses(
            bit in 0_u32..8, in_row in any::<Choice>(), in_index in any::<Choice>(),
        ) {
            let sealer = sealer("00");
            let place = sealer.reference(bank("IBTF"), &number("0014829746"));
            let row = sealer.seal(&place, &NONCE, &[7; 16]);

            let mut changed = row.clone();
            changed[in_row.index(row.len())] ^= 1 << bit;
            prop_assert!(!opens(&sealer, &place, &changed));

            let mut moved = place;
            moved.index[in_index.index(INDEX_LEN)] ^= 1 << bit;
            prop_assert!(!opens(&sealer, &moved, &row));
        }
    }
}
