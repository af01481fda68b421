//! Looks from outside for what a dropped key leaves in the memory of a process.
//!
//! For every kernel a child process loads a key, computes and verifies, drops the key, and plants
//! another key on purpose; after each step it waits while this process reads all of its memory
//! through `/proc`. Two methods look at it:
//!
//! - a search for the key in every form of [`forms`];
//! - a comparison of children with two keys, which needs no idea of the form: run without address
//!   randomisation they differ in what depends on the key and in nothing else.
//!
//! While the key is loaded hits are expected and shown; after its drop there must be none; and
//! every form of the planted key must be found, or the search itself is broken. What the comparison
//! finds counts in release builds only: without optimisation a kernel's frames are hundreds of
//! kilobytes, which no call wipes, so a debug build is not one to load live keys into.
//!
//! To be run in debug and release builds:
//! `cargo run -p check-memory-scan` and `cargo run --release -p check-memory-scan`.

mod child;
mod compare;
mod forms;
mod masks;
mod process;
mod schedule;
mod search;

use std::process::ExitCode;

use cvv2::Kernel;

use crate::child::Task;
use crate::process::Watched;
use crate::search::Search;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    if let [task, kernel] = args.as_slice() {
        child::run(Task::by_name(task).expect("only this program gives arguments"), kernel);
        return ExitCode::SUCCESS;
    }
    let mut passed = true;
    for kernel in Kernel::all() {
        passed &= search_one(kernel.name());
        passed &= compare::run(kernel.name()) || cfg!(debug_assertions);
    }
    println!("{}", if passed { "passed" } else { "FAILED" });
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Searches a child of one kernel for every form of its keys; false if it fails.
fn search_one(kernel: &str) -> bool {
    let [key, other] = [process::random_key(), process::random_key()];
    let [of_key, of_other] = [Search::new(&key), Search::new(&other)];
    let mut child = Watched::start(Task::Everything, kernel);
    child.started();

    let loaded = of_key.hits(&child.loaded(&key));
    println!("{kernel}: while the key is loaded, search {}", describe(&loaded));

    let left = of_key.hits(&child.dropped());
    println!("{kernel}: after its drop, search {}", describe(&left));

    let controls = of_other.hits(&child.planted(&other));
    let missed: Vec<_> = controls.iter().filter(|(_, places)| places.is_empty()).collect();
    println!("{kernel}: planted, {} of {} forms", controls.len() - missed.len(), controls.len());
    for (form, _) in &missed {
        println!("    MISSED {form}");
    }
    left.iter().all(|(_, places)| places.is_empty()) && missed.is_empty()
}

/// How often each form was found, and where first.
fn describe(hits: &[(&'static str, Vec<String>)]) -> String {
    let found: Vec<_> = hits
        .iter()
        .filter_map(|(form, places)| Some((form, places.len(), places.first()?)))
        .map(|(form, times, first)| format!("\n    {form}: {times} x, first in {first}"))
        .collect();
    if found.is_empty() { "finds nothing".into() } else { format!("finds{}", found.concat()) }
}
