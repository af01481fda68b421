//! New keys for a store: while it is read and written, and after every interruption.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use cvv2::{Expiry, Pan};
use cvv2_resolver::{
    BankId, CardImport, CardRecord, CardRef, CardStatus, CardStore, ContractNumber, EmbeddedStore,
    ImportOptions, ImportWatcher, KeyVersion, Plastic, RefusedRow, StoreError, StoreKeys,
};
use tempfile::TempDir;

struct Home {
    directory: PathBuf,
    _dropped_with_it: TempDir,
}

impl Home {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        Self { directory: home.path().join("cards"), _dropped_with_it: home }
    }
}

fn version(number: u8) -> KeyVersion {
    KeyVersion::new(number).unwrap()
}

/// Keys with versions 1 and 2, version 1 alone, version 2 alone.
fn keys() -> [StoreKeys; 3] {
    let old = StoreKeys::generate().unwrap();
    let mut both = StoreKeys::from_hex(&old.to_hex()).unwrap();
    both.add_sealing().unwrap();
    let mut new = StoreKeys::from_hex(&both.to_hex()).unwrap();
    new.remove_sealing(version(1)).unwrap();
    [both, old, new]
}

fn bank() -> BankId {
    BankId::parse("IBTF").unwrap()
}

fn reference(number: u32) -> CardRef {
    ContractNumber::parse(&format!("C{number}")).unwrap().into()
}

fn card(number: u32) -> CardRecord {
    let plastic = Plastic::new(Expiry::parse_yymm("2701").unwrap(), 1, CardStatus::Active);
    let pan = Pan::parse(&format!("41234567{number:08}")).unwrap();
    CardRecord::new(pan, CardStatus::Active, vec![plastic]).unwrap()
}

fn put(store: &EmbeddedStore, number: u32) {
    let refs = [reference(number), reference(1_000_000 + number)];
    store.put(&bank(), &refs, &card(number)).unwrap();
}

fn holds(store: &EmbeddedStore, number: u32) -> bool {
    let found = |number| store.resolve(&bank(), &reference(number)).unwrap();
    found(number) == Some(card(number)) && found(1_000_000 + number) == Some(card(number))
}

struct NobodyCares;

impl ImportWatcher for NobodyCares {
    fn refused(&mut self, refused: &RefusedRow<'_>) -> std::io::Result<()> {
        panic!("{refused:?}");
    }
}

#[test]
fn a_store_is_sealed_again_while_it_is_read_and_written() {
    let home = Home::new();
    let [both, old, new] = keys();
    let store = EmbeddedStore::create(&home.directory, &old).unwrap();
    (0..100).for_each(|number| put(&store, number));
    assert!(matches!(
        store.begin_rotation(version(2)),
        Err(StoreError::MissingKey { version }) if version.number() == 2
    ));
    drop(store);

    let store = EmbeddedStore::open(&home.directory, &both).unwrap();
    assert!(store.reseal(10).unwrap().is_all(), "nothing to do");
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                assert!((0..100).all(|number| holds(&store, number)));
            }
        });
        store.begin_rotation(version(2)).unwrap();
        let (mut rows, mut done) = (0, 0);
        for number in 100.. {
            let resealed = store.reseal(7).unwrap();
            assert!(resealed.done >= done, "it never goes back");
            (rows, done) = (rows + resealed.rows, resealed.done);
            if resealed.is_all() {
                break;
            }
            put(&store, number);
        }
        assert_eq!(rows, 300, "each row that was sealed under the old key, once");
        is_done.store(true, Ordering::Relaxed);
    });
    let cards = u32::try_from(store.len().unwrap()).unwrap();
    assert!(cards > 130 && (0..cards).all(|number| holds(&store, number)));
    assert!(store.check().unwrap().is_sound());
    drop(store);

    // The old key is no longer needed, and no longer enough.
    let error = EmbeddedStore::open(&home.directory, &old).unwrap_err();
    assert!(
        matches!(error, StoreError::MissingKey { version } if version.number() == 2),
        "{error}"
    );
    let store = EmbeddedStore::open(&home.directory, &new).unwrap();
    assert!((0..cards).all(|number| holds(&store, number)));
    assert!(store.check().unwrap().is_sound());
}

