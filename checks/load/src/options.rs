//! What can be said on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::Failure;

/// Measures `cvv2 serve` beside a handler that only parses and echoes, on the same stack.
#[derive(Parser)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Small, for CI: half a minute, and misses are printed but do not fail.
    #[arg(long)]
    pub(crate) quick: bool,
    /// The program that is measured; the `cvv2` beside this one if left out.
    #[arg(long, value_name = "FILE")]
    cvv2: Option<PathBuf>,
    /// Cards in the store.
    #[arg(long)]
    cards: Option<u32>,
    /// Keys in the keyring, 1 to 1000.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    keys: Option<u32>,
    /// Connections, kept alive.
    #[arg(long)]
    connections: Option<usize>,
    /// Rounds of the peak; the median counts.
    #[arg(long)]
    rounds: Option<usize>,
    /// The length of a round of the peak, in milliseconds.
    #[arg(long)]
    round_ms: Option<u64>,
    /// The length of a round of latency, in milliseconds.
    #[arg(long)]
    latency_ms: Option<u64>,
    /// Requests while memory is watched.
    #[arg(long)]
    requests: Option<u32>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// The handler that is the measure; this program starts it.
    #[command(hide = true)]
    Echo(EchoArgs),
}

#[derive(Args)]
pub(crate) struct EchoArgs {
    #[arg(long)]
    pub(crate) home: PathBuf,
    #[arg(long)]
    pub(crate) listen: SocketAddr,
}

/// How much of everything.
#[derive(Clone, Debug)]
pub(crate) struct Sizes {
    pub(crate) cards: u32,
    pub(crate) keys: u32,
    pub(crate) connections: usize,
    pub(crate) rounds: usize,
    pub(crate) round: Duration,
    pub(crate) latency: Duration,
    pub(crate) requests: u32,
}

impl Options {
    pub(crate) fn sizes(&self) -> Sizes {
        let of = |small: u32, full: u32| if self.quick { small } else { full };
        let ms = |said: Option<u64>, small, full| {
            Duration::from_millis(said.unwrap_or(of(small, full).into()))
        };
        Sizes {
            cards: self.cards.unwrap_or(of(20_000, 1_000_000)),
            keys: self.keys.unwrap_or(of(50, 1000)),
            connections: self.connections.unwrap_or(128),
            rounds: self.rounds.unwrap_or(of(3, 7) as usize),
            round: ms(self.round_ms, 1000, 4000),
            latency: ms(self.latency_ms, 3000, 20_000),
            requests: self.requests.unwrap_or(of(20_000, 1_000_000)),
        }
    }

    pub(crate) fn cvv2(&self) -> Result<PathBuf, Failure> {
        let path = match &self.cvv2 {
            Some(path) => path.clone(),
            None => std::env::current_exe()?.with_file_name("cvv2"),
        };
        if !path.is_file() {
            return Err(format!(
                "{}: not there; cargo build --release --bins, or give --cvv2 FILE",
                path.display()
            )
            .into());
        }
        // The child is started in another directory.
        Ok(path.canonicalize()?)
    }
}
