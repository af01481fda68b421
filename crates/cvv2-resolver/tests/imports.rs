//! Imports: what becomes of a file, in every store, and after every interruption.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use cvv2::{Expiry, Pan};
use cvv2_resolver::{
    BankId, CardImport, CardRecord, CardRef, CardStatus, CardStore, ContractNumber, EmbeddedStore,
    Exid, ExidForm, HeaderError, ImportError, ImportOptions, ImportWatcher, MemoryStore, NewCard,
    Plastic, RefusedRow, StoreKeys, dry_run,
};
use proptest::collection;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

#[macro_use]
mod every_store;
#[cfg(feature = "postgres")]
mod postgres_server;

use every_store::{OnEmptyStore, on_embedded};

const HEADER: &str = "bank,exid,contract_number,pan,expiry,sequence,status,plastic_status\n";

on_every_store! {
    every_column_gets_where_it_belongs,
    a_later_row_replaces_the_card_and_adds_its_references,
    a_row_with_a_reference_of_another_card_is_refused_with_its_number,
    each_of_twenty_kinds_of_bad_rows_has_its_reason_and_the_good_rows_are_in,
    a_file_that_is_no_import_file_is_refused_as_a_whole,
    strict_exids_and_other_delimiters_are_a_matter_of_options,
}

/// The rows that were refused: number, field, reason.
#[derive(Default)]
struct Refused(Vec<(u64, String, String)>);

impl ImportWatcher for Refused {
    fn refused(&mut self, refused: &RefusedRow<'_>) -> io::Result<()> {
        self.0.push((refused.row, refused.field.to_owned(), refused.reason.to_owned()));
        Ok(())
    }
}

type Outcome = (u64, u64, Vec<(u64, String, String)>);

/// Imports a file: how many cards were added and replaced, and what was refused.
fn import(store: &dyn CardImport, text: &str) -> Outcome {
    let mut refused = Refused::default();
    let options = ImportOptions::default();
    let summary = store.import(&mut text.as_bytes(), &options, &mut refused).unwrap();
    assert_eq!(summary.refused, refused.0.len() as u64);
    assert!(!summary.continued);
    (summary.added, summary.replaced, refused.0)
}

