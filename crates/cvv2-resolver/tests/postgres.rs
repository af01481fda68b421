//! The store in PostgreSQL as replicas and operators see it: opening, refusing, rotating, surviving.
#![cfg(feature = "postgres")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cvv2::{Expiry, Pan};
use cvv2_resolver::{
    BankId, CardRecord, CardRef, CardStatus, CardStore, ContractNumber, KeyVersion, NewCard,
    Plastic, PostgresOptions, PostgresPassword, PostgresPool, PostgresStore, PutOutcome,
    StoreError, StoreKeys,
};

mod postgres_server;

use postgres_server::Server;

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

fn put(store: &PostgresStore, number: u32) -> Result<(), StoreError> {
    store.put(&bank(), &[reference(number), reference(1_000_000 + number)], &card(number))
}

fn outcome_of(
    store: &PostgresStore,
    refs: &[CardRef],
    record: &CardRecord,
) -> Result<PutOutcome, StoreError> {
    let outcomes = store.put_many(&[NewCard { bank: &bank(), refs, record }])?;
    Ok(outcomes.into_iter().next().expect("one for each card"))
}

fn holds(store: &PostgresStore, number: u32) -> bool {
    let found = |number| store.resolve(&bank(), &reference(number)).unwrap();
    found(number) == Some(card(number)) && found(1_000_000 + number) == Some(card(number))
}

fn version(number: u8) -> KeyVersion {
    KeyVersion::new(number).unwrap()
}

/// A schema on the shared server, and keys.
fn home() -> (PostgresOptions, StoreKeys) {
    (Server::shared().options(), StoreKeys::generate().unwrap())
}

/// Does what an operator could, past everything that the store does about rows. `{s}` is the schema.
fn tamper(store: &PostgresStore, statements: &str) {
    let statements = in_schema(store, statements);
    store.pool().with(|client| client.batch_execute(&statements)).unwrap();
}

fn asked(store: &PostgresStore, query: &str) -> i64 {
    let query = in_schema(store, query);
    store.pool().with(|client| client.query_one(&query, &[])).unwrap().get(0)
}

