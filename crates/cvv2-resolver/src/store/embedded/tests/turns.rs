//! Callers who put cards at the same time: who shares a commit, and what becomes of each one's cards.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::*;

const CALLERS: u64 = 32;

/// The PAN of a caller.
fn pan(caller: u64) -> String {
    format!("4123450{caller:08}")
}

fn put(store: &EmbeddedStore, caller: u64) -> Result<PutOutcome, StoreError> {
    let refs = [number(&format!("C{caller}")), number(&format!("D{caller}"))];
    let (bank, record) = (bank("IBTF"), card(&pan(caller)));
    let put = store.put_many(&[NewCard { bank: &bank, refs: &refs, record: &record }]);
    put.map(|outcomes| outcomes[0])
}

/// Another thread that puts the card of a caller, and queues up before this returns.
fn caller(store: &Arc<EmbeddedStore>, number: u64) -> JoinHandle<Result<PutOutcome, StoreError>> {
    let (before, here) = (store.turns.waiting(), Arc::clone(store));
    let thread = thread::spawn(move || put(&here, number));
    wait_for(store, before + 1);
    thread
}

/// The first callers, who queue up while somebody else has the turn: one of them leads them all.
fn callers_at_once(
    store: &Arc<EmbeddedStore>,
    count: u64,
) -> Vec<JoinHandle<Result<PutOutcome, StoreError>>> {
    let _turn = store.turns.take();
    (0..count).map(|number| caller(store, number)).collect()
}

fn wait_for(store: &EmbeddedStore, waiting: usize) {
    while store.turns.waiting() != waiting {
        thread::yield_now();
    }
}

fn commits(store: &EmbeddedStore) -> usize {
    store.generation().env.info().last_txn_id
}

fn holds(store: &EmbeddedStore, caller: u64) -> bool {
    let found = store.resolve(&bank("IBTF"), &number(&format!("D{caller}")));
    found.expect("a store that works") == Some(card(&pan(caller)))
}

#[test]
fn nobody_returns_before_the_commit_and_each_has_the_outcome_of_its_own_cards() {
    let home = Home::new();
    let store = home.with_two_cards();
    let before = commits(&store);
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let store = &store;
            scope.spawn(move || {
                for turn in 0..20 {
                    // Every fourth one's card wants a reference of another card.
                    if caller % 4 == 3 {
                        let put = store.put(&bank("IBTF"), &[exid()], &card(&pan(caller)));
                        assert!(matches!(put, Err(StoreError::Taken { reference: 0 })));
                    } else {
                        let expected =
                            if turn == 0 { PutOutcome::Added } else { PutOutcome::Replaced };
                        let outcome = put(store, caller).expect("no reference of it is taken");
                        assert_eq!(outcome, expected);
                        // What a transaction reads that begins now is committed.
                        assert!(holds(store, caller));
                    }
                }
            });
        }
    });
    let puts = usize::try_from(CALLERS * 20).unwrap();
    assert!(commits(&store) - before < puts, "nobody has shared a commit");
    assert_eq!(store.len().unwrap(), 2 + CALLERS / 4 * 3);
    assert!(store.check().unwrap().is_sound());
}

#[test]
fn all_who_wait_share_one_commit() {
    let home = Home::new();
    let store = Arc::new(home.with_two_cards());
    let before = commits(&store);
    let turn = store.turns.take();
    let callers: Vec<_> = (0..CALLERS).map(|number| caller(&store, number)).collect();
    assert_eq!(commits(&store), before);
    drop(turn);
    for caller in callers {
        assert_eq!(caller.join().unwrap().unwrap(), PutOutcome::Added);
    }
    assert_eq!(commits(&store), before + 1);
    assert!((0..CALLERS).all(|caller| holds(&store, caller)));
}