fn failure(store: &dyn CardImport, text: &[u8]) -> ImportError {
    let options = ImportOptions::default();
    store.import(&mut &text[..], &options, &mut Refused::default()).unwrap_err()
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

fn plastic(yymm: &str, sequence: u8, status: CardStatus) -> Plastic {
    Plastic::new(Expiry::parse_yymm(yymm).unwrap(), sequence, status)
}

/// All cards of a store, in an order that does not depend on the store.
fn cards(store: &dyn CardStore) -> Vec<(BankId, Vec<String>, CardRecord)> {
    let mut cards = Vec::new();
    let visited = store.each_card(&mut |bank, refs, record| {
        let refs = refs.iter().map(|card| format!("{} {}", card.kind(), card.expose())).collect();
        cards.push((*bank, refs, record.clone()));
        ControlFlow::Continue(())
    });
    visited.unwrap();
    cards.sort_by_key(|(bank, _, record)| (*bank, record.pan().expose().to_owned()));
    cards
}

fn every_column_gets_where_it_belongs(store: &dyn CardImport) {
    let file = format!(
        "{HEADER}\
         IBTF,99984100148297467162,C-1 4123456789012345,4123456789012345,2701 3001,1 2,\
         blocked,closed active\n\
         ELSE,, C-1 ,\"5500005555555559\",2612,,,\n"
    );
    assert_eq!(import(store, &file), (2, 0, vec![]));
    let first = CardRecord::new(
        Pan::parse("4123456789012345").unwrap(),
        CardStatus::Blocked,
        vec![plastic("2701", 1, CardStatus::Closed), plastic("3001", 2, CardStatus::Active)],
    )
    .unwrap();
    for card in [exid("99984100148297467162"), number("C-1"), number("4123456789012345")] {
        assert_eq!(store.resolve(&bank("IBTF"), &card).unwrap().as_ref(), Some(&first));
    }
    let second = store.resolve(&bank("ELSE"), &number("C-1")).unwrap().unwrap();
    assert_eq!(second.plastics(), [plastic("2612", 0, CardStatus::Active)]);
    let report = store.check().unwrap();
    assert_eq!((report.cards, report.references, report.is_sound()), (2, 4, true));
}

fn a_later_row_replaces_the_card_and_adds_its_references(store: &dyn CardImport) {
    let file = format!(
        "{HEADER}\
         IBTF,E1,C1,4123456789012345,2701,,,\n\
         IBTF,E2,C2,4123456789012346,2701,,,\n\
         IBTF,E1,C3,4123456789012345,3001,,lost,\n"
    );
    assert_eq!(import(store, &file), (2, 1, vec![]));
    for card in [exid("E1"), number("C1"), number("C3")] {
        let found = store.resolve(&bank("IBTF"), &card).unwrap().unwrap();
        assert_eq!(found.status(), CardStatus::Lost);
    }
    // The very same file again changes nothing in the end.
    let before = cards(store);
    assert_eq!(import(store, &file), (0, 3, vec![]));
    assert_eq!(cards(store), before);
    assert!(store.check().unwrap().is_sound());
}

fn a_row_with_a_reference_of_another_card_is_refused_with_its_number(store: &dyn CardImport) {
    let file = format!("{HEADER}IBTF,E1,C1,4123456789012345,2701,,,\n");
    assert_eq!(import(store, &file), (1, 0, vec![]));
    let file = format!(
        "{HEADER}\
         IBTF,E2,C1,4123456789012346,2701,,,\n\
         IBTF,E1,C4,4123456789012347,2701,,,\n\
         IBTF,E2,C2,4123456789012348,2701,,,\n\
         IBTF,E3,C2,4123456789012349,2701,,,\n\
         ELSE,E1,C1,4123456789012346,2701,,,\n"
    );
    let (added, replaced, refused) = import(store, &file);
    assert_eq!((added, replaced), (2, 0), "E2 is free, because row 2 was refused");
    let taken = |row, field: &str, what| {
        (row, field.to_owned(), format!("the {what} belongs to another card of the bank"))
    };
    assert_eq!(
        refused,
        [
            taken(2, "contract_number", "contract number"),
            taken(3, "exid", "EXID"),
            taken(5, "contract_number", "contract number"),
        ]
    );
    assert!(store.resolve(&bank("IBTF"), &number("C4")).unwrap().is_none());
    assert!(store.check().unwrap().is_sound());
}

fn each_of_twenty_kinds_of_bad_rows_has_its_reason_and_the_good_rows_are_in(
    store: &dyn CardImport,
) {
    let long = (0..65).map(|i| format!("N{i}")).collect::<Vec<_>>().join(" ");
    let good = |n: usize| format!("IBTF,E{n},C{n},41234567{n:08},2701,1,active,\n");
    let pan = "4999988887777000";
    let refs = "E-Y,C-Y";
    let bad: Vec<(Vec<u8>, &str, &str)> = [
        (format!("IB-F,{refs},{pan},2701,,,"), "bank", "character 3 of the bank's code"),
        (format!(",{refs},{pan},2701,,,"), "bank", "the bank's code has 0 characters"),
        (format!("IBTF,{refs},4999988887,2701,,,"), "pan", "the PAN has 10 digits"),
        (format!("IBTF,{refs},49999888877770001234,2701,,,"), "pan", "the PAN has 20 digits"),
        (format!("IBTF,{refs},4999988887777OOO,2701,,,"), "pan", "character 14 of the PAN"),
        (format!("IBTF,{refs},{pan},0127,,,"), "expiry", ""),
        (format!("IBTF,{refs},{pan},27-01,,,"), "expiry", "character 3"),
        (format!("IBTF,{refs},{pan},270,,,"), "expiry", ""),
        (format!("IBTF,{refs},{pan},,,,"), "expiry", "the card has 0 plastics"),
        (
            format!("IBTF,{refs},{pan},{},,,", ["2701"; 9].join(" ")),
            "expiry",
            "the card has 9 plastics",
        ),
        (format!("IBTF,E Y,C-Y,{pan},2701,,,"), "exid", "character 2 of the EXID is a blank"),
        (format!("IBTF,,,{pan},2701,,,"), "exid", "neither exid nor contract_number"),
        (
            format!("IBTF,,411111XXXXXX1111,{pan},2701,,,"),
            "contract_number",
            "the contract number is masked from character 7",
        ),
        (
            format!("IBTF,,{},{pan},2701,,,", "9".repeat(33)),
            "contract_number",
            "the contract number has 33 characters",
        ),
        (format!("IBTF,,{long},{pan},2701,,,"), "contract_number", "65 identifiers"),
        (format!("IBTF,{refs},{pan},2701,,expired,"), "status", "the status is none of"),
        (format!("IBTF,{refs},{pan},2701,256,,"), "sequence", "not a number 0 to 255"),
        (format!("IBTF,{refs},{pan},2701 3001,1,,"), "sequence", "as many as expiries"),
        (format!("IBTF,{refs},{pan},2701,,,gone"), "plastic_status", "the status is none of"),
        (format!("IBTF,{refs},{pan},2701,,,lost lost"), "plastic_status", "as many as expiries"),
        (format!("IBTF,{refs},{pan},2701,,"), "row", "7 fields where the header row has 8"),
        (format!("IBTF,{refs},{pan},2701,,,,"), "row", "9 fields where the header row has 8"),
        (format!("\"IBTF\"x,{refs},{pan},2701,,,"), "row", "a quote is not closed"),
        (format!("IBTF,E1,C-Y,{pan},2701,,,"), "exid", "the EXID belongs to another card"),
        (
            format!("IBTF,E-Y,C1,{pan},2701,,,"),
            "contract_number",
            "the contract number belongs to another card",
        ),
    ]
    .into_iter()
    .map(|(row, field, reason)| (row.into_bytes(), field, reason))
    .chain([(b"IBTF,E-Y,C-\xE4,4999988887777000,2701,,,".to_vec(), "row", "not UTF-8")])
    .collect();
    assert!(bad.len() >= 20);

    // One bad row for each hundred rows, each kind once.
    let mut file = HEADER.as_bytes().to_vec();
    let mut expected = Vec::new();
    let mut row = 1;
    for n in 0..100 * bad.len() {
        row += 1;
        if n % 100 == 50 {
            let (text, field, reason) = &bad[n / 100 % bad.len()];
            file.extend_from_slice(text);
            file.push(b'\n');
            expected.push((row, *field, *reason));
        } else {
            file.extend_from_slice(good(n).as_bytes());
        }
    }
    // Row 3 has the references that two kinds of bad rows claim.
    assert!(file.windows(7).any(|w| w == b"E1,C1,4"));

    let mut refused = Refused::default();
    let options = ImportOptions::default();
    let summary = store.import(&mut &file[..], &options, &mut refused).unwrap();
    let goods = row - 1 - expected.len() as u64;
    assert_eq!((summary.added, summary.replaced), (goods, 0));
    assert_eq!(refused.0.len(), expected.len());
    for ((row, field, reason), expected) in refused.0.iter().zip(&expected) {
        assert_eq!((*row, field.as_str()), (expected.0, expected.1), "{reason}");
        assert!(reason.contains(expected.2), "row {row}: {reason}");
        assert!(!reason.contains("49999") && !reason.contains("411111"), "{reason}");
    }
    assert_eq!(store.len().unwrap(), goods);
    assert!(store.check().unwrap().is_sound());
    for n in (0..100 * bad.len()).filter(|n| n % 100 != 50) {
        for card in [exid(&format!("E{n}")), number(&format!("C{n}"))] {
            let found = store.resolve(&bank("IBTF"), &card).unwrap().unwrap();
            assert_eq!(found.pan().expose(), format!("41234567{n:08}"));
        }
    }
    assert!(store.resolve(&bank("IBTF"), &exid("E-Y")).unwrap().is_none());

    // A dry run finds all but what only a store can know.
    let mut refused = Refused::default();
    let options = ImportOptions::default();
    let summary = dry_run(&mut &file[..], &options, &mut refused).unwrap();
    assert_eq!(summary.refused, expected.len() as u64 - 2);
}

fn a_file_that_is_no_import_file_is_refused_as_a_whole(store: &dyn CardImport) {
    let utf16: Vec<u8> = HEADER.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let error = failure(store, &utf16);
    assert!(matches!(error, ImportError::Header(HeaderError::Utf16)), "{error}");
    let error = failure(store, b"");
    assert!(matches!(error, ImportError::Header(_)), "{error}");
    let open = format!("{HEADER}IBTF,E1,C1,4123456789012345,2701,,,\n\"IBTF,E2\n");
    let error = failure(store, open.as_bytes());
    assert!(matches!(error, ImportError::OpenQuote { row: 3 }), "{error}");
    for delimiter in *b"\"a0 \n\xE4" {
        let mut options = ImportOptions::default();
        options.delimiter = delimiter;
        let refused = &mut Refused::default();
        let error = store.import(&mut HEADER.as_bytes(), &options, refused).unwrap_err();
        assert!(matches!(error, ImportError::Delimiter), "{error}");
    }
}

fn strict_exids_and_other_delimiters_are_a_matter_of_options(store: &dyn CardImport) {
    let mut options = ImportOptions::default();
    options.delimiter = b'\t';
    options.exid_form = ExidForm::Strict;
    let file = "bank\tpan\texpiry\texid\n\
                IBTF\t4123456789012345\t2701\t99984100148297467162\n\
                IBTF\t4123456789012346\t2701\t99984100148297467163\n";
    let mut refused = Refused::default();
    let summary = store.import(&mut file.as_bytes(), &options, &mut refused).unwrap();
    assert_eq!((summary.added, summary.refused), (1, 1));
    assert_eq!((refused.0[0].0, refused.0[0].1.as_str()), (3, "exid"));
}

/// Fails when it has given so many bytes.
struct Broken<'t>(&'t [u8], usize);

