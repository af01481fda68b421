//! What the file holds, and what happens when it was tampered with.

use std::path::{Path, PathBuf};

use cvv2::{Expiry, Pan};
use tempfile::TempDir;

#[path = "../../../tests/canaries/mod.rs"]
mod canaries;
mod turns;

use canaries::{forms, is_in};

use super::generation::MAP_BYTES;
use super::tables::Rows;
use super::*;
use crate::card_ref::{ContractNumber, Exid, ExidForm};
use crate::import::{
    CardImport, ImportOptions, ImportProgress, ImportStage, ImportWatcher, RefusedRow,
};
use crate::record::{CardStatus, Plastic};
use crate::seal::{KeyVersion, SEALS_MAX};

const EXID: &str = "99984100148297467162";
const NUMBER: &str = "7730146829746";
const PAN: &str = "4929418820375561";
const OTHER_PAN: &str = "5500005555555559";

struct Home {
    directory: PathBuf,
    keys: StoreKeys,
    _dropped_with_it: TempDir,
}

impl Home {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let keys = StoreKeys::generate().unwrap();
        Self { directory: home.path().join("cards"), keys, _dropped_with_it: home }
    }

    /// A new store with two cards: one under `EXID` and `NUMBER`, the other under `1` and `2`.
    fn with_two_cards(&self) -> EmbeddedStore {
        let store = EmbeddedStore::create(&self.directory, &self.keys).unwrap();
        store.put(&bank("IBTF"), &[exid(), number(NUMBER)], &card(PAN)).unwrap();
        store.put(&bank("IBTF"), &[number("1"), number("2")], &card(OTHER_PAN)).unwrap();
        store
    }
}

fn bank(code: &str) -> BankId {
    BankId::parse(code).unwrap()
}

fn exid() -> CardRef {
    Exid::parse(EXID, ExidForm::Strict).unwrap().into()
}

fn number(text: &str) -> CardRef {
    ContractNumber::parse(text).unwrap().into()
}

fn card(pan: &str) -> CardRecord {
    let plastic = Plastic::new(Expiry::parse_yymm("2701").unwrap(), 1, CardStatus::Active);
    CardRecord::new(Pan::parse(pan).unwrap(), CardStatus::Active, vec![plastic]).unwrap()
}

impl EmbeddedStore {
    /// Where the record of a reference stands.
    fn place(&self, card: &CardRef) -> Place {
        self.sealer.reference(bank("IBTF"), card)
    }

    fn row(&self, rows: Rows<'static>, key: &[u8]) -> Vec<u8> {
        let generation = self.generation();
        let txn = generation.env.read_txn().unwrap();
        rows.get(&txn, key).unwrap().unwrap().to_vec()
    }

    fn references(&self) -> Rows<'static> {
        self.generation().tables.references
    }

    fn cards(&self) -> Rows<'static> {
        self.generation().tables.cards
    }

    fn meta(&self) -> Rows<'static> {
        self.generation().tables.meta
    }

    /// Writes past everything that the store does about rows.
    fn tamper(&self, rows: Rows<'static>, key: &[u8], row: Option<&[u8]>) {
        let generation = self.generation();
        let mut txn = generation.env.write_txn().unwrap();
        match row {
            Some(row) => rows.put(&mut txn, key, row).unwrap(),
            None => assert!(rows.delete(&mut txn, key).unwrap()),
        }
        txn.commit().unwrap();
    }

    fn refuses(&self, card: &CardRef) -> bool {
        matches!(
            self.resolve(&bank("IBTF"), card),
            Err(StoreError::Damaged { table: "references" })
        )
    }
}

#[test]
fn swapped_records_of_two_references_do_not_open() {
    let home = Home::new();
    let store = home.with_two_cards();
    let rows = store.references();
    // Of two cards, and of one card: a record is bound to its very reference.
    for (one, other) in [(exid(), number("1")), (exid(), number(NUMBER))] {
        let places = [store.place(&one), store.place(&other)];
        let [first, second] = places.map(|place| store.row(rows, &place.key()));
        store.tamper(rows, &places[0].key(), Some(&second));
        store.tamper(rows, &places[1].key(), Some(&first));
        assert!(store.refuses(&one) && store.refuses(&other));
        let report = store.check().unwrap();
        assert_eq!((report.references_unopened, report.is_sound()), (2, false));

        store.tamper(rows, &places[0].key(), Some(&first));
        store.tamper(rows, &places[1].key(), Some(&second));
        assert!(store.check().unwrap().is_sound());
    }
}