#[test]
fn a_card_that_is_the_end_of_all_fails_for_its_own_caller_only() {
    let home = Home::new();
    let store = Arc::new(home.with_two_cards());
    put(&store, 5).unwrap();
    let place = store.sealer.card(bank("IBTF"), &Pan::parse(&pan(5)).unwrap());
    store.tamper(store.cards(), &place.key(), Some(&[0; 60]));

    let callers = callers_at_once(&store, 8);
    for (number, caller) in (0..).zip(callers) {
        match caller.join().unwrap() {
            Ok(outcome) => assert!(outcome == PutOutcome::Added && number != 5, "{number}"),
            Err(StoreError::Damaged { table: "cards" }) => assert_eq!(number, 5),
            Err(error) => panic!("{error}"),
        }
    }
    assert!((0..8).filter(|&number| number != 5).all(|number| holds(&store, number)));
}

#[test]
fn seals_that_are_left_are_for_those_who_come_first() {
    let home = Home::new();
    let store = Arc::new(home.with_two_cards());
    // Each of the cards takes three.
    store.tamper(store.meta(), b"seals \x01", Some(&(SEALS_MAX - 7).to_be_bytes()));
    let callers = callers_at_once(&store, 4);
    let outcomes: Vec<_> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
    assert!(outcomes[..2].iter().all(|put| matches!(put, Ok(PutOutcome::Added))));
    assert!(outcomes[2..].iter().all(|put| matches!(put, Err(StoreError::KeyWornOut { .. }))));
    assert_eq!(store.len().unwrap(), 4);
}

#[test]
fn a_leader_that_panics_leaves_nobody_waiting_and_nothing_half_done() {
    let home = Home::new();
    let store = Arc::new(home.with_two_cards());
    let before = commits(&store);
    let turn = store.turns.take();
    let here = Arc::clone(&store);
    let leader = thread::spawn(move || {
        let (bank, refs, record) = (bank("IBTF"), [number("C0")], card(&pan(0)));
        let new = NewCard { bank: &bank, refs: &refs, record: &record };
        here.turns.put(&[new], &here.sealer, || panic!("on purpose"))
    });
    wait_for(&store, 1);
    let callers: Vec<_> = (1..8).map(|number| caller(&store, number)).collect();
    drop(turn);
    assert!(leader.join().is_err());
    for caller in callers {
        let error = caller.join().unwrap().unwrap_err();
        assert!(error.to_string().contains("put them again"), "{error}");
    }
    assert_eq!((commits(&store), store.len().unwrap()), (before, 2));

    for number in 0..8 {
        assert_eq!(put(&store, number).unwrap(), PutOutcome::Added);
    }
    assert!(store.check().unwrap().is_sound());
}

#[test]
fn what_takes_long_gets_its_turn_among_those_who_put() {
    let home = Home::new();
    let store = home.with_two_cards();
    let is_done = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        for caller in 0..8 {
            let (store, is_done) = (&store, &is_done);
            scope.spawn(move || {
                while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                    put(store, caller).unwrap();
                }
            });
        }
        let file = "bank,contract_number,pan,expiry\nIBTF,E1,4123459999999999,2701\n";
        let watcher = &mut NobodyCares;
        let imported = store.import(&mut file.as_bytes(), &ImportOptions::default(), watcher);
        is_done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(imported.unwrap().added, 1);
    });
    assert!((0..8).all(|caller| holds(&store, caller)));
}

#[test]
fn a_store_that_its_last_caller_drops_has_what_all_have_put() {
    let home = Home::new();
    let store = Arc::new(home.with_two_cards());
    let callers: Vec<_> = (0..CALLERS)
        .map(|number| {
            let store = Arc::clone(&store);
            thread::spawn(move || put(&store, number).unwrap())
        })
        .collect();
    drop(store);
    for caller in callers {
        assert_eq!(caller.join().unwrap(), PutOutcome::Added);
    }
    let store = EmbeddedStore::open(&home.directory, &home.keys).unwrap();
    assert!((0..CALLERS).all(|caller| holds(&store, caller)));
}

struct NobodyCares;

impl ImportWatcher for NobodyCares {
    fn refused(&mut self, refused: &RefusedRow<'_>) -> std::io::Result<()> {
        panic!("{refused:?}");
    }
}
