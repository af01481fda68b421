//! A keyring of 10,000 keys: how long it takes to load, and to find the key for a card.
//!
//! The target: loaded in under a second, a PAN routed in under 200 ns.
#![allow(missing_docs, reason = "criterion's macros make public functions without any")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot set itself up has failed")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use cvv2::{Expiry, Pan};
use cvv2_keyring::{KeyEntry, Keyring, Kind};
use support::{bins, day, entry, kbpk, text, token};

const KEYS: u32 = 10_000;
/// Enough cards that the processor does not learn their way through the search.
const CARDS: u32 = 4096;

criterion_group!(benches, load, route);
criterion_main!(benches);

fn load(c: &mut Criterion) {
    let (text, kbpk) = (keyring(), kbpk());
    let mut group = c.benchmark_group("load");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    group.throughput(Throughput::Elements(u64::from(KEYS)));
    group.bench_function("10000 keys", |b| {
        b.iter_with_large_drop(|| Keyring::parse(&text, &kbpk).unwrap());
    });
}

fn route(c: &mut Criterion) {
    let keyring = Keyring::parse(&keyring(), &kbpk()).unwrap();
    let expiry = Expiry::parse_yymm("3001").unwrap();
    let on = day(200);
    let mut random = 1_u64;
    let cards: Vec<Pan> = (0..CARDS)
        .map(|_| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let bin = 400_000 + (random >> 33) % 4000;
            Pan::parse(&format!("{bin}{:010}", (random >> 20) % 10_000_000_000)).unwrap()
        })
        .collect();
    assert!(cards.iter().all(|pan| keyring.in_force(pan, Kind::Cvv2, &expiry, on).is_ok()));

    let mut group = c.benchmark_group("route");
    let mut next = cards.iter().cycle();
    group.bench_function("in force", |b| {
        b.iter(|| {
            let pan = black_box(next.next().unwrap());
            black_box(keyring.in_force(pan, Kind::Cvv2, &expiry, on).unwrap().cvk);
        });
    });
    group.bench_function("verifying", |b| {
        b.iter(|| {
            let pan = black_box(next.next().unwrap());
            keyring.verifying(pan, Kind::Cvv2, &expiry, on).count()
        });
    });
}

/// 4,000 BINs of six digits, half of which keep one of eight digits apart; and for each BIN of six a
/// successor.
fn keyring() -> String {
    let kbpk = kbpk();
    let entries: Vec<KeyEntry> = (0..KEYS)
        .map(|number| {
            let bin = 400_000 + number % 4000;
            let key = entry(&format!("k{number}"), number, &kbpk);
            match number / 4000 {
                0 => KeyEntry { bins: bins(&[&bin.to_string()]), ..key },
                1 => KeyEntry {
                    bins: bins(&[&bin.to_string()]),
                    predecessor: Some(token(&format!("k{}", number - 4000))),
                    from: day(100),
                    ..key
                },
                _ => KeyEntry { bins: bins(&[&format!("{bin}42")]), ..key },
            }
        })
        .collect();
    text(&entries, &kbpk)
}
