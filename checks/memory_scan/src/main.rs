//! Looks from outside for what a key leaves in the memory of a process.
//!
//! A child process loads a key, computes, drops it, is refused keys, panics with one alive, and
//! plants another key on purpose; after each of it it waits while this process reads all of its
//! memory through `/proc`, as root or as its parent. Three methods look at it:
//!
//! - `stages`, for every kernel and every protection: a search for the key in every form of [`forms`]. Outside of secret
//!   memory there must be none, after any stage;
//! - `compare`, for every kernel: a comparison of children with two keys, which needs no idea of
//!   the form: run without address randomisation they differ in what depends on the key and in
//!   nothing else;
//! - `dumps`, for every protection that this machine has: the same search in what `gcore` and the
//!   system's own core files hold of a child with a key alive, its registers included.
//!
//! Every form of the planted key must be found, or the search itself is broken. What the comparison
//! finds counts in release builds only: without optimisation a kernel's frames are hundreds of
//! kilobytes, which no call wipes, so a debug build is not one to load live keys into.
//!
//! To be run in debug and release builds:
//! `cargo run -p check-memory-scan` and `cargo run --release -p check-memory-scan`.
//! `check-memory-scan search FILE` searches a core file of another program for the key on standard
//! input.
//!
//! What this machine cannot show is skipped, which is said. With `CVV2_REQUIRE_TOOLS` set a tool
//! that is not installed is a failure.

mod aes;
mod child;
mod compare;
mod core_file;
mod dumps;
mod elf;
mod forms;
mod masks;
mod process;
mod sandbox;
mod schedule;
mod search;
mod stage;
mod stages;

use std::process::ExitCode;

use cvv2::Kernel;
use cvv2::secret::Protection;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    if let [command, file] = args.as_slice()
        && command == "search"
    {
        let absent = core_file::run(file.as_ref());
        return if absent { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    if let [kernel, protection] = args.as_slice() {
        child::run(kernel, protection);
        return ExitCode::SUCCESS;
    }
    let strongest = Protection::strongest();
    if strongest < Protection::MemfdSecret {
        println!("SKIPPED: memfd_secret is not to be had here; keys are {strongest} memory");
    }
    let mut passed = true;
    for kernel in Kernel::all() {
        passed &= stages::run(kernel, strongest);
        passed &= compare::run(kernel, strongest) || cfg!(debug_assertions);
    }
    for protection in [Protection::Wiped, Protection::Locked, Protection::MemfdSecret] {
        if protection > strongest {
            continue;
        }
        if protection < strongest {
            passed &= stages::run(Kernel::detect(), protection);
        }
        passed &= dumps::run(protection);
    }
    passed &= dumps::run_without();
    println!("{}", if passed { "passed" } else { "FAILED" });
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
