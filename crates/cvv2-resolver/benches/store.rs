//! How long a card store takes: look-ups, also while cards are imported, puts, and imports.
//!
//! `CVV2_BENCH_CARDS=10000000 cargo bench -p cvv2-resolver -- lookup` looks cards up among ten
//! million; without it there are a hundred thousand. Every figure beside its peer, in one long
//! run with percentiles: `examples/embedded.rs`.
#![allow(missing_docs, reason = "criterion's macros make public functions without any")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot set itself up has failed")]

use std::hint::black_box;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use cvv2::{Expiry, Pan};
use cvv2_resolver::{
    BankId, CardImport, CardRecord, CardRef, CardStatus, CardStore, EmbeddedStore, Exid, ExidForm,
    ImportOptions, ImportWatcher, Plastic, RefusedRow, StoreKeys, dry_run,
};
use tempfile::TempDir;

mod portfolio;

use portfolio::{BANK, Random, contract_number, exid, pan, write_csv};

/// Cards of an import that is measured.
const IMPORTED: u64 = 100_000;

criterion_group!(benches, lookup, lookup_while_importing, put, import);
criterion_main!(benches);

/// One card by its EXID, warm, one after the other at random.
fn lookup(c: &mut Criterion) {
    let home = Home::with_cards(cards());
    let bank = BankId::parse(BANK).unwrap();
    let mut group = c.benchmark_group("lookup");
    group.throughput(Throughput::Elements(1));
    // References are made beforehand: a request has one.
    let mut random = Random(1);
    let some: Vec<_> = (0..100_000).map(|_| by_exid(random.next() % cards())).collect();
    let mut turn = some.iter().cycle();
    group.bench_function("known", |b| {
        b.iter(|| {
            let reference = turn.next().expect("it goes round");
            assert!(home.store.resolve(&bank, black_box(reference)).unwrap().is_some());
        });
    });
    let unknown = contract_number(cards() + 1);
    group.bench_function("unknown", |b| {
        b.iter(|| assert!(home.store.resolve(&bank, black_box(&unknown)).unwrap().is_none()));
    });
    let other = BankId::parse("ELSE").unwrap();
    group.bench_function("of another bank", |b| {
        b.iter(|| assert!(home.store.resolve(&other, black_box(&some[0])).unwrap().is_none()));
    });
}

/// The same on this thread and one more, while a third imports one file after the other.
fn lookup_while_importing(c: &mut Criterion) {
    let home = Home::with_cards(cards());
    let bank = BankId::parse(BANK).unwrap();
    let is_done = AtomicBool::new(false);
    let mut random = Random(1);
    let some: Vec<_> = (0..100_000).map(|_| by_exid(random.next() % cards())).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut first = cards();
            while !is_done.load(Ordering::Relaxed) {
                home.import(first..first + IMPORTED);
                first += IMPORTED;
            }
        });
        scope.spawn(|| {
            for reference in some.iter().cycle() {
                assert!(home.store.resolve(&bank, reference).unwrap().is_some());
                if is_done.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let mut turn = some.iter().cycle();
        c.benchmark_group("lookup").throughput(Throughput::Elements(1)).bench_function(
            "known, beside a reader and an import",
            |b| {
                b.iter(|| {
                    let reference = turn.next().expect("it goes round");
                    assert!(home.store.resolve(&bank, reference).unwrap().is_some());
                });
            },
        );
        is_done.store(true, Ordering::Relaxed);
    });
}

/// One card, durably, by one thread and by several that share commits.
fn put(c: &mut Criterion) {
    let home = Home::with_cards(1000);
    let bank = BankId::parse(BANK).unwrap();
    let next = AtomicU64::new(1000);
    let put = || {
        let card = next.fetch_add(1, Ordering::Relaxed);
        home.store.put(&bank, &[by_exid(card), contract_number(card)], &record(card)).unwrap();
    };
    let mut group = c.benchmark_group("put");
    group.throughput(Throughput::Elements(1)).sample_size(10);
    group.bench_function("one thread", |b| b.iter(put));
    for threads in [8, 64] {
        group.bench_function(format!("{threads} threads"), |b| {
            b.iter_custom(|puts| {
                let left = AtomicU64::new(puts);
                let start = Instant::now();
                std::thread::scope(|scope| {
                    for _ in 0..threads {
                        scope.spawn(|| {
                            let take = |left: u64| left.checked_sub(1);
                            let relaxed = Ordering::Relaxed;
                            while left.fetch_update(relaxed, relaxed, take).is_ok() {
                                put();
                            }
                        });
                    }
                });
                start.elapsed()
            });
        });
    }
}

/// A file into an empty store, the same file once more, and only reading it.
fn import(c: &mut Criterion) {
    let mut file = Vec::new();
    write_csv(&mut file, 0..IMPORTED).unwrap();
    let mut group = c.benchmark_group("import");
    group.throughput(Throughput::Elements(IMPORTED)).sample_size(10);
    group.measurement_time(Duration::from_secs(10));
    let options = ImportOptions::default();
    group.bench_function("dry run", |b| {
        b.iter(|| dry_run(&mut black_box(&file[..]), &options, &mut NobodyCares).unwrap());
    });
    group.bench_function("into an empty store", |b| {
        b.iter_with_setup(Home::new, |home| {
            home.store.import(&mut &file[..], &options, &mut NobodyCares).unwrap();
            home
        });
    });
    let home = Home::with_cards(IMPORTED);
    group.bench_function("in place of the same cards", |b| {
        b.iter(|| home.store.import(&mut &file[..], &options, &mut NobodyCares).unwrap());
    });
}

/// How many cards the store of a look-up has.
fn cards() -> u64 {
    std::env::var("CVV2_BENCH_CARDS").map_or(IMPORTED, |cards| cards.parse().unwrap())
}

fn by_exid(card: u64) -> CardRef {
    Exid::parse(&exid(card), ExidForm::Strict).unwrap().into()
}

fn record(card: u64) -> CardRecord {
    let plastic = Plastic::new(Expiry::parse_yymm("2701").unwrap(), 1, CardStatus::Active);
    CardRecord::new(Pan::parse(&pan(card)).unwrap(), CardStatus::Active, vec![plastic]).unwrap()
}

struct NobodyCares;

impl ImportWatcher for NobodyCares {
    fn refused(&mut self, refused: &RefusedRow<'_>) -> io::Result<()> {
        panic!("{refused:?}");
    }
}

/// A store in a directory that goes with it.
struct Home {
    store: EmbeddedStore,
    _dropped_with_it: TempDir,
}

impl Home {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let directory: PathBuf = home.path().join("cards");
        let store = EmbeddedStore::create(directory, &StoreKeys::generate().unwrap()).unwrap();
        Self { store, _dropped_with_it: home }
    }

    fn with_cards(cards: u64) -> Self {
        let home = Self::new();
        home.import(0..cards);
        home
    }

    fn import(&self, cards: std::ops::Range<u64>) {
        let mut csv = Vec::new();
        write_csv(&mut csv, cards).unwrap();
        self.store.import(&mut &csv[..], &ImportOptions::default(), &mut NobodyCares).unwrap();
    }
}
