//! What is of PostgreSQL alone: replicas, lost connections, and tables.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use cvv2_resolver::{CardStore, PostgresPool, PostgresStore, StoreKeys};
use cvv2_service::limits::{Denied, LimitError, LimitPolicy, Limits, MessageUse};

use crate::postgres_server::Server;
use crate::stores::{Home, at, card, message};
use crate::tables::Tables;

fn policy() -> LimitPolicy {
    LimitPolicy { caller_wrong_percent: 100, ..LimitPolicy::default() }
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn replicas_that_start_and_charge_together_get_no_more_than_the_limit() {
    let home = Tables::new();
    let let_through = AtomicU32::new(0);
    thread::scope(|scope| {
        for replica in 0..6 {
            let (home, let_through) = (&home, &let_through);
            scope.spawn(move || {
                let limits = home.open(policy());
                for guess in 0..10 {
                    let caller = format!("client {}", (replica + guess) % 10);
                    match limits.charge_verify(&caller, card(1), at(0)) {
                        Ok(verification) => {
                            let_through.fetch_add(1, Ordering::Relaxed);
                            verification.mismatched().unwrap();
                        }
                        Err(Denied::Refused(_)) => {}
                        Err(Denied::Unavailable(error)) => panic!("{error}"),
                    }
                }
            });
        }
    });
    assert_eq!(let_through.into_inner(), 10);
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn of_replicas_that_use_a_message_together_one_is_the_first() {
    let home = Tables::new();
    let firsts = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let limits = home.open(policy());
                for number in 0..20 {
                    let used = limits.first_use(message(number), at(0)).unwrap();
                    firsts.fetch_add(u32::from(used == MessageUse::First), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(firsts.into_inner(), 20);
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn what_was_charged_survives_the_server_and_nothing_passes_without_it() {
    let server = Server::start("");
    let home = Tables::on(&server);
    let limits = home.open(policy());
    (0..3).for_each(|_| limits.charge_verify("ivr", card(1), at(0)).unwrap().mismatched().unwrap());
    let unfinished = limits.charge_verify("app", card(1), at(0)).unwrap();
    server.stop_immediately();
    server.start_again();
    // The connection is lost: whoever charges first is told so, and nothing else.
    let answers: Vec<_> = (0..3).map(|_| limits.charge_verify("ivr", card(1), at(1))).collect();
    assert!(answers.iter().all(Result::is_err));
    assert!(matches!(answers[2], Err(Denied::Refused(_))), "{answers:?}");
    unfinished.matched().unwrap();
    let usage = limits.show_card(card(1), at(1)).unwrap().unwrap().usage;
    assert_eq!((usage[0].used, usage[2].used), (4, 3));
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn rows_that_no_limit_needs_are_taken_away() {
    let home = Tables::new();
    let limits = home.open(policy());
    let charge = |number, second| limits.charge_generate("ivr", card(number), at(second)).unwrap();
    (0..500).for_each(|number| charge(number, 0));
    (500..1000).for_each(|number| charge(number, 40 * 86_400));
    let (mut client, schema) = home.client();
    let count = format!("SELECT count(*) FROM {schema}.limit_cards");
    assert_eq!(client.query_one(&count, &[]).unwrap().get::<_, i64>(0), 500);
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn messages_whose_window_has_passed_are_taken_away() {
    let home = Tables::new();
    let limits = home.open(policy());
    let first = |number, second| {
        assert_eq!(limits.first_use(message(number), at(second)).unwrap(), MessageUse::First);
    };
    (0..500).for_each(|number| first(number, 0));
    // One is used again before it is taken away, and stays.
    first(0, 3600);
    (500..999).for_each(|number| first(number, 3600));
    let (mut client, schema) = home.client();
    let count = format!("SELECT count(*) FROM {schema}.limit_messages");
    assert_eq!(client.query_one(&count, &[]).unwrap().get::<_, i64>(0), 500);
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn tables_of_before_there_were_messages_get_theirs() {
    let home = Tables::new();
    home.open(policy()).charge_generate("ivr", card(1), at(0)).unwrap();
    let (mut client, schema) = home.client();
    client.execute(&format!("DROP TABLE {schema}.limit_messages"), &[]).unwrap();
    let limits = home.open(policy());
    assert_eq!(limits.first_use(message(1), at(0)).unwrap(), MessageUse::First);
    assert_eq!(limits.show_card(card(1), at(0)).unwrap().unwrap().usage[0].used, 1);
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn what_is_not_ours_is_refused() {
    let home = Tables::new();
    let limits = home.open(policy());
    limits.charge_generate("ivr", card(1), at(0)).unwrap();
    let (mut client, schema) = home.client();
    client.execute(&format!("UPDATE {schema}.limit_cards SET log = '\\x0100'"), &[]).unwrap();
    let Err(Denied::Unavailable(error)) = limits.charge_generate("ivr", card(1), at(0)) else {
        panic!("a row that nobody wrote");
    };
    assert_eq!(
        error.to_string(),
        "the database of the limits: a row of limit_cards was not written by us"
    );
    client.execute(&format!("UPDATE {schema}.limit_format SET format = 2"), &[]).unwrap();
    let error = home.try_open(policy()).unwrap_err();
    assert!(error.to_string().contains("have format 2"), "{error}");
    assert!(matches!(
        home.try_open(LimitPolicy { callers_max: 0, ..policy() }),
        Err(LimitError::Policy(_))
    ));
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn nothing_passes_without_the_server() {
    let server = Server::start("");
    let limits = Tables::on(&server).open(policy());
    limits.admit("ivr", at(0)).unwrap();
    server.stop_immediately();
    for _ in 0..2 {
        let Err(Denied::Unavailable(error)) = limits.admit("ivr", at(0)) else {
            panic!("there is no database");
        };
        let text = error.to_string();
        assert!(text.starts_with("the database of the limits: "), "{text}");
        assert!(limits.first_use(message(1), at(0)).is_err());
    }
    server.start_again();
    limits.admit("ivr", at(0)).unwrap();
    assert_eq!(limits.first_use(message(1), at(0)).unwrap(), MessageUse::First);
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn a_card_store_and_limits_share_a_pool_and_a_schema() {
    let options = Server::shared().options();
    let keys = StoreKeys::generate().unwrap();
    drop(PostgresStore::create(&options, &keys).unwrap());
    let pool = PostgresPool::open(&options).unwrap();
    let limits = Limits::postgres(pool.clone(), policy()).unwrap();
    let store = PostgresStore::with_pool(pool, &keys).unwrap();
    limits.charge_generate("ivr", card(1), at(0)).unwrap();
    assert_eq!(store.check().unwrap().cards, 0);
    assert!(limits.show_card(card(1), at(0)).unwrap().is_some());
}