impl Read for Broken<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.1 == 0 {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let len = into.len().min(self.1);
        let read = self.0.read(&mut into[..len])?;
        self.1 -= read;
        Ok(read)
    }
}

fn broken(text: &str) -> Broken<'_> {
    Broken(text.as_bytes(), text.len() - 100)
}

/// A file that is not read at once.
fn many_rows() -> String {
    let row = |n| format!("IBTF,E{n},C{n},41234567{n:08},2701,,,\n");
    (0..10_000).map(row).fold(HEADER.to_owned(), |file, row| file + &row)
}

fn an_input_that_breaks_off_stores_nothing_and_can_be_given_again(store: &dyn CardImport) {
    let other = format!("{HEADER}IBTF,E1,C1,4123456789012346,2701,,,\n");
    let refused = &mut Refused::default();
    let options = ImportOptions::default();
    let error = store.import(&mut broken(&many_rows()), &options, refused).unwrap_err();
    assert!(matches!(error, ImportError::Input(_)), "{error}");
    assert!(store.is_empty().unwrap());
    // Nothing but the header row was written down as read, so another file is as good.
    let summary = store.import(&mut other.as_bytes(), &options, refused).unwrap();
    assert_eq!((summary.added, summary.continued), (1, true));
    // And what is done is done.
    let summary = store.import(&mut other.as_bytes(), &options, refused).unwrap();
    assert_eq!((summary.replaced, summary.continued), (1, false));
}

