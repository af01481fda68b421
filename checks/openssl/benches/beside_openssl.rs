//! Every kernel beside OpenSSL's DES in one run: what the README's figures are ratios of.
//!
//! `cargo bench -p openssl-peer`, on a quiet machine, pinned: `taskset -c 1`.
#![allow(missing_docs, reason = "criterion's macros make public functions without any")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot set itself up has failed")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use cvv2::{
    CvkPair, Cvv, CvvLength, Expiry, ExpiryOrder, Kernel, PackedCard, Pan, Policy, ServiceCode,
};
use openssl_peer::OpensslPair;

const KEY: &str = "0123456789ABCDEFFEDCBA9876543210";
/// 64 MiB of packed cards: more than any cache of today's processors.
const STREAM: usize = 4 << 20;

criterion_group!(benches, beside_openssl);
criterion_main!(benches);

fn beside_openssl(c: &mut Criterion) {
    let mut group = c.benchmark_group("beside_openssl");
    let peer = OpensslPair::new(
        &0x0123_4567_89AB_CDEF_u64.to_be_bytes(),
        &0xFEDC_BA98_7654_3210_u64.to_be_bytes(),
    );
    let (b1, b2) = (0x4123_4567_8901_2345_u64.to_be_bytes(), [0x27, 0x01, 0, 0, 0, 0, 0, 0]);
    group.throughput(Throughput::Elements(1));
    group.bench_function("openssl/1", |b| b.iter(|| peer.cvv(black_box(&b1), black_box(&b2))));

    for size in [1, 64, 4096, STREAM] {
        let cards = cards(size);
        let mut out = vec![Cvv::EMPTY; size];
        group.throughput(Throughput::Elements(size as u64));
        group.sample_size(if size == STREAM { 10 } else { 100 });
        for kernel in Kernel::all().filter(|kernel| kernel.name() != "reference") {
            let order = ExpiryOrder::YyMm;
            let key = CvkPair::from_hex(KEY, order, Policy::Strict).unwrap().with_kernel(kernel);
            group.bench_function(BenchmarkId::new(kernel.name(), size), |b| {
                let length = CvvLength::THREE;
                b.iter(|| key.generate_many(black_box(&cards), length, &mut out).unwrap());
            });
        }
    }
}

fn cards(count: usize) -> Vec<PackedCard> {
    let expiry = Expiry::parse_yymm("2701").unwrap();
    (0..count)
        .map(|i| Pan::parse(&format!("41234567{:08}", i * 7919 % 100_000_000)).unwrap())
        .map(|pan| PackedCard::new(&pan, &expiry, ExpiryOrder::YyMm, &ServiceCode::CVV2))
        .collect()
}
