//! `cargo xtask TASK`: generators and checks for people who change the code.

mod vectors;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask TASK

  vectors   lint vectors/: structure, counts, identifiers, flags, one schema for each file";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let result = match (words.next().as_deref(), words.next()) {
        (Some("vectors"), None) => vectors::lint(),
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
