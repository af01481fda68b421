//! What every store does: one suite, run over each of them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::ops::ControlFlow;

use cvv2::{Expiry, Pan};
use cvv2_resolver::{
    BankId, CardRecord, CardRef, CardStatus, CardStore, ContractNumber, Exid, ExidForm,
    MemoryStore, NewCard, Plastic, PutOutcome, StoreError,
};
use proptest::collection;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

#[macro_use]
mod every_store;
#[cfg(feature = "postgres")]
mod postgres_server;

use every_store::{OnEmptyStore, on_embedded};

const EXID: &str = "99984100148297467162";
const PAN: &str = "4111111111111111";
const OTHER_PAN: &str = "5500005555555559";

on_every_store! {
    an_empty_store_knows_nobody,
    a_card_is_found_under_each_of_its_references,
    every_card_is_shown_with_all_its_references,
    a_pan_finds_a_card_only_where_it_was_given_as_a_reference,
    another_bank_finds_nothing_and_has_a_space_of_its_own,
    the_two_kinds_of_reference_are_spaces_of_their_own,
    a_reference_of_another_pan_is_taken_and_nothing_is_changed,
    a_card_blocked_under_one_reference_is_blocked_under_all,
    a_card_has_one_to_64_references,
    a_reference_given_twice_is_one_reference,
    in_a_batch_refused_cards_are_left_out_and_the_others_put,
    an_empty_batch_is_nothing_to_do,
    many_threads_read_while_one_writes,
}

fn bank(code: &str) -> BankId {
    BankId::parse(code).unwrap()
}

fn exid(text: &str) -> CardRef {
    Exid::parse(text, ExidForm::Any).unwrap().into()
}

fn number(text: &str) -> CardRef {
    ContractNumber::parse(text).unwrap().into()
}

fn card(pan: &str, status: CardStatus) -> CardRecord {
    let plastics = ["2701", "3001"]
        .map(|yymm| Plastic::new(Expiry::parse_yymm(yymm).unwrap(), 1, CardStatus::Active));
    CardRecord::new(Pan::parse(pan).unwrap(), status, plastics.into()).unwrap()
}

fn active(pan: &str) -> CardRecord {
    card(pan, CardStatus::Active)
}

fn an_empty_store_knows_nobody(store: &dyn CardStore) {
    assert!(store.resolve(&bank("IBTF"), &exid(EXID)).unwrap().is_none());
    assert!(store.is_empty().unwrap());
    let report = store.check().unwrap();
    assert_eq!((report.cards, report.references, report.is_sound()), (0, 0, true));
}

fn a_card_is_found_under_each_of_its_references(store: &dyn CardStore) {
    let refs = [exid(EXID), number("0014829746"), number(PAN)];
    store.put(&bank("IBTF"), &refs, &active(PAN)).unwrap();
    for card in &refs {
        assert_eq!(store.resolve(&bank("IBTF"), card).unwrap(), Some(active(PAN)));
    }
    assert_eq!(store.len().unwrap(), 1);
    let report = store.check().unwrap();
    assert_eq!((report.cards, report.references, report.is_sound()), (1, 3, true));
}

fn every_card_is_shown_with_all_its_references(store: &dyn CardStore) {
    let ibtf = bank("IBTF");
    store.put(&ibtf, &[number("2"), exid(EXID)], &active(PAN)).unwrap();
    store.put(&ibtf, &[number("1"), number("2")], &card(PAN, CardStatus::Lost)).unwrap();
    store.put(&bank("ELSE"), &[number(OTHER_PAN)], &active(OTHER_PAN)).unwrap();
    let mut shown = Vec::new();
    let visited = store.each_card(&mut |bank, refs, record| {
        shown.push((*bank, refs.to_vec(), record.clone()));
        ControlFlow::Continue(())
    });
    visited.unwrap();
    shown.sort_by_key(|(bank, ..)| *bank);
    assert_eq!(
        shown,
        [
            (bank("ELSE"), vec![number(OTHER_PAN)], active(OTHER_PAN)),
            // References that were there before come first.
            (ibtf, vec![number("2"), exid(EXID), number("1")], card(PAN, CardStatus::Lost)),
        ]
    );

    let mut count = 0;
    let visited = store.each_card(&mut |_, _, _| {
        count += 1;
        ControlFlow::Break(())
    });
    visited.unwrap();
    assert_eq!(count, 1);
}

