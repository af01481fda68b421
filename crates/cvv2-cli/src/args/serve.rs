//! The arguments of `cvv2 serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args as Group, Subcommand};

use super::KeyringArgs;

/// Serve Get CVV2 and Verify CVV2 over HTTPS
///
/// Everything it needs is in the configuration; a variable `CVV2__SERVE__LISTEN` stands over the key
/// `listen` of the table `[serve]`, and so on. SIGTERM ends it after the requests in flight, a
/// second one at once; SIGHUP has it read keys, clients and certificates again. The variable
/// CVV2_KERNEL names another kernel than the fastest one.
#[derive(Group)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ServeArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", required_unless_present = "dev")]
    pub(crate) config: Option<PathBuf>,
    /// Open what the configuration names, say whether it is in order, and serve nothing: it writes
    /// nothing, and may be run beside the service
    #[arg(long, requires = "config")]
    pub(crate) check: bool,
    /// Serve a demo with nothing prepared: a throw-away directory, a self-signed certificate, a
    /// client and its token; prints a `curl` line that works
    #[arg(long, conflicts_with = "config")]
    pub(crate) dev: bool,
    /// Where the demo is served
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443", requires = "dev")]
    pub(crate) dev_listen: SocketAddr,
    #[command(subcommand)]
    pub(crate) command: Option<ServeCommand>,
}

#[derive(Subcommand)]
pub(crate) enum ServeCommand {
    InitKey(InitKeyArgs),
    Probe(ProbeArgs),
}

/// Ask the service that runs whether it answers; exit code 1 if it does not
///
/// For supervisors that ask by a command, as containers do. It asks where metrics are served.
#[derive(Group)]
pub(crate) struct ProbeArgs {
    /// The configuration of the service
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Ask whether it can answer requests: keys, cards, limits and audit log work
    #[arg(long)]
    pub(crate) ready: bool,
}

/// Make the service's own key, under the KBPK of the keyring
///
/// Audit records are chained under it, and cards are named by it to limits and in records. Replicas
/// that share limits share it. Without it an audit log cannot be verified: keep a copy.
#[derive(Group)]
pub(crate) struct InitKeyArgs {
    /// The new file
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) keyring: KeyringArgs,
}