fn a_watcher_that_fails_is_told_again_and_nothing_is_stored_twice(store: &dyn CardImport) {
    struct Full;
    impl ImportWatcher for Full {
        fn refused(&mut self, _: &RefusedRow<'_>) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }
    let file = format!("{HEADER}IBTF,E1,C1,4123456789012345,2701,,,\nIBTF,E1,C1,1,2701,,,\n");
    let options = ImportOptions::default();
    let error = store.import(&mut file.as_bytes(), &options, &mut Full).unwrap_err();
    assert!(matches!(error, ImportError::Watcher(_)), "{error}");

    let other = format!("{HEADER}IBTF,E1,C1,4123456789012346,2701,,,\n");
    let error = failure(store, other.as_bytes());
    assert!(matches!(error, ImportError::Unfinished { is_storing: true }), "{error}");
    let longer = format!("{file}IBTF,E3,C3,4123456789012347,2701,,,\n");
    let error = failure(store, longer.as_bytes());
    assert!(matches!(error, ImportError::Unfinished { is_storing: true }), "{error}");

    let refused = &mut Refused::default();
    let summary = store.import(&mut file.as_bytes(), &options, refused).unwrap();
    assert_eq!((summary.added, summary.replaced, summary.continued), (1, 0, true));
    assert_eq!((summary.refused, refused.0.len()), (1, 1));
}

fn an_import_that_was_cut_short_can_be_forgotten(store: &dyn CardImport) {
    let refused = &mut Refused::default();
    let mut options = ImportOptions::default();
    store.import(&mut broken(&many_rows()), &options, refused).unwrap_err();

    let another = "pan,exid,bank,expiry\n4123456789012346,E1,IBTF,2701\n";
    let error = failure(store, another.as_bytes());
    assert!(matches!(error, ImportError::Unfinished { is_storing: false }), "{error}");
    options.begin_anew = true;
    let summary = store.import(&mut another.as_bytes(), &options, refused).unwrap();
    assert_eq!((summary.added, summary.continued), (1, false));
}

fn a_store_grows_by_imports_of_any_size_and_readers_go_along(store: &dyn CardImport) {
    let rows = |range: std::ops::Range<u32>| {
        let row = |n| format!("IBTF,E{n},C{n},41234567{n:08},2701,,,\n");
        range.map(row).fold(HEADER.to_owned(), |file, row| file + &row)
    };
    let holds = |n: u32| {
        store.resolve(&bank("IBTF"), &exid(&format!("E{n}"))).unwrap().is_some()
            && store.resolve(&bank("IBTF"), &number(&format!("C{n}"))).unwrap().is_some()
    };
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // What was found once is found from then on.
            let mut found = 0;
            while !is_done.load(Ordering::Relaxed) {
                while holds(found) {
                    found += 1;
                }
                assert!((0..found).all(holds));
            }
        });
        // Empty, larger than the store, smaller, so small that nothing is written anew.
        for (range, added, replaced) in
            [(0..100, 100, 0), (100..600, 500, 0), (590..700, 100, 10), (699..703, 3, 1)]
        {
            assert_eq!(import(store, &rows(range)), (added, replaced, vec![]));
            assert!(store.check().unwrap().is_sound());
        }
        is_done.store(true, Ordering::Relaxed);
    });
    assert!((0..703).all(holds) && store.len().unwrap() == 703);
}

