//! The embedded store as processes see it: opening, refusing, surviving.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use cvv2::{Expiry, Pan};
use cvv2_resolver::{
    BankId, CardRecord, CardRef, CardStatus, CardStore, ContractNumber, EmbeddedStore, Plastic,
    StoreError, StoreKeys,
};
use tempfile::TempDir;

mod processes;

use processes::{Task, command, said, say};

struct Home {
    directory: PathBuf,
    keys: StoreKeys,
    _dropped_with_it: TempDir,
}

fn home() -> Home {
    let home = tempfile::tempdir().unwrap();
    let keys = StoreKeys::generate().unwrap();
    Home { directory: home.path().join("cards"), keys, _dropped_with_it: home }
}

fn bank() -> BankId {
    BankId::parse("IBTF").unwrap()
}

/// The reference and the card with this number.
fn numbered(number: u32) -> (CardRef, CardRecord) {
    let plastic = Plastic::new(Expiry::parse_yymm("2701").unwrap(), 1, CardStatus::Active);
    let pan = Pan::parse(&format!("41234567{number:08}")).unwrap();
    let record = CardRecord::new(pan, CardStatus::Active, vec![plastic]).unwrap();
    (ContractNumber::parse(&format!("C{number}")).unwrap().into(), record)
}

fn put(store: &EmbeddedStore, number: u32) -> Result<(), StoreError> {
    let (card, record) = numbered(number);
    store.put(&bank(), &[card], &record)
}

fn holds(store: &EmbeddedStore, number: u32) -> bool {
    let (card, record) = numbered(number);
    store.resolve(&bank(), &card).unwrap() == Some(record)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn what_was_put_is_there_after_reopening() {
    let home = home();
    let store = EmbeddedStore::create(&home.directory, &home.keys).unwrap();
    put(&store, 1).unwrap();
    drop(store);
    for round in 2..5 {
        let store = EmbeddedStore::open(&home.directory, &home.keys).unwrap();
        assert!((1..round).all(|number| holds(&store, number)));
        put(&store, round).unwrap();
    }
}

#[test]
fn a_store_is_made_once_and_opened_only_where_it_is() {
    let home = home();
    let error = EmbeddedStore::open(&home.directory, &home.keys).unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    assert!(!home.directory.exists(), "a refused open leaves nothing behind");

    drop(EmbeddedStore::create(&home.directory, &home.keys).unwrap());
    let error = EmbeddedStore::create(&home.directory, &home.keys).unwrap_err();
    assert!(matches!(error, StoreError::Exists { .. }), "{error}");
    EmbeddedStore::open(&home.directory, &home.keys).unwrap();
}

#[test]
fn a_creation_that_was_cut_short_is_no_store_and_can_be_done_again() {
    let home = home();
    let generation = home.directory.join("1");
    fs::create_dir_all(&generation).unwrap();
    fs::write(generation.join("data.mdb"), []).unwrap();
    for (path, mode) in
        [(&home.directory, 0o700), (&generation, 0o700), (&generation.join("data.mdb"), 0o600)]
    {
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }
    let error = EmbeddedStore::open(&home.directory, &home.keys).unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    let store = EmbeddedStore::create(&home.directory, &home.keys).unwrap();
    put(&store, 1).unwrap();
}

#[test]
fn wrong_keys_are_refused_at_open_by_their_ids() {
    let home = home();
    drop(EmbeddedStore::create(&home.directory, &home.keys).unwrap());
    let other = StoreKeys::generate().unwrap();
    let error = EmbeddedStore::open(&home.directory, &other).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the card store was written under the keys {}, not under {}; give the right key file",
            home.keys.id(),
            other.id()
        )
    );
    // One half of the keys is not enough, whichever it is.
    for (kept, changed) in [(0..64, 64..128), (64..128, 0..64)] {
        let mut hex = home.keys.to_hex().to_string();
        let fresh = other.to_hex()[changed.clone()].to_owned();
        hex.replace_range(changed, &fresh);
        assert_eq!(hex[kept.clone()], home.keys.to_hex()[kept]);
        let half = StoreKeys::from_hex(&hex).unwrap();
        let error = EmbeddedStore::open(&home.directory, &half).unwrap_err();
        let is_wrong_key =
            matches!(error, StoreError::WrongKeys { .. } | StoreError::WrongSealingKey { .. });
        assert!(is_wrong_key, "{error}");
    }
}

#[test]
fn a_file_that_is_no_store_is_refused() {
    let home = home();
    drop(EmbeddedStore::create(&home.directory, &home.keys).unwrap());
    fs::write(home.directory.join("1/data.mdb"), [0x5A; 8192]).unwrap();
    let error = EmbeddedStore::open(&home.directory, &home.keys).unwrap_err();
    assert!(matches!(error, StoreError::Storage(_)), "{error}");
}