#[test]
fn a_rotation_goes_on_after_reopening_and_after_an_import() {
    let home = Home::new();
    let [both, old, new] = keys();
    let store = EmbeddedStore::create(&home.directory, &old).unwrap();
    (0..50).for_each(|number| put(&store, number));
    drop(store);
    let store = EmbeddedStore::open(&home.directory, &both).unwrap();
    store.begin_rotation(version(2)).unwrap();
    store.reseal(20).unwrap();
    drop(store);
    let error = EmbeddedStore::open(&home.directory, &new).unwrap_err();
    assert!(matches!(error, StoreError::MissingKey { version: KeyVersion::FIRST }), "{error}");

    let store = EmbeddedStore::open(&home.directory, &both).unwrap();
    let row = |n| format!("IBTF,C{n} C{},41234567{n:08},2701,1\n", 1_000_000 + n);
    let header = "bank,contract_number,pan,expiry,sequence\n".to_owned();
    let file = (40..100).map(row).fold(header, |file, row| file + &row);
    let options = ImportOptions::default();
    let summary = store.import(&mut file.as_bytes(), &options, &mut NobodyCares).unwrap();
    assert_eq!((summary.added, summary.replaced), (50, 10));
    while !store.reseal(20).unwrap().is_all() {
        assert!((0..100).all(|number| holds(&store, number)));
    }
    drop(store);
    let store = EmbeddedStore::open(&home.directory, &new).unwrap();
    assert!((0..100).all(|number| holds(&store, number)));
    assert!(store.check().unwrap().is_sound());
}

#[test]
fn a_key_is_never_used_again_once_a_newer_one_was() {
    let home = Home::new();
    let [both, ..] = keys();
    let store = EmbeddedStore::create(&home.directory, &both).unwrap();
    // A new store seals under the newest key that it is given.
    for number in [1, 2] {
        let error = store.begin_rotation(version(number)).unwrap_err();
        let StoreError::NotNewer { current, given } = error else { panic!("{error}") };
        assert_eq!((current.number(), given.number()), (2, number));
    }
    put(&store, 1);
    assert!(holds(&store, 1));
}

#[test]
fn a_reader_without_the_new_key_says_which_one_it_needs() {
    let home = Home::new();
    let [both, old, _] = keys();
    let store = EmbeddedStore::create(&home.directory, &old).unwrap();
    put(&store, 1);
    drop(store);
    let store = EmbeddedStore::open(&home.directory, &both).unwrap();
    store.begin_rotation(version(2)).unwrap();
    drop(store);
    let error = EmbeddedStore::open_read_only(&home.directory, &old).unwrap_err();
    assert!(
        matches!(error, StoreError::MissingKey { version } if version.number() == 2),
        "{error}"
    );
    let store = EmbeddedStore::open_read_only(&home.directory, &both).unwrap();
    assert!(holds(&store, 1));
    assert!(matches!(store.reseal(1), Err(StoreError::ReadOnly)));
    assert!(matches!(store.begin_rotation(version(3)), Err(StoreError::ReadOnly)));
}

#[test]
fn a_copy_has_all_cards_under_keys_of_its_own() {
    let home = Home::new();
    let [both, ..] = keys();
    let store = EmbeddedStore::create(&home.directory, &both).unwrap();
    (0..100).for_each(|number| put(&store, number));
    let place = home.directory.with_file_name("copy");
    let other = StoreKeys::generate().unwrap();
    let copy = store.copy_to(&place, &other).unwrap();
    assert!((0..100).all(|number| holds(&copy, number)));
    assert_eq!(copy.check().unwrap(), store.check().unwrap());
    drop(copy);
    let error = EmbeddedStore::open(&place, &both).unwrap_err();
    assert!(matches!(error, StoreError::WrongKeys { .. }), "{error}");
    let copy = EmbeddedStore::open(&place, &other).unwrap();
    assert!((0..100).all(|number| holds(&copy, number)));
    assert!(matches!(store.copy_to(&place, &other), Err(StoreError::InUse { .. })));
    drop(copy);
    assert!(matches!(store.copy_to(&place, &other), Err(StoreError::Exists { .. })));
}