mod lasting {
    use super::{
        a_store_grows_by_imports_of_any_size_and_readers_go_along,
        a_watcher_that_fails_is_told_again_and_nothing_is_stored_twice,
        an_import_that_was_cut_short_can_be_forgotten,
        an_input_that_breaks_off_stores_nothing_and_can_be_given_again,
    };

    on_lasting_stores! {
        a_store_grows_by_imports_of_any_size_and_readers_go_along,
        a_watcher_that_fails_is_told_again_and_nothing_is_stored_twice,
        an_import_that_was_cut_short_can_be_forgotten,
        an_input_that_breaks_off_stores_nothing_and_can_be_given_again,
    }
}

#[test]
fn an_import_into_the_embedded_store_leaves_nothing_behind_that_is_not_needed() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("cards");
    let keys = StoreKeys::generate().unwrap();
    let store = EmbeddedStore::create(&place, &keys).unwrap();
    let options = ImportOptions::default();
    let refused = &mut Refused::default();
    store.import(&mut broken(&many_rows()), &options, refused).unwrap_err();
    assert!(place.join("import").exists());
    assert_eq!(store.import(&mut many_rows().as_bytes(), &options, refused).unwrap().added, 10_000);
    assert!(!place.join("import").exists());
    drop(store);
    let store = EmbeddedStore::open(&place, &keys).unwrap();
    assert_eq!(store.len().unwrap(), 10_000);
    assert!(store.check().unwrap().is_sound());
}

