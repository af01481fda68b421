//! Imports into PostgreSQL of more than one batch: killed, taken over, beside other writers.
#![cfg(feature = "postgres")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use cvv2::{Expiry, Pan};
use cvv2_resolver::{
    BankId, CardImport, CardRecord, CardRef, CardStatus, CardStore, ContractNumber, ImportError,
    ImportOptions, ImportProgress, ImportWatcher, KeyVersion, Plastic, PostgresStore, RefusedRow,
    StoreError, StoreKeys,
};

mod postgres_server;
mod processes;

use postgres_server::Server;
use processes::{Task, command, said, say};

/// Enough for seven batches: a watcher hears of one while the next ones are read and stored.
const ROWS: u64 = 100_000;
const SCHEMA: &str = "imported";

/// One row in a thousand is no card.
fn is_bad(row: u64) -> bool {
    row.is_multiple_of(1000)
}

fn file() -> String {
    let row = |n| {
        let pan = if is_bad(n) { "not a PAN".to_owned() } else { format!("4123{n:012}") };
        format!("IBTF,C{n} D{n},{pan},2701,1\n")
    };
    (0..ROWS).map(row).fold("bank,contract_number,pan,expiry,sequence\n".to_owned(), |f, r| f + &r)
}

fn bank() -> BankId {
    BankId::parse("IBTF").unwrap()
}

fn reference(text: &str) -> CardRef {
    ContractNumber::parse(text).unwrap().into()
}

fn card(number: u64, status: CardStatus) -> CardRecord {
    let plastic = Plastic::new(Expiry::parse_yymm("2701").unwrap(), 1, CardStatus::Active);
    let pan = Pan::parse(&format!("4123{number:012}")).unwrap();
    CardRecord::new(pan, status, vec![plastic]).unwrap()
}

#[derive(Default)]
struct Rows {
    refused: Vec<u64>,
    /// Called with how far it is.
    then: Option<Box<dyn FnMut(u64)>>,
}

impl ImportWatcher for Rows {
    fn progress(&mut self, progress: &ImportProgress) {
        if let Some(then) = &mut self.then {
            then(progress.rows);
        }
    }
    fn refused(&mut self, refused: &RefusedRow<'_>) -> io::Result<()> {
        self.refused.push(refused.row);
        Ok(())
    }
}