#[test]
fn a_record_moved_to_another_bank_does_not_open() {
    let home = Home::new();
    let store = home.with_two_cards();
    let rows = store.references();
    let row = store.row(rows, &store.place(&exid()).key());
    // Under the index that the other bank asks for, and under the one that the row has.
    let asked = store.sealer.reference(bank("ELSE"), &exid());
    store.tamper(rows, &asked.key(), Some(&row));
    let moved = Place { bank: bank("ELSE"), ..store.place(&exid()) };
    store.tamper(rows, &moved.key(), Some(&row));

    let found = store.resolve(&bank("ELSE"), &exid());
    assert!(matches!(found, Err(StoreError::Damaged { .. })));
    assert!(store.sealer.open_record(&moved, &row).is_err());
    let report = store.check().unwrap();
    assert_eq!((report.references_unlisted, report.is_sound()), (2, false));
}

#[test]
fn a_row_with_another_key_version_does_not_open() {
    let home = Home::new();
    let store = home.with_two_cards();
    let rows = store.references();
    let place = store.place(&exid());
    let mut row = store.row(rows, &place.key());
    row[0] += 1;
    store.tamper(rows, &place.key(), Some(&row));
    let found = store.resolve(&bank("IBTF"), &exid());
    let Err(StoreError::MissingKey { version }) = found else { panic!("{found:?}") };
    assert_eq!(version.number(), 2);
    row[0] = 0;
    store.tamper(rows, &place.key(), Some(&row));
    assert!(store.refuses(&exid()));
}

#[test]
fn a_changed_card_is_found_and_not_written_over() {
    let home = Home::new();
    let store = home.with_two_cards();
    let rows = store.cards();
    let places =
        [PAN, OTHER_PAN].map(|pan| store.sealer.card(bank("IBTF"), &Pan::parse(pan).unwrap()));
    let other = store.row(rows, &places[1].key());
    store.tamper(rows, &places[0].key(), Some(&other));

    let put = store.put(&bank("IBTF"), &[exid()], &card(PAN));
    assert!(matches!(put, Err(StoreError::Damaged { table: "cards" })));
    let report = store.check().unwrap();
    assert_eq!((report.cards_unopened, report.references_unlisted), (1, 2));
    // Look-ups do not need the card's own row.
    assert_eq!(store.resolve(&bank("IBTF"), &exid()).unwrap(), Some(card(PAN)));
}

#[test]
fn a_missing_row_is_found() {
    let home = Home::new();
    let store = home.with_two_cards();
    store.tamper(store.references(), &store.place(&exid()).key(), None);
    let report = store.check().unwrap();
    assert_eq!((report.references, report.references_missing), (3, 1));
    assert!(!report.is_sound());
}

#[test]
fn copies_of_a_record_that_differ_are_found() {
    let home = Home::new();
    let store = home.with_two_cards();
    let rows = store.references();
    let place = store.place(&exid());
    let old = store.row(rows, &place.key());
    let renewed = Plastic::new(Expiry::parse_yymm("3001").unwrap(), 2, CardStatus::Active);
    let renewed = CardRecord::new(Pan::parse(PAN).unwrap(), CardStatus::Active, vec![renewed]);
    store.put(&bank("IBTF"), &[exid()], &renewed.unwrap()).unwrap();
    assert!(store.check().unwrap().is_sound());
    // The row itself is genuine, and older than its sister.
    store.tamper(rows, &place.key(), Some(&old));
    assert_eq!(store.check().unwrap().references_differing, 1);
}

#[test]
fn another_format_is_refused_at_open() {
    let home = Home::new();
    let store = home.with_two_cards();
    store.tamper(store.meta(), b"format", Some(&[1]));
    drop(store);
    let error = EmbeddedStore::open(&home.directory, &home.keys).unwrap_err();
    assert!(matches!(error, StoreError::Format { found: 1, supported: 2 }), "{error}");
}

