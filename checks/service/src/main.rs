//! Looks from outside at a service that runs: `cvv2 serve`, the program itself, over HTTPS on this machine.
//!
//! - `canary`: card data and keys that nothing holds by chance go through every path; afterwards they are
//!   in no log, record, file or figure, and in no core file where that is promised;
//! - `kills`: the process is killed under load, again and again; whatever was answered has its record, the
//!   chain is whole, and what was charged to a card stays charged;
//! - `guessing`: one token, ten clients, every expiry, restarts and kills between; no card has more wrong
//!   answers than its limit;
//! - `full-disk`: without room for records nothing is answered but 503, and with room it goes on.
//!
//! `cargo build --bins && target/debug/check-service [NAME…]`, all of them unless some are named; the
//! programs have to be of the same profile. `CVV2_KILLS` (default 10) and
//! `CVV2_GUESSES` (default 2,000) say how often. What this machine cannot show is skipped, which is said;
//! with `CVV2_REQUIRE_TOOLS` set a tool that is not there is a failure.
#![allow(clippy::unwrap_used, reason = "a check that cannot set itself up has failed")]

mod bank;
mod canary;
mod client;
mod forms;
mod full_disk;
mod guessing;
mod kills;
mod probes;
mod program;
mod server;

use std::process::ExitCode;

/// The checks by their names.
const CHECKS: [(&str, fn()); 4] = [
    ("canary", canary::run),
    ("kills", kills::run),
    ("guessing", guessing::run),
    ("full-disk", full_disk::run),
];

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    if names == [full_disk::INSIDE] {
        full_disk::run_inside();
        return ExitCode::SUCCESS;
    }
    if let Some(unknown) = names.iter().find(|name| CHECKS.iter().all(|(known, _)| known != name)) {
        eprintln!("there is no check {unknown}; give some of canary, kills, guessing, full-disk");
        return ExitCode::from(2);
    }
    // A check that fails panics.
    for (name, check) in CHECKS {
        if names.is_empty() || names.iter().any(|it| it == name) {
            println!("{name}:");
            check();
        }
    }
    println!("passed");
    ExitCode::SUCCESS
}