fn assert_imported(store: &PostgresStore, refused: &[u64]) {
    let bad: Vec<_> = (0..ROWS).filter(|&row| is_bad(row)).map(|row| row + 2).collect();
    assert_eq!(refused, bad, "each refused row is told once, in order");
    let report = store.check().unwrap();
    let good = ROWS - bad.len() as u64;
    assert_eq!((report.cards, report.references, report.is_sound()), (good, 2 * good, true));
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn an_import_that_was_killed_goes_on_and_stores_nothing_twice() {
    let server = Server::start("-c fsync=off");
    let keys = StoreKeys::generate().unwrap();
    let options = postgres_server::options(server.directory(), SCHEMA, true);
    let store = PostgresStore::create(&options, &keys).unwrap();
    let mut child = command(server.directory(), &keys, "import").spawn().unwrap();
    // It says when it has stored its first batch, and goes no further.
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| said(&line) == Some("stored")));
    child.kill().unwrap();
    child.wait().unwrap();
    let stored = store.len().unwrap();
    assert!(stored > 0 && stored < ROWS - ROWS / 1000, "{stored} of {ROWS}");

    let mut rows = Rows::default();
    let another = "bank,contract_number,pan,expiry\n";
    let error = store.import(&mut another.as_bytes(), &ImportOptions::default(), &mut rows);
    assert!(matches!(error.unwrap_err(), ImportError::Unfinished { is_storing: true }));
    let file = file();
    let summary = store.import(&mut file.as_bytes(), &ImportOptions::default(), &mut rows).unwrap();
    assert_eq!((summary.continued, summary.replaced), (true, 0));
    assert_eq!(summary.added + summary.refused, ROWS);
    assert_imported(&store, &rows.refused);

    // And once more: every card is there already, and none is there twice.
    let mut rows = Rows::default();
    let summary = store.import(&mut file.as_bytes(), &ImportOptions::default(), &mut rows).unwrap();
    assert_eq!((summary.continued, summary.added), (false, 0));
    assert_imported(&store, &rows.refused);
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn an_import_goes_on_beside_a_rotation_and_other_writers() {
    let mut keys = StoreKeys::generate().unwrap();
    let mut options = Server::shared().options();
    // A new key waits for the batch that is being stored.
    options.lock_timeout = Duration::from_mins(1);
    options.statement_timeout = Duration::from_mins(1);
    drop(PostgresStore::create(&options, &keys).unwrap());
    let second = keys.add_sealing().unwrap();
    let store = PostgresStore::open(&options, &keys).unwrap();
    let replica = PostgresStore::open(&options, &keys).unwrap();
    let mut rows = Rows::default();
    let mut batches = 0;
    rows.then = Some(Box::new(move |_| {
        batches += 1;
        match batches {
            1 => {
                replica.begin_rotation(second).unwrap();
                // A card of the file's, under a reference of its own; and a reference of the file's.
                let refs = [reference("Z1")];
                replica.put(&bank(), &refs, &card(99_001, CardStatus::Lost)).unwrap();
                replica
                    .put(&bank(), &[reference("C99002")], &card(199_999, CardStatus::Active))
                    .unwrap();
            }
            2 => while !replica.reseal(1000).unwrap().is_all() {},
            _ => {}
        }
    }));
    let file = file();
    let summary = store.import(&mut file.as_bytes(), &ImportOptions::default(), &mut rows).unwrap();
    assert_eq!((summary.replaced, summary.refused), (1, ROWS / 1000 + 1));
    assert!(rows.refused.contains(&(99_002 + 2)), "its reference belongs to another card");
    let found = store.resolve(&bank(), &reference("Z1")).unwrap();
    assert_eq!(found, Some(card(99_001, CardStatus::Active)), "the file came later");
    assert!(store.check().unwrap().is_sound());
    assert_eq!(store.current_key(), second);
    drop(store);
    keys.remove_sealing(KeyVersion::FIRST).unwrap();
    let store = PostgresStore::open(&options, &keys).unwrap();
    assert!(store.check().unwrap().is_sound(), "nothing is sealed under the old key");
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn an_import_that_another_one_has_taken_over_ends() {
    let keys = StoreKeys::generate().unwrap();
    let options = Server::shared().options();
    let store = PostgresStore::create(&options, &keys).unwrap();
    let replica = PostgresStore::open(&options, &keys).unwrap();
    let mut rows = Rows::default();
    let mut is_first = true;
    rows.then = Some(Box::new(move |_| {
        if std::mem::take(&mut is_first) {
            let file = file();
            let options = ImportOptions::default();
            let mut rows = Rows::default();
            let summary = replica.import(&mut file.as_bytes(), &options, &mut rows).unwrap();
            assert!(summary.continued);
            assert_imported(&replica, &rows.refused);
        }
    }));
    let file = file();
    let error = store.import(&mut file.as_bytes(), &ImportOptions::default(), &mut rows);
    assert!(matches!(error.unwrap_err(), ImportError::Store(StoreError::Busy)));
    assert!(rows.refused.is_empty());
}

#[test]
#[ignore = "no test of its own: what other tests start as another process"]
fn task_of_another_process() {
    let Some(task) = Task::of_this_process() else { return };
    assert_eq!(task.words, ["import"]);
    import_until_killed(task.directory(), task.keys());
}

fn import_until_killed(directory: &Path, keys: &StoreKeys) {
    let options = postgres_server::options(directory, SCHEMA, true);
    let store = PostgresStore::open(&options, keys).unwrap();
    let stop = |_| {
        say("stored");
        std::thread::sleep(Duration::from_mins(1));
    };
    let mut rows = Rows { then: Some(Box::new(stop)), ..Rows::default() };
    store.import(&mut file().as_bytes(), &ImportOptions::default(), &mut rows).unwrap();
}