#[test]
fn keys_are_proved_and_not_only_named() {
    let home = Home::new();
    let store = home.with_two_cards();
    drop(store);
    let hex = home.keys.to_hex();
    let fresh = StoreKeys::generate().unwrap();
    let half = |range: std::ops::Range<usize>| {
        let mut other = hex.to_string();
        other.replace_range(range.clone(), &fresh.to_hex()[range]);
        StoreKeys::from_hex(&other).unwrap()
    };
    let [other_sealing, other_index] = [half(0..64), half(64..128)];

    let open = |keys: &StoreKeys| EmbeddedStore::open(&home.directory, keys).unwrap_err();
    let error = open(&other_sealing);
    let StoreError::WrongSealingKey { version, .. } = error else { panic!("{error}") };
    assert_eq!(version, KeyVersion::FIRST);
    let error = open(&other_index);
    let StoreError::WrongKeys { store, given } = error else { panic!("{error}") };
    assert_eq!((store, given), (home.keys.id(), other_index.id()));
    let renamed = StoreKeys::from_hex(&format!("7:{}", *hex)).unwrap();
    let error = open(&renamed);
    assert!(matches!(error, StoreError::MissingKey { version: KeyVersion::FIRST }), "{error}");

    // Somebody wrote the other keys' ids into the file.
    for keys in [&other_sealing, &other_index] {
        let home = Home { keys: StoreKeys::from_hex(&hex).unwrap(), ..Home::new() };
        let store = home.with_two_cards();
        let mut row = store.row(store.meta(), b"keys");
        row[..4].copy_from_slice(&keys.id().0);
        row[6..10].copy_from_slice(&keys.sealing_id(KeyVersion::FIRST).unwrap().0);
        store.tamper(store.meta(), b"keys", Some(&row));
        drop(store);
        let error = EmbeddedStore::open(&home.directory, keys).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { table: "meta" }), "{error}");
    }
}

#[test]
fn seals_are_counted_and_the_last_one_is_the_last() {
    let home = Home::new();
    let store = home.with_two_cards();
    let made = || u64::from_be_bytes(store.row(store.meta(), b"seals \x01").try_into().unwrap());
    assert_eq!(made(), 1 + 2 * 3, "the proof; two references and the card itself for each card");

    // Room for one more card with one reference, which takes two seals.
    store.tamper(store.meta(), b"seals \x01", Some(&(SEALS_MAX - 2).to_be_bytes()));
    store.put(&bank("IBTF"), &[number("3")], &card("412345678901")).unwrap();
    assert_eq!(made(), SEALS_MAX);
    let error = store.put(&bank("IBTF"), &[exid()], &card(PAN)).unwrap_err();
    assert!(matches!(error, StoreError::KeyWornOut { version: KeyVersion::FIRST }), "{error}");
    assert_eq!(made(), SEALS_MAX);
    assert_eq!(store.resolve(&bank("IBTF"), &exid()).unwrap(), Some(card(PAN)));
}

#[test]
fn nothing_readable_is_in_the_files_and_the_search_finds_what_is() {
    let home = Home::new();
    let store = home.with_two_cards();
    // Rows that were replaced stay in free pages.
    for _ in 0..20 {
        store.put(&bank("IBTF"), &[exid(), number(NUMBER), number(PAN)], &card(PAN)).unwrap();
    }
    assert_no_canary(&home);
    // The same search, with each form planted in the same file.
    for canary in CANARIES {
        for (form, needle) in forms(canary) {
            store.tamper(store.meta(), b"planted", Some(&needle));
            assert!(is_in_files(&home, &needle), "{form}, planted");
            store.tamper(store.meta(), b"planted", None);
        }
    }
}

