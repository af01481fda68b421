//! `cvv2 bench`: what this machine computes, every kernel in one run beside the reference.
//!
//! Each figure is the median of many short measurements taken in turn, so that a disturbance
//! touches all kernels alike. Ratios to the reference travel between machines; rates do not.

use std::fmt::{self, Display};
use std::fs;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use cvv2::{
    CvkPair, Cvv, CvvLength, Expiry, ExpiryOrder, Kernel, PackedCard, Pan, Policy, ServiceCode,
};
use serde::Serialize;

use crate::args::BenchArgs;
use crate::failure::{Answer, Failure};
use crate::print::Print;

const TEST_KEY: &str = "0123456789ABCDEFFEDCBA9876543210";
/// Cards of a batch that stays in the processor's own caches: 80 KiB with their values.
const IN_CACHE: usize = 4096;
/// 64 MiB of packed cards: more than any cache of today's processors.
const STREAMING: usize = 4 << 20;
/// The reference takes microseconds a card; more of them show nothing new.
const REFERENCE_STREAMING: usize = 1 << 16;
/// How long one measurement lasts at least.
const MEASUREMENT: Duration = Duration::from_millis(5);

/// Measures every kernel and prints the table.
pub(crate) fn run(args: &BenchArgs, print: Print) -> Result<Answer, Failure> {
    let bench = Bench::new(args.rounds);
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        processor: processor(),
        detected: Kernel::detect().name(),
        rounds: args.rounds,
        key_set_up_us: bench.key_set_up() * 1e6,
        kernels: bench.kernels(),
    };
    print.answer(&report, &report)?;
    Ok(Answer::Done)
}

#[derive(Serialize)]
struct Report {
    version: &'static str,
    processor: String,
    /// The kernel that calls use where none is named.
    detected: &'static str,
    rounds: usize,
    /// Every kernel's form of one key pair, in microseconds.
    key_set_up_us: f64,
    kernels: Vec<Row>,
}

/// The figures of one kernel.
#[derive(Serialize)]
struct Row {
    kernel: &'static str,
    /// One call for one packed card, in nanoseconds.
    one_card_ns: f64,
    /// One call for 64 packed cards, in nanoseconds.
    sixty_four_cards_ns: f64,
    /// Values a second, cards in the caches of the core, one thread.
    in_cache_per_s: f64,
    /// Values a second, 64 MiB of cards, one thread.
    streaming_per_s: f64,
    /// The former on two threads.
    two_threads_per_s: f64,
}

struct Bench {
    rounds: usize,
    cards: Vec<PackedCard>,
}

impl Bench {
    fn new(rounds: usize) -> Self {
        let expiry = Expiry::parse_yymm("2701").expect("a date");
        let card = |i: usize| {
            let pan = Pan::parse(&format!("41234567{i:08}")).expect("16 digits");
            PackedCard::new(&pan, &expiry, ExpiryOrder::YyMm, &ServiceCode::CVV2)
        };
        Self { rounds, cards: (0..STREAMING).map(card).collect() }
    }

    fn key_set_up(&self) -> f64 {
        median((0..self.rounds).map(|_| per_call(|| drop(black_box(key(Kernel::detect()))))))
    }

    fn kernels(&self) -> Vec<Row> {
        let keys: Vec<_> = Kernel::all().map(key).collect();
        let mut out = vec![Cvv::EMPTY; STREAMING];
        // One column at a time, all kernels in turn within it.
        let mut column = |cards: &dyn Fn(&CvkPair) -> usize, threads: usize| -> Vec<f64> {
            let threads = NonZeroUsize::new(threads).expect("one or two");
            let mut seconds = vec![Vec::new(); keys.len()];
            for _ in 0..self.rounds {
                for (key, seconds) in keys.iter().zip(&mut seconds) {
                    let (cards, out) = (&self.cards[..cards(key)], &mut out[..cards(key)]);
                    seconds.push(per_call(|| {
                        let cards = black_box(cards);
                        if threads.get() == 1 {
                            key.generate_many(cards, CvvLength::THREE, out)
                        } else {
                            key.generate_many_threaded(cards, CvvLength::THREE, out, threads)
                        }
                        .expect("a bench on a machine that fails its self-test shows nothing");
                    }));
                }
            }
            seconds.into_iter().map(median).collect()
        };
        let streaming = |key: &CvkPair| {
            if key.kernel().name() == "reference" { REFERENCE_STREAMING } else { STREAMING }
        };
        let one = column(&|_| 1, 1);
        let sixty_four = column(&|_| 64, 1);
        let in_cache = column(&|_| IN_CACHE, 1);
        let single = column(&streaming, 1);
        let double = column(&streaming, 2);
        keys.iter()
            .enumerate()
            .map(|(i, key)| Row {
                kernel: key.kernel().name(),
                one_card_ns: one[i] * 1e9,
                sixty_four_cards_ns: sixty_four[i] * 1e9,
                in_cache_per_s: count(IN_CACHE) / in_cache[i],
                streaming_per_s: count(streaming(key)) / single[i],
                two_threads_per_s: count(streaming(key)) / double[i],
            })
            .collect()
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, processor, detected, rounds, key_set_up_us, kernels } = self;
        writeln!(f, "cvv2 {version} on {processor}; kernel in use: {detected}")?;
        writeln!(f, "median of {rounds} rounds; key set-up {key_set_up_us:.1} µs")?;
        writeln!(f)?;
        writeln!(
            f,
            "{:<12}{:>14}{:>14}{:>16}{:>16}{:>16}{:>12}",
            "kernel",
            "1 card ns",
            "64 cards ns",
            "in cache M/s",
            "streaming M/s",
            "2 threads M/s",
            "× reference"
        )?;
        let reference = kernels.iter().find(|row| row.kernel == "reference");
        let base = reference.map_or(f64::NAN, |row| row.in_cache_per_s);
        for (i, row) in kernels.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(
                f,
                "{:<12}{:>14.0}{:>14.0}{:>16.2}{:>16.2}{:>16.2}{:>12.1}",
                row.kernel,
                row.one_card_ns,
                row.sixty_four_cards_ns,
                row.in_cache_per_s / 1e6,
                row.streaming_per_s / 1e6,
                row.two_threads_per_s / 1e6,
                row.in_cache_per_s / base,
            )?;
        }
        Ok(())
    }
}

fn key(kernel: Kernel) -> CvkPair {
    CvkPair::from_hex(TEST_KEY, ExpiryOrder::YyMm, Policy::Strict)
        .expect("a published test key that the strict policy accepts")
        .with_kernel(kernel)
}

/// Seconds that one call takes, from as many calls as fill a measurement.
fn per_call(mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut calls = 0_u32;
    loop {
        call();
        calls += 1;
        // Reading the clock costs as much as a card; after the first call, read it rarely.
        if calls == 1 || calls.is_multiple_of(64) {
            let elapsed = start.elapsed();
            if elapsed >= MEASUREMENT {
                return elapsed.as_secs_f64() / f64::from(calls);
            }
        }
    }
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn count(cards: usize) -> f64 {
    f64::from(u32::try_from(cards).expect("a few million"))
}

/// The processor's name as the system tells it.
fn processor() -> String {
    fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?.to_owned();
            Some(line.split_once(':')?.1.trim().to_owned())
        })
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}
