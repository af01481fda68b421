//! The arguments of `cvv2 audit`.

use std::path::PathBuf;

use clap::{Args as Group, Subcommand};

/// The audit trail: verify it, offline
#[derive(Subcommand)]
pub(crate) enum AuditCommand {
    Verify(AuditVerifyArgs),
}

/// Verify that audit files are as they were written, every line of them
///
/// Finds any record that was changed, removed, added or moved, names the first one by file and line,
/// and then exits with 1. That records are missing at the end shows against an anchor only. The
/// service may go on writing meanwhile.
#[derive(Group)]
pub(crate) struct AuditVerifyArgs {
    /// Audit files, or directories of them
    #[arg(required = true, value_name = "FILE")]
    pub(crate) paths: Vec<PathBuf>,
    /// The configuration of the service, which names its key and the KBPK that the key is under
    #[arg(long, value_name = "FILE", conflicts_with_all = ["service_key", "kbpk_file"])]
    pub(crate) config: Option<PathBuf>,
    /// The file of the service's key
    #[arg(long, value_name = "FILE", requires = "kbpk_file", required_unless_present = "config")]
    pub(crate) service_key: Option<PathBuf>,
    /// The file of mode 0600 that holds the KBPK of that key
    #[arg(long, value_name = "FILE", requires = "service_key")]
    pub(crate) kbpk_file: Option<PathBuf>,
    /// The anchor, as it was written elsewhere: the log has to have every record that it knows
    #[arg(long, value_name = "FILE")]
    pub(crate) anchor: Option<PathBuf>,
    /// Accept that the log does not begin with its first record: older files are elsewhere
    #[arg(long)]
    pub(crate) partial: bool,
}
