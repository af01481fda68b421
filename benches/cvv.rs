//! How long a card verification value takes: one card, batches, key set-up and packing, on every
//! kernel of this machine.
//!
//! `cargo bench --bench cvv -- one_card` runs one group. Compare ratios of one run, not times of two
//! runs: the kernel named `reference` (RustCrypto's `des`) is the peer in each group. The same
//! groups beside OpenSSL are in `checks/openssl`.
#![allow(missing_docs, reason = "criterion's macros make public functions without any")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot set itself up has failed")]

use std::hint::black_box;
use std::num::NonZeroUsize;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use cvv2::{
    CvkPair, Cvv, CvvLength, Expiry, ExpiryOrder, Grouping, Kernel, PackedCard, Pan, Policy,
    ServiceCode, hazmat,
};

const KEY: &str = "0123456789ABCDEFFEDCBA9876543210";
/// 64 MiB of packed cards: more than any cache of today's processors.
const STREAM: usize = 4 << 20;
/// The reference takes microseconds a card; a larger batch shows nothing new of it.
const REFERENCE_MAX: usize = 4096;

criterion_group!(benches, one_card, batches, threads, many_keys, parts);
criterion_main!(benches);

/// The latency of an online call: pack, compute, and what verify adds.
fn one_card(c: &mut Criterion) {
    let mut group = c.benchmark_group("one_card");
    let (pan, expiry) = card();
    for kernel in Kernel::all() {
        let key = key(kernel);
        let right = key.cvv2(&pan, &expiry).unwrap();
        group.bench_function(BenchmarkId::new("generate", kernel.name()), |b| {
            b.iter(|| key.cvv2(black_box(&pan), black_box(&expiry)).unwrap());
        });
        group.bench_function(BenchmarkId::new("verify", kernel.name()), |b| {
            let typed = right.expose();
            b.iter(|| {
                key.verify_cvv2(black_box(&pan), black_box(&expiry), typed.as_str()).unwrap()
            });
        });
    }
}

/// Packed cards in, values out, on one thread.
fn batches(c: &mut Criterion) {
    let mut group = c.benchmark_group("batch");
    for size in [1, 64, 512, 4096, STREAM] {
        let cards = cards(size);
        let mut out = vec![Cvv::EMPTY; size];
        group.throughput(Throughput::Elements(size as u64));
        group.sample_size(if size == STREAM { 10 } else { 100 });
        for kernel in Kernel::all() {
            if kernel.name() == "reference" && size > REFERENCE_MAX {
                continue;
            }
            let key = key(kernel);
            group.bench_function(BenchmarkId::new(kernel.name(), size), |b| {
                b.iter(|| {
                    key.generate_many(black_box(&cards), CvvLength::THREE, &mut out).unwrap();
                });
            });
        }
    }
}

/// A million cards on one and on two threads.
fn threads(c: &mut Criterion) {
    let mut group = c.benchmark_group("threads");
    let cards = cards(1 << 20);
    let mut out = vec![Cvv::EMPTY; cards.len()];
    group.throughput(Throughput::Elements(cards.len() as u64));
    group.sample_size(20);
    for kernel in Kernel::all().filter(|kernel| kernel.name() != "reference") {
        let key = key(kernel);
        for threads in [1, 2] {
            group.bench_function(BenchmarkId::new(kernel.name(), threads), |b| {
                let threads = NonZeroUsize::new(threads).unwrap();
                let length = CvvLength::THREE;
                b.iter(|| key.generate_many_threaded(&cards, length, &mut out, threads).unwrap());
            });
        }
    }
}

/// A million cards that belong to 1, 10 or 1,000 keys.
fn many_keys(c: &mut Criterion) {
    let mut group = c.benchmark_group("many_keys");
    let cards = cards(1 << 20);
    let mut out = vec![Cvv::EMPTY; cards.len()];
    let mut grouping = Grouping::new();
    group.throughput(Throughput::Elements(cards.len() as u64));
    group.sample_size(10);
    for count in [1, 10, 1000] {
        let keys: Vec<_> = (0..count).map(|_| key(Kernel::detect())).collect();
        let key_of: Vec<_> = (0..cards.len()).map(|i| i * 7919 % count).collect();
        group.bench_function(BenchmarkId::new(Kernel::detect().name(), count), |b| {
            let length = CvvLength::THREE;
            b.iter(|| grouping.generate(&keys, &key_of, &cards, length, &mut out).unwrap());
        });
    }
}

/// What surrounds the cipher.
fn parts(c: &mut Criterion) {
    let mut group = c.benchmark_group("parts");
    let (pan, expiry) = card();
    let key = key(Kernel::detect());
    group.bench_function("key_set_up", |b| {
        b.iter(|| CvkPair::from_hex(black_box(KEY), ExpiryOrder::YyMm, Policy::Strict).unwrap());
    });
    group.bench_function("parse_pan", |b| {
        b.iter(|| Pan::parse(black_box("4123456789012345")).unwrap());
    });
    group.bench_function("pack", |b| {
        b.iter(|| key.pack(black_box(&pan), black_box(&expiry), &ServiceCode::CVV2));
    });
    group.bench_function("decimalize_reference", |b| {
        b.iter(|| hazmat::decimalize(black_box(&[0xEF, 0xCD, 0x1D, 0xDC, 0xAF, 0xB2, 0xEB, 0xCA])));
    });
}

fn key(kernel: Kernel) -> CvkPair {
    CvkPair::from_hex(KEY, ExpiryOrder::YyMm, Policy::Strict).unwrap().with_kernel(kernel)
}

fn card() -> (Pan, Expiry) {
    (Pan::parse("4123456789012345").unwrap(), Expiry::parse_yymm("2701").unwrap())
}

fn cards(count: usize) -> Vec<PackedCard> {
    let expiry = Expiry::parse_yymm("2701").unwrap();
    (0..count)
        .map(|i| Pan::parse(&format!("41234567{:08}", i * 7919 % 100_000_000)).unwrap())
        .map(|pan| PackedCard::new(&pan, &expiry, ExpiryOrder::YyMm, &ServiceCode::CVV2))
        .collect()
}