fn in_schema(store: &PostgresStore, statements: &str) -> String {
    statements.replace("{s}", store.pool().schema())
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn a_store_is_made_once_and_opened_only_where_it_is() {
    let (options, keys) = home();
    let error = PostgresStore::open(&options, &keys).unwrap_err();
    assert!(matches!(error, StoreError::MissingSchema { .. }), "{error}");
    assert_eq!(PostgresStore::migrate(&options).unwrap(), 1);
    assert_eq!(PostgresStore::migrate(&options).unwrap(), 0);
    let error = PostgresStore::open(&options, &keys).unwrap_err();
    assert!(matches!(error, StoreError::MissingSchema { .. }), "tables are no store: {error}");

    let store = PostgresStore::create(&options, &keys).unwrap();
    put(&store, 1).unwrap();
    let error = PostgresStore::create(&options, &keys).unwrap_err();
    assert!(matches!(error, StoreError::SchemaExists { .. }), "{error}");
    let again = PostgresStore::open(&options, &keys).unwrap();
    assert!(holds(&again, 1));
    again.ready().unwrap();

    tamper(&store, "INSERT INTO {s}.migrations (number) VALUES (2)");
    let error = PostgresStore::open(&options, &keys).unwrap_err();
    assert!(matches!(error, StoreError::SchemaStep { found: 2, supported: 1 }), "{error}");
    tamper(&store, "DELETE FROM {s}.migrations WHERE number = 2; UPDATE {s}.store SET format = 1");
    let error = PostgresStore::open(&options, &keys).unwrap_err();
    assert!(matches!(error, StoreError::Format { found: 1, supported: 2 }), "{error}");
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn two_who_make_the_same_store_at_the_same_time_make_one() {
    let (options, keys) = home();
    let made: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..4).map(|_| scope.spawn(|| PostgresStore::create(&options, &keys))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1, "{made:?}");
    for error in made.into_iter().filter_map(Result::err) {
        assert!(matches!(error, StoreError::SchemaExists { .. }), "{error}");
    }
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn wrong_and_missing_keys_are_refused_before_any_answer() {
    let (options, keys) = home();
    drop(PostgresStore::create(&options, &keys).unwrap());
    let other = StoreKeys::generate().unwrap();
    let error = PostgresStore::open(&options, &other).unwrap_err();
    assert!(matches!(error, StoreError::WrongKeys { .. }), "{error}");
    let hex = keys.to_hex();
    let half = |range: std::ops::Range<usize>| {
        let mut mixed = hex.to_string();
        mixed.replace_range(range.clone(), &other.to_hex()[range]);
        StoreKeys::from_hex(&mixed).unwrap()
    };
    let [other_sealing, other_index] = [half(0..64), half(64..128)];
    let error = PostgresStore::open(&options, &other_sealing).unwrap_err();
    assert!(matches!(error, StoreError::WrongSealingKey { .. }), "{error}");
    let error = PostgresStore::open(&options, &other_index).unwrap_err();
    assert!(matches!(error, StoreError::WrongKeys { .. }), "{error}");
    let renamed = StoreKeys::from_hex(&format!("7:{}", *hex)).unwrap();
    let error = PostgresStore::open(&options, &renamed).unwrap_err();
    assert!(matches!(error, StoreError::MissingKey { version: KeyVersion::FIRST }), "{error}");

    // Somebody wrote the other keys' ids into the database: they are proved, not only named.
    for keys in [&other_sealing, &other_index] {
        let (options, own) = (Server::shared().options(), StoreKeys::from_hex(&hex).unwrap());
        let store = PostgresStore::create(&options, &own).unwrap();
        let sealing = keys.sealing_id(KeyVersion::FIRST).unwrap();
        tamper(
            &store,
            &format!(
                "UPDATE {{s}}.store SET index_key = '\\x{}';
                 UPDATE {{s}}.sealing_keys SET id = '\\x{sealing}'",
                keys.id()
            ),
        );
        let error = PostgresStore::open(&options, keys).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { table: "meta" }), "{error}");
    }
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn rows_that_were_swapped_moved_or_given_another_version_are_refused() {
    let (options, keys) = home();
    let store = PostgresStore::create(&options, &keys).unwrap();
    (1..=2).for_each(|number| put(&store, number).unwrap());
    let elsewhere = BankId::parse("ELSE").unwrap();
    let refused = |bank: &BankId| {
        let found = [1, 2, 1_000_001, 1_000_002].map(|n| store.resolve(bank, &reference(n)));
        found.iter().filter(|found| matches!(found, Err(StoreError::Damaged { .. }))).count()
    };
    let restore = "CREATE TABLE IF NOT EXISTS {s}.kept AS TABLE {s}.card_references;
                   DELETE FROM {s}.card_references;
                   INSERT INTO {s}.card_references TABLE {s}.kept";
    tamper(&store, restore);
    assert!(store.check().unwrap().is_sound());

    // Every row gets the seal of another one.
    tamper(
        &store,
        "WITH numbered AS (
             SELECT hash, sealed, row_number() OVER (ORDER BY hash) AS number
             FROM {s}.card_references
         )
         UPDATE {s}.card_references r SET sealed = other.sealed
         FROM numbered own JOIN numbered other ON other.number = own.number % 4 + 1
         WHERE r.hash = own.hash",
    );
    assert_eq!(refused(&bank()), 4);
    assert_eq!(store.check().unwrap().references_unopened, 4);

    tamper(&store, restore);
    tamper(&store, "UPDATE {s}.card_references SET bank = 'ELSE'");
    assert!(store.resolve(&bank(), &reference(1)).unwrap().is_none());
    // Under the hash that the other bank asks for, it is of another bank still.
    assert_eq!(refused(&elsewhere), 0, "the hash is another one too");
    let report = store.check().unwrap();
    assert_eq!((report.references_missing, report.references_unlisted), (4, 4));

    tamper(&store, restore);
    tamper(&store, "UPDATE {s}.card_references SET sealed = set_byte(sealed, 0, 2)");
    let found = store.resolve(&bank(), &reference(1));
    assert!(matches!(found, Err(StoreError::MissingKey { version }) if version.number() == 2));
    tamper(&store, "UPDATE {s}.card_references SET sealed = set_byte(sealed, 0, 0)");
    assert_eq!(refused(&bank()), 4);

    tamper(&store, restore);
    tamper(
        &store,
        "DELETE FROM {s}.card_references WHERE hash = (SELECT hash FROM {s}.kept LIMIT 1)",
    );
    assert_eq!(store.check().unwrap().references_missing, 1);
    tamper(&store, restore);
    tamper(&store, "UPDATE {s}.cards SET sealed = set_byte(sealed, 20, get_byte(sealed, 20) # 1)");
    let report = store.check().unwrap();
    assert_eq!((report.cards_unopened, report.references_unlisted), (2, 4));
    assert!(matches!(put(&store, 1), Err(StoreError::Damaged { table: "cards" })));
    assert!(holds(&store, 1), "look-ups do not need the card's own row");
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn replicas_that_put_the_same_cards_and_references_come_to_one_of_their_orders() {
    let (options, keys) = home();
    let store = PostgresStore::create(&options, &keys).unwrap();
    let outcomes: Vec<PutOutcome> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|replica| {
                let (options, keys) = (&options, &keys);
                scope.spawn(move || {
                    let store = PostgresStore::open(options, keys).unwrap();
                    let mut outcomes = Vec::new();
                    for round in 0..10_u32 {
                        // Everybody wants the same references, each two of them for the same card.
                        let refs = [reference(round), reference(100 + round * 10 + replica)];
                        let record = card(round * 3 + replica % 3);
                        outcomes.push(outcome_of(&store, &refs, &record).unwrap());
                    }
                    outcomes
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let count =
        |of: fn(&PutOutcome) -> bool| outcomes.iter().filter(|&outcome| of(outcome)).count();
    // Of each round one card has got the reference: its first replica added it, the other replaced it.
    assert_eq!(count(|outcome| *outcome == PutOutcome::Added), 10);
    assert_eq!(count(|outcome| *outcome == PutOutcome::Replaced), 10);
    assert_eq!(count(|outcome| *outcome == PutOutcome::Taken { reference: 0 }), 40);
    let report = store.check().unwrap();
    assert_eq!((report.cards, report.references, report.is_sound()), (10, 30, true), "{report:?}");
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn a_reference_that_another_replica_gives_the_card_meanwhile_is_not_taken_by_another_card()
-> Result<(), Box<dyn std::error::Error>> {
    let (options, keys) = home();
    let store = PostgresStore::create(&options, &keys)?;
    put(&store, 1)?;
    // What the other replica has yet to commit.
    let later = "CREATE TABLE {s}.later_cards AS TABLE {s}.cards;
                 CREATE TABLE {s}.later_references AS TABLE {s}.card_references;
                 DELETE FROM {s}.cards; DELETE FROM {s}.card_references";
    tamper(&store, later);
    let replica = PostgresStore::open(&options, &keys)?;
    let outcome = store.pool().with(|other| {
        let lock = "BEGIN; LOCK TABLE {s}.card_references IN ACCESS EXCLUSIVE MODE";
        other.batch_execute(&in_schema(&store, lock))?;
        std::thread::scope(|scope| {
            let putting =
                scope.spawn(|| outcome_of(&replica, &[reference(1), reference(2)], &card(1)));
            let waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted
                           AND relation = '{s}.card_references'::regclass)";
            while !other.query_one(&in_schema(&store, waiting), &[])?.get::<_, bool>(0) {
                std::thread::sleep(Duration::from_millis(1));
            }
            let commit = "INSERT INTO {s}.cards TABLE {s}.later_cards;
                          INSERT INTO {s}.card_references TABLE {s}.later_references; COMMIT";
            other.batch_execute(&in_schema(&store, commit))?;
            Ok(putting.join().expect("an error is no panic"))
        })
    })?;
    assert_eq!(outcome?, PutOutcome::Replaced);
    assert!(holds(&replica, 1) && store.check()?.is_sound());
    Ok(())
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn a_store_is_sealed_again_while_replicas_read_and_write() {
    let (options, old) = home();
    let mut both = StoreKeys::from_hex(&old.to_hex()).unwrap();
    both.add_sealing().unwrap();
    let mut new = StoreKeys::from_hex(&both.to_hex()).unwrap();
    new.remove_sealing(version(1)).unwrap();

    let store = PostgresStore::create(&options, &old).unwrap();
    (0..100).for_each(|number| put(&store, number).unwrap());
    assert!(matches!(store.begin_rotation(version(2)), Err(StoreError::MissingKey { .. })));

    let rotating = PostgresStore::open(&options, &both).unwrap();
    let replica = PostgresStore::open(&options, &both).unwrap();
    assert!(rotating.reseal(10).unwrap().is_all(), "nothing to do");
    let is_done = AtomicBool::new(false);
    let put_meanwhile = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                assert!((0..100).all(|number| holds(&replica, number)));
            }
        });
        let writer = scope.spawn(|| {
            let mut number = 100;
            while !is_done.load(Ordering::Relaxed) {
                put(&replica, number).unwrap();
                // And one of those that are being sealed again.
                put(&replica, number % 100).unwrap();
                number += 1;
            }
            number
        });
        rotating.begin_rotation(version(2)).unwrap();
        // Two at the same time, and neither gets into the other's way.
        std::thread::scope(|scope| {
            for store in [&rotating, &replica] {
                scope.spawn(move || {
                    let mut done = 0;
                    loop {
                        let resealed = store.reseal(7).unwrap();
                        assert!(resealed.done >= done, "it never goes back");
                        done = resealed.done;
                        if resealed.is_all() {
                            break;
                        }
                    }
                });
            }
        });
        is_done.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    });
    assert_eq!(replica.current_key(), version(2), "it has learnt of it");
    let under_old = "SELECT (SELECT count(*) FROM {s}.cards WHERE get_byte(sealed, 0) <> 2)
              + (SELECT count(*) FROM {s}.card_references WHERE get_byte(sealed, 0) <> 2)";
    assert_eq!(asked(&replica, under_old), 0);

    // The old key is no longer needed, and no longer enough: neither to open nor to go on.
    let error = PostgresStore::open(&options, &old).unwrap_err();
    assert!(matches!(error, StoreError::MissingKey { .. }), "{error}");
    assert!(matches!(store.ready(), Err(StoreError::MissingKey { .. })));
    assert!(matches!(put(&store, 1), Err(StoreError::MissingKey { .. })));
    let store = PostgresStore::open(&options, &new).unwrap();
    assert!((0..put_meanwhile).all(|number| holds(&store, number)));
    assert!(store.check().unwrap().is_sound());
    let error = store.begin_rotation(version(2)).unwrap_err();
    assert!(matches!(error, StoreError::NotNewer { .. }), "{error}");
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn a_rotation_goes_on_in_another_process() {
    let (options, old) = home();
    let mut both = StoreKeys::from_hex(&old.to_hex()).unwrap();
    both.add_sealing().unwrap();
    let store = PostgresStore::create(&options, &old).unwrap();
    (0..50).for_each(|number| put(&store, number).unwrap());
    drop(store);
    let store = PostgresStore::open(&options, &both).unwrap();
    store.begin_rotation(version(2)).unwrap();
    let first = store.reseal(20).unwrap();
    assert_eq!((first.rows, first.is_all()), (20, false));
    drop(store);
    let store = PostgresStore::open(&options, &both).unwrap();
    let mut rows = first.rows;
    loop {
        let resealed = store.reseal(20).unwrap();
        rows += resealed.rows;
        if resealed.is_all() {
            break;
        }
    }
    assert_eq!(rows, 150, "each row once");
    assert_eq!(asked(&store, "SELECT count(*) FROM {s}.sealing_keys"), 1);
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn seals_are_counted_before_they_are_made_and_the_last_one_is_the_last() {
    let (options, keys) = home();
    let store = PostgresStore::create(&options, &keys).unwrap();
    let counted = "SELECT seals FROM {s}.sealing_keys";
    assert_eq!(asked(&store, counted), 1, "the proof");
    put(&store, 1).unwrap();
    let block = asked(&store, counted) - 1;
    assert!(block >= 3);
    // Those that were counted are used before others are.
    (2..100).for_each(|number| put(&store, number).unwrap());
    assert_eq!(asked(&store, counted) - 1, block);

    tamper(&store, "UPDATE {s}.sealing_keys SET seals = 4294967296 - 64");
    let worn_out = PostgresStore::open(&options, &keys).unwrap();
    let error = put(&worn_out, 1).unwrap_err();
    assert!(matches!(error, StoreError::KeyWornOut { version: KeyVersion::FIRST }), "{error}");
    assert!(holds(&worn_out, 1));
    tamper(&store, "UPDATE {s}.sealing_keys SET seals = 4294967296 - 65");
    put(&worn_out, 1).unwrap();
    assert_eq!(asked(&store, counted), 4_294_967_296);
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn nobody_waits_for_longer_than_was_said() {
    let (mut options, keys) = home();
    drop(PostgresStore::create(&options, &keys).unwrap());
    options.connections = 1;
    options.checkout_timeout = Duration::from_millis(300);
    options.lock_timeout = Duration::from_millis(200);
    options.statement_timeout = Duration::from_secs(1);
    let store = PostgresStore::open(&options, &keys).unwrap();
    put(&store, 1).unwrap();
    let sqlstate = |error: StoreError| {
        let StoreError::Storage(source) = &error else { panic!("{error}") };
        let source = source.downcast_ref::<cvv2_resolver::DatabaseError>().unwrap();
        source.sqlstate().map(str::to_owned)
    };
    let within = |most: Duration, task: &mut dyn FnMut() -> Option<String>| {
        let start = Instant::now();
        let state = task();
        assert!(start.elapsed() < most, "{:?}", start.elapsed());
        state
    };

    // The one connection is taken.
    let state = store.pool().with(|_| {
        let ask = || sqlstate(store.resolve(&bank(), &reference(1)).unwrap_err());
        Ok(within(Duration::from_secs(3), &mut { ask }))
    });
    assert_eq!(state.unwrap(), None);
    // Somebody holds the card.
    let other = PostgresStore::open(&options, &keys).unwrap();
    let hold = format!("BEGIN; SELECT FROM {}.cards FOR UPDATE", options.schema);
    let state = other.pool().with(|client| {
        client.batch_execute(&hold)?;
        let state = within(Duration::from_secs(3), &mut || sqlstate(put(&store, 1).unwrap_err()));
        client.batch_execute("ROLLBACK")?;
        Ok(state)
    });
    assert_eq!(state.unwrap().as_deref(), Some("55P03"));
    put(&store, 1).unwrap();
    // A statement takes too long, and the connection is as good as before.
    let state = within(Duration::from_secs(5), &mut || {
        sqlstate(
            store.pool().with(|client| client.batch_execute("SELECT pg_sleep(60)")).unwrap_err(),
        )
    });
    assert_eq!(state.as_deref(), Some("57014"));
    assert!(holds(&store, 1));
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn errors_have_no_word_of_the_server_nor_of_what_is_secret() {
    let (mut options, keys) = home();
    let store = PostgresStore::create(&options, &keys).unwrap();
    let insert = "INSERT INTO {s}.import_refusals VALUES (1, 'canary-4123', ''), (1, '', '')"
        .replace("{s}", &options.schema);
    let error = store.pool().with(|client| client.batch_execute(&insert)).unwrap_err();
    let shown = format!("{error} {error:?}");
    assert_eq!(
        error.to_string(),
        "the card store failed: the database refused a statement (SQLSTATE 23505)"
    );
    assert!(!shown.contains("canary") && !shown.contains("row_number"), "{shown}");

    options.password = Some(PostgresPassword::new("canary-secret".to_owned()));
    options.user = "nobody-known".to_owned();
    let shown = format!("{options:?} {:?}", PostgresPool::open(&options).unwrap_err());
    assert!(shown.contains("28000") && !shown.contains("canary-secret"), "{shown}");
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn a_server_that_may_lose_what_it_acknowledged_is_refused() {
    let server = Server::start("-c fsync=off -c synchronous_commit=off");
    let mut options = server.options();
    let keys = StoreKeys::generate().unwrap();
    options.allow_lost_commits = false;
    let error = PostgresStore::create(&options, &keys).unwrap_err();
    assert!(matches!(error, StoreError::NotDurable { setting: "fsync" }), "{error}");
    assert!(error.to_string().contains("`fsync`"), "{error}");
    options.allow_lost_commits = true;
    PostgresStore::create(&options, &keys).unwrap();
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn a_session_waits_for_the_disk_and_survives_a_restart_of_the_server() {
    let server = Server::start("-c synchronous_commit=off");
    let (options, keys) = (server.options(), StoreKeys::generate().unwrap());
    let store = PostgresStore::create(&options, &keys).unwrap();
    let setting = "SELECT current_setting('synchronous_commit')";
    let setting = store.pool().with(|client| client.query_one(setting, &[])).unwrap();
    assert_eq!(setting.get::<_, &str>(0), "on");

    // Several connections, all of them lost by the restart without the pool's knowing.
    std::thread::scope(|scope| {
        for number in 0..6 {
            let store = &store;
            scope.spawn(move || put(store, number).unwrap());
        }
    });
    server.control(&["-w", "-m", "fast", "restart"]);
    assert!((0..6).all(|number| holds(&store, number)), "a look-up is tried again");
    server.control(&["-w", "-m", "fast", "restart"]);
    put(&store, 6).unwrap();
    store.ready().unwrap();
    server.control(&["-w", "-m", "fast", "stop"]);
    let error = store.resolve(&bank(), &reference(1)).unwrap_err();
    assert!(matches!(error, StoreError::Storage(_)), "{error}");
    assert!(store.ready().is_err());
    server.start_again();
    assert!(holds(&store, 6));
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn a_lookup_is_one_row_of_one_part_by_hash_and_bank() {
    let (options, keys) = home();
    let store = PostgresStore::create(&options, &keys).unwrap();
    (0..50).for_each(|number| put(&store, number).unwrap());
    let plan = store.pool().with(|client| {
        let lookup = format!(
            "PREPARE lookup (bytea, text) AS
             SELECT sealed FROM {}.card_references WHERE hash = $1 AND bank = $2",
            options.schema
        );
        client.batch_execute(&lookup)?;
        let hash = format!("'\\x{}'", "ab".repeat(16));
        client.query(&format!("EXPLAIN (ANALYZE) EXECUTE lookup ({hash}, 'IBTF')"), &[])
    });
    let plan: Vec<String> = plan.unwrap().iter().map(|row| row.get(0)).collect();
    let plan = plan.join("\n");
    assert!(plan.contains("Subplans Removed: 7"), "{plan}");
    assert!(plan.contains("Index Cond: ((hash = $1) AND (bank = $2))"), "{plan}");
}
