//! How long a charge takes: in memory, and until the disk has it.
//!
//! `cargo bench -p cvv2-service --bench limits`
#![allow(missing_docs, reason = "criterion's macros make public functions without any")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot set itself up has failed")]

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use cvv2_service::CardKey;
use cvv2_service::limits::{LimitPolicy, Limits};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

/// Cards that are charged in turn.
const CARDS: u64 = 100_000;

criterion_group!(benches, charge, durable);
criterion_main!(benches);

/// In memory; the journal is written meanwhile.
fn charge(c: &mut Criterion) {
    let home = Home::new();
    let mut group = c.benchmark_group("charge");
    group.throughput(Throughput::Elements(1));
    let next = AtomicU64::new(0);
    group.bench_function("admit", |b| {
        b.iter(|| home.limits.admit(black_box("ivr"), home.now(&next)).unwrap());
    });
    group.bench_function("generate", |b| {
        b.iter(|| {
            let (card, now) = (home.card(&next), home.now(&next));
            home.limits.charge_generate(black_box("ivr"), card, now).unwrap();
        });
    });
    group.bench_function("verify, and it matched", |b| {
        b.iter(|| {
            let (card, now) = (home.card(&next), home.now(&next));
            home.limits.charge_verify(black_box("ivr"), card, now).unwrap().matched().unwrap();
        });
    });
    let card = CardKey::from_bytes([255; CardKey::LEN]);
    let now = home.now(&next);
    while home.limits.charge_generate("ivr", card, now).is_ok() {}
    group.bench_function("refused", |b| {
        b.iter(|| home.limits.charge_generate(black_box("ivr"), card, now).unwrap_err());
    });
}

/// One request: the caller and a card are charged, and the disk has it.
fn durable(c: &mut Criterion) {
    let home = Home::new();
    let next = AtomicU64::new(0);
    let request = || {
        let (card, now) = (home.card(&next), home.now(&next));
        home.limits.admit("ivr", now).unwrap();
        home.limits.charge_generate("ivr", card, now).unwrap();
        home.limits.durable()
    };
    let mut group = c.benchmark_group("durable");
    group.throughput(Throughput::Elements(1)).sample_size(20);
    group.bench_function("one at a time", |b| b.iter(|| request().wait().unwrap()));
    // As many as there are on a server: each thread has some of them under way.
    for tickets in [64, 1024] {
        group.bench_function(format!("{tickets} at a time"), |b| {
            b.iter_custom(|requests| {
                let left = AtomicU64::new(requests);
                let take = |left: u64| left.checked_sub(1);
                let start = Instant::now();
                thread::scope(|scope| {
                    for _ in 0..2 {
                        scope.spawn(|| {
                            let mut under_way = Vec::with_capacity(tickets / 2);
                            let mut is_done = false;
                            while !is_done {
                                while under_way.len() < tickets / 2 {
                                    let relaxed = Ordering::Relaxed;
                                    is_done = left.fetch_update(relaxed, relaxed, take).is_err();
                                    if is_done {
                                        break;
                                    }
                                    under_way.push(request());
                                }
                                under_way.drain(..).for_each(|ticket| ticket.wait().unwrap());
                            }
                        });
                    }
                });
                start.elapsed()
            });
        });
    }
}

/// Limits in a directory that goes with them.
struct Home {
    limits: Limits,
    start: OffsetDateTime,
    _dropped_with_it: TempDir,
}

impl Home {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let policy = LimitPolicy {
            caller_requests_per_minute: 1_000_000,
            card_generates_per_day: 1000,
            card_requests_per_day: 1000,
            card_charges_max: 100_000_000,
            ..LimitPolicy::default()
        };
        let limits = Limits::open(home.path().join("limits"), policy).unwrap();
        Self { limits, start: OffsetDateTime::now_utc(), _dropped_with_it: home }
    }

    /// A card after the other, in no order.
    #[expect(clippy::unused_self, reason = "as `now`")]
    fn card(&self, next: &AtomicU64) -> CardKey {
        let number = next.fetch_add(1, Ordering::Relaxed) % CARDS;
        let hash = u128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        CardKey::from_bytes(hash.to_le_bytes())
    }

    /// Ten thousand requests a second, so that no limit is reached.
    fn now(&self, next: &AtomicU64) -> OffsetDateTime {
        let number = next.fetch_add(1, Ordering::Relaxed);
        self.start + Duration::microseconds(i64::try_from(number * 100).unwrap())
    }
}