/// One row: bank, EXID, contract numbers, PAN, status, by number.
type Row = (usize, Option<usize>, Vec<usize>, usize, usize);

fn row() -> impl Strategy<Value = Row> {
    // Few of everything, so that rows get into each other's way.
    (0..2_usize, proptest::option::of(0..6_usize), collection::vec(0..6_usize, 0..3)).prop_flat_map(
        |(bank, exid, numbers)| (Just(bank), Just(exid), Just(numbers), 0..8_usize, 0..5_usize),
    )
}

/// Rows that nothing else has to do with, some of them.
fn lonely_row() -> impl Strategy<Value = Row> {
    (0..2_usize, 10..60_usize, 0..5_usize)
        .prop_map(|(bank, n, status)| (bank, Some(n), vec![n], n, status))
}

const BANKS: [&str; 2] = ["IBTF", "ELSE"];

fn text_of(rows: &[Row]) -> String {
    rows.iter().fold(HEADER.to_owned(), |file, (bank, exid, numbers, pan, status)| {
        let exid = exid.map_or(String::new(), |exid| format!("E{exid}"));
        let numbers: Vec<_> = numbers.iter().map(|number| format!("C{number}")).collect();
        let status = CardStatus::ALL[*status];
        file + &format!(
            "{},{exid},{},41234567890123{pan:02},2701,,{status},\n",
            BANKS[*bank],
            numbers.join(" ")
        )
    })
}

/// An import comes to what putting the rows one by one comes to, whatever the rows are and whatever
/// was there before.
fn is_a_put_for_each_row(on_empty_store: OnEmptyStore) {
    let files = collection::vec(collection::vec(prop_oneof![row(), lonely_row()], 0..60), 1..4);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) };
    let tried =
        TestRunner::new(config).run(&(collection::vec(row(), 0..8), files), |(before, files)| {
            let mut outcome = Ok(());
            on_empty_store(&mut |store| outcome = compare_with_puts(store, &before, &files));
            outcome
        });
    tried.unwrap();
}

fn compare_with_puts(
    store: &dyn CardImport,
    before: &[Row],
    files: &[Vec<Row>],
) -> Result<(), TestCaseError> {
    let obvious = MemoryStore::new();
    for (bank_number, exid_number, numbers, pan, status) in before {
        let bank = bank(BANKS[*bank_number]);
        let refs: Vec<_> = numbers
            .iter()
            .map(|n| number(&format!("C{n}")))
            .chain(exid_number.map(|n| exid(&format!("E{n}"))))
            .collect();
        let plastics = vec![plastic("3001", 1, CardStatus::Active)];
        let pan = Pan::parse(&format!("41234567890123{pan:02}")).unwrap();
        let record = CardRecord::new(pan, CardStatus::ALL[*status], plastics).unwrap();
        let new = [NewCard { bank: &bank, refs: &refs, record: &record }];
        prop_assert_eq!(store.put_many(&new).unwrap(), obvious.put_many(&new).unwrap());
    }
    for rows in files {
        let file = text_of(rows);
        prop_assert_eq!(import(store, &file), import(&obvious, &file));
        prop_assert_eq!(store.check().unwrap(), obvious.check().unwrap());
        prop_assert_eq!(sorted(cards(store)), sorted(cards(&obvious)));
    }
    Ok(())
}

#[test]
fn an_import_into_the_embedded_store_is_a_put_for_each_row() {
    is_a_put_for_each_row(on_embedded);
}

#[test]
#[cfg(feature = "postgres")]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn an_import_into_the_postgres_store_is_a_put_for_each_row() {
    is_a_put_for_each_row(every_store::on_postgres);
}

/// The same cards with their references in an order of their own.
fn sorted(
    mut cards: Vec<(BankId, Vec<String>, CardRecord)>,
) -> Vec<(BankId, Vec<String>, CardRecord)> {
    for (_, refs, _) in &mut cards {
        refs.sort();
    }
    cards
}
