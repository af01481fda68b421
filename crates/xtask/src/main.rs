//! `cargo xtask TASK`: generators and checks for people who change the code.

mod ct;
mod kernels;
mod sbox;
mod vectors;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask TASK

  ct        no branch and no address depends on a secret: checks/memcheck under valgrind
  kernels   what the compiler made of the kernels: calls, branches, gathers, register width
  vectors   lint vectors/: structure, counts, identifiers, flags, one schema for each file";

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let result = match words.split_first() {
        Some((task, words)) if task == "ct" => ct::run(words),
        Some((task, [])) if task == "kernels" => kernels::check(),
        Some((task, [])) if task == "vectors" => vectors::lint(),
        Some((task, words)) if task == "sbox" => sbox::run(words.iter().cloned()),
        _ => Err(format!("{USAGE}\n{}", sbox::USAGE)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