fn a_pan_finds_a_card_only_where_it_was_given_as_a_reference(store: &dyn CardStore) {
    store.put(&bank("IBTF"), &[exid(EXID)], &active(PAN)).unwrap();
    assert!(store.resolve(&bank("IBTF"), &number(PAN)).unwrap().is_none());
    assert!(store.resolve(&bank("IBTF"), &exid(PAN)).unwrap().is_none());
}

fn another_bank_finds_nothing_and_has_a_space_of_its_own(store: &dyn CardStore) {
    store.put(&bank("IBTF"), &[exid(EXID)], &active(PAN)).unwrap();
    for foreign in ["ELSE", "IBT", "ibtf", "0"] {
        assert!(store.resolve(&bank(foreign), &exid(EXID)).unwrap().is_none(), "{foreign}");
    }
    store.put(&bank("ELSE"), &[exid(EXID)], &active(OTHER_PAN)).unwrap();
    assert_eq!(store.resolve(&bank("IBTF"), &exid(EXID)).unwrap(), Some(active(PAN)));
    assert_eq!(store.resolve(&bank("ELSE"), &exid(EXID)).unwrap(), Some(active(OTHER_PAN)));
    assert_eq!(store.len().unwrap(), 2);
}

fn the_two_kinds_of_reference_are_spaces_of_their_own(store: &dyn CardStore) {
    store.put(&bank("IBTF"), &[exid(EXID)], &active(PAN)).unwrap();
    assert!(store.resolve(&bank("IBTF"), &number(EXID)).unwrap().is_none());
    store.put(&bank("IBTF"), &[number(EXID)], &active(OTHER_PAN)).unwrap();
    assert_eq!(store.resolve(&bank("IBTF"), &exid(EXID)).unwrap(), Some(active(PAN)));
}

fn a_reference_of_another_pan_is_taken_and_nothing_is_changed(store: &dyn CardStore) {
    store.put(&bank("IBTF"), &[exid(EXID)], &active(PAN)).unwrap();
    let refs = [number("1"), number("2"), exid(EXID), number("3")];
    let error = store.put(&bank("IBTF"), &refs, &active(OTHER_PAN)).unwrap_err();
    assert!(matches!(error, StoreError::Taken { reference: 2 }), "{error}");
    assert!(store.resolve(&bank("IBTF"), &number("1")).unwrap().is_none());
    assert_eq!(store.resolve(&bank("IBTF"), &exid(EXID)).unwrap(), Some(active(PAN)));
    assert_eq!(store.len().unwrap(), 1);
}

fn a_card_blocked_under_one_reference_is_blocked_under_all(store: &dyn CardStore) {
    let [first, second, third] = [exid(EXID), number("0014829746"), number("0014829747")];
    let ibtf = bank("IBTF");
    store.put(&ibtf, &[first.clone(), second.clone()], &active(PAN)).unwrap();
    // Neither of the known references is given again.
    store.put(&ibtf, std::slice::from_ref(&third), &card(PAN, CardStatus::Stolen)).unwrap();
    for card in [first, second, third] {
        let found = store.resolve(&ibtf, &card).unwrap().unwrap();
        assert_eq!(found.status(), CardStatus::Stolen);
    }
    let report = store.check().unwrap();
    assert_eq!((report.cards, report.references, report.is_sound()), (1, 3, true));
}

fn a_card_has_one_to_64_references(store: &dyn CardStore) {
    let refs: Vec<_> = (0..66).map(|i| number(&i.to_string())).collect();
    for (given, count) in [(&refs[..0], 0), (&refs[..65], 65)] {
        let error = store.put(&bank("IBTF"), given, &active(PAN)).unwrap_err();
        assert!(matches!(error, StoreError::References { count: c } if c == count), "{error}");
    }
    assert!(store.is_empty().unwrap());
    store.put(&bank("IBTF"), &refs[..64], &active(PAN)).unwrap();
    let error = store.put(&bank("IBTF"), &refs[63..], &active(PAN)).unwrap_err();
    assert!(matches!(error, StoreError::References { count: 66 }), "{error}");
    assert_eq!(store.check().unwrap().references, 64);
}

fn a_reference_given_twice_is_one_reference(store: &dyn CardStore) {
    store.put(&bank("IBTF"), &[exid(EXID), exid(EXID)], &active(PAN)).unwrap();
    let report = store.check().unwrap();
    assert_eq!((report.cards, report.references, report.is_sound()), (1, 1, true));
}

