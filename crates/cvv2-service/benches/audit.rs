//! How long a record takes: to be handed over, and to be on disk, with one, 64 and 512 under way at
//! once.
//!
//! `CVV2_BENCH_AUDIT=/some/disk cargo bench -p cvv2-service --bench audit` writes on another disk than
//! that of the temporary directory; on `/dev/shm` it shows what the processor takes.
#![allow(missing_docs, reason = "criterion's macros make public functions without any")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot set itself up has failed")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, fs};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use cvv2::secret::{Protection, Secret};
use cvv2_resolver::MemoryStore;
use cvv2_service::audit::{
    AuditLog, AuditOptions, Pending, Record, RequestRecord, Verifier, log_files,
};
use cvv2_service::envelope::Function;
use cvv2_service::{
    CardServices, Cause, KeyringSource, Outcome, ServiceKey, Settings, SystemClock,
};
use time::OffsetDateTime;

/// The published request.
const REQUEST: &[u8] = include_bytes!("../tests/data/request.json");

criterion_group!(benches, hand_over, commit, verify);
criterion_main!(benches);

/// What the caller's thread spends on a record.
fn hand_over(c: &mut Criterion) {
    let home = home();
    let log = open(&home);
    let outcome = outcome();
    let record = record(&outcome);
    c.benchmark_group("audit").throughput(Throughput::Elements(1)).bench_function("append", |b| {
        b.iter_custom(|count| {
            let mut spent = Duration::ZERO;
            for start in (0..count).step_by(512) {
                let mut pending = Vec::with_capacity(512);
                let began = Instant::now();
                for _ in start..count.min(start + 512) {
                    pending.push(log.append(black_box(&record)));
                }
                spent += began.elapsed();
                all_on_disk(pending);
            }
            spent
        });
    });
}

/// From the first of so many records to the last of them on disk.
fn commit(c: &mut Criterion) {
    let home = home();
    let log = open(&home);
    let outcome = outcome();
    let record = record(&outcome);
    let mut group = c.benchmark_group("audit/commit");
    for count in [1, 64, 512] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(count.to_string(), |b| {
            b.iter(|| all_on_disk((0..count).map(|_| log.append(black_box(&record))).collect()));
        });
    }
}

/// A line of a log that is verified.
fn verify(c: &mut Criterion) {
    let home = home();
    let log = open(&home);
    let outcome = outcome();
    let record = record(&outcome);
    for _ in 0..20 {
        all_on_disk((0..512).map(|_| log.append(&record)).collect());
    }
    log.close().unwrap();
    let file = log_files(&home.path().join("log")).unwrap().pop().unwrap();
    let bytes = fs::read(&file).unwrap();
    let mut group = c.benchmark_group("audit");
    group.throughput(Throughput::Elements(20 * 512));
    group.bench_function("verify", |b| {
        b.iter(|| {
            let files = [(file.clone(), Ok(black_box(&bytes[..])))];
            assert_eq!(Verifier::new(&key()).unwrap().run(files).unwrap().records, 20 * 512);
        });
    });
}

fn all_on_disk(pending: Vec<Pending>) {
    for pending in pending {
        pending.wait().unwrap();
    }
}

fn home() -> tempfile::TempDir {
    match env::var_os("CVV2_BENCH_AUDIT") {
        Some(place) => tempfile::tempdir_in(place).unwrap(),
        None => tempfile::tempdir().unwrap(),
    }
}

fn key() -> ServiceKey {
    ServiceKey::new(Secret::new([7; 32], Protection::Wiped).unwrap())
}

fn open(home: &tempfile::TempDir) -> AuditLog {
    AuditLog::open(&AuditOptions::new(home.path().join("log")), &key(), SystemClock).unwrap()
}

/// What the service makes of a request: every member of the record has something to say.
fn outcome() -> Outcome {
    let keys = Arc::new(KeyringSource::locked(Vec::new()));
    let store = Arc::new(MemoryStore::new());
    let services = CardServices::new(Settings::default(), store, keys, SystemClock).unwrap();
    services.refuse(Function::GetCvv2, REQUEST, Cause::NoSuchPlastic).outcome
}

fn record(outcome: &Outcome) -> Record<'_> {
    Record::from(RequestRecord {
        time: OffsetDateTime::now_utc(),
        caller: Some("ivr.north"),
        client: Some("5f2c9f1e-7a43-4b0e-9d0b-0d6b7c1a2e3f"),
        outcome,
        origin: Some("192.0.2.17:50123".parse().unwrap()),
        duration: Duration::from_micros(812),
    })
}
