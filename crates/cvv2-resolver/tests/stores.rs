//! What every store does: one suite, run over each of them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::ops::ControlFlow;

use cvv2::{Expiry, Pan};
use cvv2_resolver::{
    BankId, CardRecord, CardRef, CardStatus, CardStore, ContractNumber, EmbeddedStore, Exid,
    ExidForm, MemoryStore, NewCard, Plastic, PutOutcome, StoreError, StoreKeys,
};
use proptest::prelude::*;

const EXID: &str = "99984100148297467162";
const PAN: &str = "4111111111111111";
const OTHER_PAN: &str = "5500005555555559";

/// Runs `test` on an empty store of each kind.
fn on_every_store(test: impl Fn(&dyn CardStore)) {
    test(&MemoryStore::new());
    let home = tempfile::tempdir().unwrap();
    let keys = StoreKeys::generate().unwrap();
    test(&EmbeddedStore::create(home.path().join("cards"), &keys).unwrap());
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

#[test]
fn an_empty_store_knows_nobody() {
    on_every_store(|store| {
        assert!(store.resolve(&bank("IBTF"), &exid(EXID)).unwrap().is_none());
        assert!(store.is_empty().unwrap());
        let report = store.check().unwrap();
        assert_eq!((report.cards, report.references, report.is_sound()), (0, 0, true));
    });
}

#[test]
fn a_card_is_found_under_each_of_its_references() {
    on_every_store(|store| {
        let refs = [exid(EXID), number("0014829746"), number(PAN)];
        store.put(&bank("IBTF"), &refs, &active(PAN)).unwrap();
        for card in &refs {
            assert_eq!(store.resolve(&bank("IBTF"), card).unwrap(), Some(active(PAN)));
        }
        assert_eq!(store.len().unwrap(), 1);
        let report = store.check().unwrap();
        assert_eq!((report.cards, report.references, report.is_sound()), (1, 3, true));
    });
}

#[test]
fn every_card_is_shown_with_all_its_references() {
    on_every_store(|store| {
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
    });
}

#[test]
fn a_pan_finds_a_card_only_where_it_was_given_as_a_reference() {
    on_every_store(|store| {
        store.put(&bank("IBTF"), &[exid(EXID)], &active(PAN)).unwrap();
        assert!(store.resolve(&bank("IBTF"), &number(PAN)).unwrap().is_none());
        assert!(store.resolve(&bank("IBTF"), &exid(PAN)).unwrap().is_none());
    });
}

#[test]
fn another_bank_finds_nothing_and_has_a_space_of_its_own() {
    on_every_store(|store| {
        store.put(&bank("IBTF"), &[exid(EXID)], &active(PAN)).unwrap();
        for foreign in ["ELSE", "IBT", "ibtf", "0"] {
            assert!(store.resolve(&bank(foreign), &exid(EXID)).unwrap().is_none(), "{foreign}");
        }
        store.put(&bank("ELSE"), &[exid(EXID)], &active(OTHER_PAN)).unwrap();
        assert_eq!(store.resolve(&bank("IBTF"), &exid(EXID)).unwrap(), Some(active(PAN)));
        assert_eq!(store.resolve(&bank("ELSE"), &exid(EXID)).unwrap(), Some(active(OTHER_PAN)));
        assert_eq!(store.len().unwrap(), 2);
    });
}

#[test]
fn the_two_kinds_of_reference_are_spaces_of_their_own() {
    on_every_store(|store| {
        store.put(&bank("IBTF"), &[exid(EXID)], &active(PAN)).unwrap();
        assert!(store.resolve(&bank("IBTF"), &number(EXID)).unwrap().is_none());
        store.put(&bank("IBTF"), &[number(EXID)], &active(OTHER_PAN)).unwrap();
        assert_eq!(store.resolve(&bank("IBTF"), &exid(EXID)).unwrap(), Some(active(PAN)));
    });
}

#[test]
fn a_reference_of_another_pan_is_taken_and_nothing_is_changed() {
    on_every_store(|store| {
        store.put(&bank("IBTF"), &[exid(EXID)], &active(PAN)).unwrap();
        let refs = [number("1"), number("2"), exid(EXID), number("3")];
        let error = store.put(&bank("IBTF"), &refs, &active(OTHER_PAN)).unwrap_err();
        assert!(matches!(error, StoreError::Taken { reference: 2 }), "{error}");
        assert!(store.resolve(&bank("IBTF"), &number("1")).unwrap().is_none());
        assert_eq!(store.resolve(&bank("IBTF"), &exid(EXID)).unwrap(), Some(active(PAN)));
        assert_eq!(store.len().unwrap(), 1);
    });
}

#[test]
fn a_card_blocked_under_one_reference_is_blocked_under_all() {
    on_every_store(|store| {
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
    });
}

#[test]
fn a_card_has_one_to_64_references() {
    on_every_store(|store| {
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
    });
}

#[test]
fn a_reference_given_twice_is_one_reference() {
    on_every_store(|store| {
        store.put(&bank("IBTF"), &[exid(EXID), exid(EXID)], &active(PAN)).unwrap();
        let report = store.check().unwrap();
        assert_eq!((report.cards, report.references, report.is_sound()), (1, 1, true));
    });
}

#[test]
fn in_a_batch_refused_cards_are_left_out_and_the_others_put() {
    on_every_store(|store| {
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
    });
}

#[test]
fn an_empty_batch_is_nothing_to_do() {
    on_every_store(|store| {
        assert_eq!(store.put_many(&[]).unwrap(), []);
        assert!(store.is_empty().unwrap());
    });
}

#[test]
fn many_threads_read_while_one_writes() {
    on_every_store(|store| {
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
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The embedded store does what the obvious one does, whatever is put in whatever order.
    #[test]
    fn the_embedded_store_does_what_the_obvious_one_does(
        batches in proptest::collection::vec(
            proptest::collection::vec(
                // bank, references by number, PAN by number, status
                (0..2_usize, proptest::collection::vec(0..12_usize, 0..4), 0..5_usize, 0..5_usize),
                0..6,
            ),
            1..6,
        ),
    ) {
        let banks = ["IBTF", "ELSE"].map(bank);
        let refs: Vec<_> = (0..6).flat_map(|i| [number(&i.to_string()), exid(&i.to_string())]).collect();
        let pans: Vec<_> = (0..5).map(|i| format!("412345678901234{i}")).collect();
        let home = tempfile::tempdir().unwrap();
        let keys = StoreKeys::generate().unwrap();
        let embedded = EmbeddedStore::create(home.path().join("cards"), &keys).unwrap();
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
            prop_assert_eq!(embedded.put_many(&new).unwrap(), obvious.put_many(&new).unwrap());
        }
        for bank in &banks {
            for card in &refs {
                prop_assert_eq!(
                    embedded.resolve(bank, card).unwrap(),
                    obvious.resolve(bank, card).unwrap()
                );
            }
        }
        prop_assert_eq!(embedded.check().unwrap(), obvious.check().unwrap());
    }
}