fn in_a_batch_refused_cards_are_left_out_and_the_others_put(store: &dyn CardStore) {
    let ibtf = bank("IBTF");
    let refs = ["1", "2", "3", "4"].map(number);
    let records = [active(PAN), active(OTHER_PAN), card(PAN, CardStatus::Lost)];
    let outcomes = store
        .put_many(&[
            NewCard { bank: &ibtf, refs: &refs[..2], record: &records[0] },
            NewCard { bank: &ibtf, refs: &refs[1..3], record: &records[1] }, // 2 is taken
            NewCard { bank: &ibtf, refs: &[], record: &records[1] },
            NewCard { bank: &ibtf, refs: &refs[2..3], record: &records[1] },
            NewCard { bank: &ibtf, refs: &refs[3..], record: &records[2] },
        ])
        .unwrap();
    assert_eq!(
        outcomes,
        [
            PutOutcome::Added,
            PutOutcome::Taken { reference: 0 },
            PutOutcome::References { count: 0 },
            PutOutcome::Added,
            PutOutcome::Replaced,
        ]
    );
    for (card, found) in refs.iter().zip([2, 2, 1, 2]) {
        assert_eq!(store.resolve(&ibtf, card).unwrap().as_ref(), Some(&records[found]));
    }
    let report = store.check().unwrap();
    assert_eq!((report.cards, report.references, report.is_sound()), (2, 4, true));
}

fn an_empty_batch_is_nothing_to_do(store: &dyn CardStore) {
    assert_eq!(store.put_many(&[]).unwrap(), []);
    assert!(store.is_empty().unwrap());
}

fn many_threads_read_while_one_writes(store: &dyn CardStore) {
    let ibtf = bank("IBTF");
    store.put(&ibtf, &[exid(EXID)], &active(PAN)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    assert!(store.resolve(&ibtf, &exid(EXID)).unwrap().is_some());
                }
            });
        }
        for i in 0..20 {
            store.put(&ibtf, &[number(&i.to_string())], &active(PAN)).unwrap();
        }
    });
    assert_eq!(store.check().unwrap().references, 21);
}

/// A bank, references, a PAN and a status, by number.
type Put = (usize, Vec<usize>, usize, usize);

/// A store does what the obvious one does, whatever is put in whatever order.
fn does_what_the_obvious_one_does(on_empty_store: OnEmptyStore) {
    let put = (0..2_usize, collection::vec(0..12_usize, 0..4), 0..5_usize, 0..5_usize);
    let batches = collection::vec(collection::vec(put, 0..6), 1..6);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) };
    let tried = TestRunner::new(config).run(&batches, |batches| {
        let mut outcome = Ok(());
        on_empty_store(&mut |store| outcome = compare_with_the_obvious_one(store, &batches));
        outcome
    });
    tried.unwrap();
}

fn compare_with_the_obvious_one(
    store: &dyn CardStore,
    batches: &[Vec<Put>],
) -> Result<(), TestCaseError> {
    let banks = ["IBTF", "ELSE"].map(bank);
    let refs: Vec<_> =
        (0..6).flat_map(|i| [number(&i.to_string()), exid(&i.to_string())]).collect();
    let pans: Vec<_> = (0..5).map(|i| format!("412345678901234{i}")).collect();
    let obvious = MemoryStore::new();
    for batch in batches {
        let owned: Vec<_> = batch
            .iter()
            .map(|(b, r, p, s)| {
                let refs: Vec<_> = r.iter().map(|&r| refs[r].clone()).collect();
                (banks[*b], refs, card(&pans[*p], CardStatus::ALL[*s]))
            })
            .collect();
        let new: Vec<_> =
            owned.iter().map(|(bank, refs, record)| NewCard { bank, refs, record }).collect();
        prop_assert_eq!(store.put_many(&new).unwrap(), obvious.put_many(&new).unwrap());
    }
    for bank in &banks {
        for card in &refs {
            let expected = obvious.resolve(bank, card).unwrap();
            prop_assert_eq!(store.resolve(bank, card).unwrap(), expected);
        }
    }
    prop_assert_eq!(store.check().unwrap(), obvious.check().unwrap());
    Ok(())
}

#[test]
fn the_embedded_store_does_what_the_obvious_one_does() {
    does_what_the_obvious_one_does(on_embedded);
}

#[test]
#[cfg(feature = "postgres")]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn the_postgres_store_does_what_the_obvious_one_does() {
    does_what_the_obvious_one_does(every_store::on_postgres);
}
