//! The service's speed, beside a handler that only parses and echoes the same JSON on the same stack.
//!
//! In one run: a throw-away home is prepared with the `cvv2` beside this program (cards, keys,
//! clients, limits that are never reached); `cvv2 serve` and the [`echo`] handler run as children
//! on one core, with one worker thread each; this process is the load, on another core. It measures
//!
//! - **peak**: as many requests as connections in a closed loop carry, in short rounds that take
//!   turns, so that a noisy machine is as noisy to both;
//! - **latency**: at half of the service's peak, in an open loop. A request counts from when it was
//!   due, not from when it could be sent, so a stall counts for every request that it held up;
//! - **memory**: what is resident as requests add up;
//! - **start**: from `exec` to the first 200 of `/readyz`.
//!
//! The service's writers of audit and limits share its core. Their groups are what wait while the
//! disk is busy, so with N connections the rate is at most N for each time that the disk takes: 128
//! connections and a disk of 1 ms bound it at 128,000 a second, far above what one core carries.
//! How long the disk takes is measured and printed beside.
//!
//! `cargo build --release --bins && target/release/check-load`. `--quick` is
//! for CI: small, and only a wrong answer fails it, because figures of a busy machine are no verdict.

mod cards;
mod child;
mod closed;
mod connection;
mod cores;
mod disk;
mod echo;
mod home;
mod keys;
mod memory;
mod open;
mod options;
mod report;
mod start;
mod target;

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

use self::cores::Cores;
use self::home::Home;
use self::options::{Command, Options};
use self::report::Report;
use self::target::Target;

/// Whatever went wrong: nobody but a person reads it.
type Failure = Box<dyn std::error::Error>;

/// The echo handler has the same as the service.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.command {
        Some(Command::Echo(args)) => echo::run(args).map(|()| true),
        None => measure(&options),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("check-load: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures, prints, and says whether everything is as good as it has to be.
fn measure(options: &Options) -> Result<bool, Failure> {
    let sizes = options.sizes();
    let cores = Cores::choose()?;
    cores.go_to_load()?;
    eprintln!("preparing {} cards and {} keys ...", sizes.cards, sizes.keys);
    let home = Home::prepare(&sizes, &options.cvv2()?)?;
    let disk = disk::measure(home.path())?;

    eprintln!("starting ...");
    let (service, fresh_start) = start::until_ready(&home, |home| home.serve(cores))?;
    let (echo, _) = start::until_ready(&home, |home| home.echo(cores))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (peak, latency, memory) = runtime.block_on(async {
        let service = Target::service(&home, &service, &sizes).await?;
        let echo = Target::echo(&service, &echo, &sizes);
        eprintln!("peak ...");
        let peak = closed::compare(&service, &echo, &sizes).await?;
        eprintln!("latency ...");
        let latency = open::compare(&service, &echo, peak.service.rate / 2.0, &sizes).await?;
        eprintln!("memory ...");
        let memory = memory::watch(&service, &sizes).await?;
        Ok::<_, Failure>((peak, latency, memory))
    })?;
    service.stop()?;
    let (service, later_start) = start::until_ready(&home, |home| home.serve(cores))?;
    service.stop()?;
    echo.stop()?;

    let starts = [fresh_start, later_start];
    let report = Report { sizes, disk, peak, latency, memory, starts };
    if options.json {
        println!("{:#}", report.to_json());
    } else {
        print!("{report}");
    }
    Ok(options.quick || report.passes())
}
