//! The binary `cvv2`: the card verification engine on the command line.
//!
//! Exit codes: 0 done, 1 a negative answer (a mismatch, a failed vector, a refused row or request),
//! 2 wrong use or bad input, 3 a fault of the system. An error is one sentence on standard error.

mod args;
mod audit;
mod bench;
mod calculation;
mod cards;
mod client;
mod config;
mod cvk;
mod demo;
mod failure;
mod get;
mod input;
mod kernel;
mod key;
mod keyring;
mod print;
mod serve;
mod service_key;
mod store;
mod store_keys;
mod vectors;

use std::process::ExitCode;

use clap::Parser;
use cvv2::secret::forbid_core_dumps;
use mimalloc::MiMalloc;

use crate::args::{Args, Command};
use crate::failure::{Answer, Failure};

/// A service allocates on many threads, and for as long as it runs. With glibc's allocator it had a
/// quarter more memory under load.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let answer = run(Args::parse()).unwrap_or_else(|failure| {
        if let Failure::BadInput(text) | Failure::System(text) = &failure {
            eprintln!("cvv2: {text}");
        }
        failure.into()
    });
    ExitCode::from(match answer {
        Answer::Done => 0,
        Answer::Negative => 1,
        Answer::BadInput => 2,
        Answer::SystemFault => 3,
    })
}

fn run(args: Args) -> Result<Answer, Failure> {
    let print = print::Print::new(args.json);
    if args.command.touches_secrets() {
        forbid_core_dumps().map_err(Failure::system)?;
    }
    match args.command {
        Command::Audit(command) => audit::run(command, print),
        Command::Bench(args) => bench::run(&args, print),
        Command::Cards(args) => cards::run(args, print),
        Command::Client(args) => client::run(&args, print),
        Command::Demo(args) => demo::run(&args),
        Command::Explain(args) => calculation::explain(args, print),
        Command::Generate(args) => calculation::generate(args, print),
        Command::Get(args) => get::run(&args),
        Command::Key(args) => key::run(args, print),
        Command::Serve(args) => serve::run(args, print),
        Command::Vectors(args) => vectors::run(&args, print),
        Command::Verify(args) => calculation::verify(args, print),
    }
}