#[test]
fn a_store_is_its_owners_alone() {
    let home = home();
    drop(EmbeddedStore::create(&home.directory, &home.keys).unwrap());
    let directories = [home.directory.clone(), home.directory.join("1")];
    let files = ["1/data.mdb", "1/lock.mdb", "writer.lock"].map(|name| home.directory.join(name));
    for directory in &directories {
        assert_eq!(mode(directory), 0o700, "{}", directory.display());
    }
    for file in &files {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }

    for path in files.iter().chain(&directories) {
        let private = mode(path);
        for open in [0o040, 0o020, 0o010, 0o004, 0o002, 0o001] {
            fs::set_permissions(path, PermissionsExt::from_mode(private | open)).unwrap();
            let error = EmbeddedStore::open(&home.directory, &home.keys).unwrap_err();
            let StoreError::Exposed { path: named, mode } = error else { panic!("{error}") };
            assert_eq!((&named, mode), (path, private | open));
        }
        fs::set_permissions(path, PermissionsExt::from_mode(private)).unwrap();
    }
    EmbeddedStore::open(&home.directory, &home.keys).unwrap();
}

#[test]
fn no_store_is_made_in_a_directory_that_others_may_enter() {
    let home = home();
    fs::create_dir(&home.directory).unwrap();
    fs::set_permissions(&home.directory, PermissionsExt::from_mode(0o755)).unwrap();
    let error = EmbeddedStore::create(&home.directory, &home.keys).unwrap_err();
    assert!(matches!(error, StoreError::Exposed { mode: 0o755, .. }), "{error}");
    assert_eq!(fs::read_dir(&home.directory).unwrap().count(), 0);
}

#[test]
fn a_second_opening_in_the_same_process_is_refused() {
    let home = home();
    let store = EmbeddedStore::create(&home.directory, &home.keys).unwrap();
    for second in [
        EmbeddedStore::open(&home.directory, &home.keys),
        EmbeddedStore::open_read_only(&home.directory, &home.keys),
        EmbeddedStore::create(&home.directory, &home.keys),
    ] {
        let error = second.unwrap_err();
        assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    }
    put(&store, 1).unwrap();
    assert!(holds(&store, 1));
}

#[test]
fn a_store_that_is_open_for_reading_takes_no_cards() {
    let home = home();
    let store = EmbeddedStore::create(&home.directory, &home.keys).unwrap();
    put(&store, 1).unwrap();
    drop(store);
    let store = EmbeddedStore::open_read_only(&home.directory, &home.keys).unwrap();
    assert!(holds(&store, 1));
    assert!(store.check().unwrap().is_sound());
    assert!(matches!(put(&store, 2), Err(StoreError::ReadOnly)));
}

#[test]
fn another_process_may_read_and_not_write() {
    let home = home();
    let store = EmbeddedStore::create(&home.directory, &home.keys).unwrap();
    put(&store, 1).unwrap();
    assert_eq!(run(&home, "write"), ["in use"]);
    assert_eq!(run(&home, "read"), ["found 1"]);
    put(&store, 2).unwrap();
    assert_eq!(run(&home, "read"), ["found 1", "found 2"]);
    drop(store);
    assert_eq!(run(&home, "write"), ["opened"]);
}

#[test]
fn a_process_that_aborts_loses_nothing_and_leaves_no_lock() {
    let home = home();
    drop(EmbeddedStore::create(&home.directory, &home.keys).unwrap());
    let output = command(&home.directory, &home.keys, "put and abort").output().unwrap();
    assert!(!output.status.success());
    let store = EmbeddedStore::open(&home.directory, &home.keys).unwrap();
    assert!((0..10).all(|number| holds(&store, number)));
    assert!(store.check().unwrap().is_sound());
}

/// Runs the task to its end and returns the lines that it said.
fn run(home: &Home, task: &str) -> Vec<String> {
    let mut command = command(&home.directory, &home.keys, task);
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success());
    let said_all = String::from_utf8(output.stdout).unwrap();
    said_all.lines().filter_map(said).map(str::to_owned).collect()
}

#[test]
#[ignore = "no test of its own: what other tests start as another process"]
fn task_of_another_process() {
    let Some(task) = Task::of_this_process() else { return };
    match task.words.join(" ").as_str() {
        "read" => {
            let store = task.open_read_only().unwrap();
            let found = (0..10).filter(|&number| holds(&store, number));
            found.for_each(|number| say(format_args!("found {number}")));
        }
        "write" => match task.open() {
            Ok(_) => say("opened"),
            Err(StoreError::InUse { .. }) => say("in use"),
            Err(error) => panic!("{error}"),
        },
        "put and abort" => {
            let store = task.open().unwrap();
            (0..10).for_each(|number| put(&store, number).unwrap());
            std::process::abort();
        }
        task => panic!("no such task: {task}"),
    }
}
