//! Measures whether the time of one-card calls depends on secrets: the method of dudect.
//!
//! Each sample belongs to one of two classes of input by the toss of a coin; if the mean times of
//! the classes differ by more than chance allows, the code leaks. See O. Reparaz, J. Balasch and I.
//! Verbauwhede, "Dude, is my code constant time?" (2017). It cannot show that there is no leak;
//! unlike the check under memcheck it runs every kernel on the processor itself.
//!
//! The test is written out in [`welch`]: `dudect-bencher` only prints its statistic, and depends on
//! clap 2, which is no longer maintained.
//!
//! `cargo run --release -p check-dudect [-- SAMPLES [PART]]`, a million samples a test unless told, and all
//! tests or those with that part in their names; best on a machine that does nothing else.

mod clock;
mod identifiers;
mod random;
mod tests;
mod welch;

use std::process::ExitCode;

use crate::tests::{Expected, Test};
use crate::welch::{LIMIT, Statistic};

fn main() -> ExitCode {
    let samples = match std::env::args().nth(1).map(|argument| argument.parse()) {
        None => 1_000_000,
        Some(Ok(samples)) if samples >= 10_000 => samples,
        Some(_) => {
            eprintln!("give a number of samples of at least 10000, or nothing");
            return ExitCode::from(2);
        }
    };
    let part = std::env::args().nth(2).unwrap_or_default();
    let mut tests = tests::all();
    tests.retain(|test| test.name.contains(&part));
    if tests.is_empty() {
        eprintln!("no test has {part:?} in its name");
        return ExitCode::from(2);
    }
    println!("{:<52}  {:>9}  {:>9}  {:>11}", "test", "t", "of times", "difference");
    let failed = tests.into_iter().filter_map(|test| run(test, samples)).count();
    println!("{samples} samples a test, |t| has to be below {LIMIT}; {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one test and prints a line about it; `Some` if it fails.
fn run(mut test: Test, samples: usize) -> Option<()> {
    let mut measure = || welch::test(samples, &mut test.sample);
    let mut statistic = measure();
    // Of some dozens of tests with some crops each, chance lifts one over the limit now and then,
    // and so does another program on the machine; but not twice in the same direction.
    let mut leaks = statistic.t.abs() >= LIMIT;
    if leaks && test.expected == Expected::Constant {
        print(&test.name, &statistic, "again");
        let second = measure();
        leaks = second.t.abs() >= LIMIT && second.t.signum() == statistic.t.signum();
        statistic = second;
    }
    let (verdict, passed) = match (test.expected, leaks) {
        (Expected::Constant, false) => ("ok", true),
        (Expected::Constant, true) => ("LEAKS", false),
        (Expected::Anything, false) => ("no leak seen", true),
        (Expected::Anything, true) => ("leaks, as it may", true),
        // A twin just over the limit would say that the test is near to blind.
        (Expected::Leak, _) if statistic.t.abs() > 10.0 * LIMIT => ("ok, the twin was seen", true),
        (Expected::Leak, _) => ("MISSED TWIN", false),
    };
    print(&test.name, &statistic, verdict);
    (!passed).then_some(())
}

fn print(name: &str, statistic: &Statistic, verdict: &str) {
    let Statistic { t, kept, difference } = statistic;
    println!("{name:<52}  {t:>9.2}  {kept:>8}%  {difference:>+11.3}  {verdict}");
}