#[test]
fn nothing_readable_is_on_the_disk_during_an_import_and_a_rotation() {
    /// Looks at the files whenever the import says how far it is.
    struct Looking<'h>(&'h Home, Vec<ImportStage>);

    impl ImportWatcher for Looking<'_> {
        fn progress(&mut self, progress: &ImportProgress) {
            assert_no_canary(self.0);
            self.1.push(progress.stage);
        }

        fn refused(&mut self, refused: &RefusedRow<'_>) -> std::io::Result<()> {
            panic!("{refused:?}");
        }
    }

    let home = Home::new();
    let mut keys = StoreKeys::from_hex(&home.keys.to_hex()).unwrap();
    let second = keys.add_sealing().unwrap();
    drop(EmbeddedStore::create(&home.directory, &home.keys).unwrap());
    let store = EmbeddedStore::open(&home.directory, &keys).unwrap();

    let file = format!(
        "bank,exid,contract_number,pan,expiry,sequence\nIBTF,{EXID},{NUMBER},{PAN},2701,1\n\
         IBTF,,{OTHER_PAN},{OTHER_PAN},2701,1\n"
    );
    let row = |n| format!("IBTF,,C{n},41234567{n:08},2701,1\n");
    let file = (0..100).map(row).fold(file, |file, row| file + &row);
    let mut looking = Looking(&home, Vec::new());
    let options = ImportOptions::default();
    store.import(&mut file.as_bytes(), &options, &mut looking).unwrap();
    assert!(looking.1.contains(&ImportStage::Reading) && looking.1.len() > 1, "{:?}", looking.1);
    assert_no_canary(&home);

    store.begin_rotation(second).unwrap();
    while !store.reseal(60).unwrap().is_all() {
        assert_no_canary(&home);
    }
    assert_no_canary(&home);
    assert_eq!(store.resolve(&bank("IBTF"), &exid()).unwrap(), Some(card(PAN)));

    // The same search, with each form planted in a row, and in a file beside the store's.
    for canary in CANARIES {
        for (form, needle) in forms(canary) {
            store.tamper(store.meta(), b"planted", Some(&needle));
            assert!(is_in_files(&home, &needle), "{form}, planted");
            store.tamper(store.meta(), b"planted", None);
        }
    }
    std::fs::write(home.directory.join("planted"), PAN).unwrap();
    assert!(is_in_files(&home, PAN.as_bytes()));
}

const CANARIES: [&str; 4] = [PAN, OTHER_PAN, EXID, NUMBER];

#[track_caller]
fn assert_no_canary(home: &Home) {
    let files = files(home);
    for canary in CANARIES {
        for (form, needle) in forms(canary) {
            assert!(!is_in_any(&files, &needle), "{form} of a canary");
        }
    }
}

/// Everything that is in the store's directory.
fn files(home: &Home) -> Vec<Vec<u8>> {
    fn read(path: &Path, files: &mut Vec<Vec<u8>>) {
        if path.is_dir() {
            for entry in std::fs::read_dir(path).unwrap() {
                read(&entry.unwrap().path(), files);
            }
        // The readers' table is left alone: closing it would let go of LMDB's own locks on it.
        } else if !path.ends_with("lock.mdb") {
            files.push(std::fs::read(path).unwrap());
        }
    }
    let mut files = Vec::new();
    read(&home.directory, &mut files);
    files
}

fn is_in_any(files: &[Vec<u8>], needle: &[u8]) -> bool {
    files.iter().any(|file| is_in(file, needle))
}

fn is_in_files(home: &Home, needle: &[u8]) -> bool {
    is_in_any(&files(home), needle)
}

#[test]
fn readers_do_not_wait_until_a_successor_is_named_on_the_disk() -> Result<(), StoreError> {
    let home = Home::new();
    let store = home.with_two_cards();
    let old = store.generation();
    let new = Generation::create(&home.directory, 2, Access::Write, &store.sealer)?;
    *store.next.lock().expect("nobody has panicked") = Some(Arc::new(new));
    // As in the midst of the commit that names it, or behind it.
    let mut txn = old.env.write_txn()?;
    old.tables.set_successor(&mut txn, 2)?;
    assert_eq!(store.len()?, 2, "it is not named");
    txn.commit()?;
    assert_eq!((store.len()?, store.generation().number), (0, 1));
    assert_eq!(store.resolve(&bank("IBTF"), &exid())?, None);
    Ok(())
}

#[test]
fn reserved_addresses_take_no_room_on_the_disk() {
    let home = Home::new();
    let store = home.with_two_cards();
    assert!(store.generation().env.real_disk_size().unwrap() < 1 << 20);
    assert_eq!(store.generation().env.info().map_size, MAP_BYTES);
}
