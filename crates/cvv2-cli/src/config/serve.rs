//! The table `[serve]`: what `cvv2 serve` needs besides cards and keys.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cvv2_service::Replays;
use cvv2_service::audit::{AnchorOptions, AuditOptions};
use cvv2_service::auth::AuthSettings;
use cvv2_service::limits::LimitPolicy;
use cvv2_service::transport::{ConnectionLimits, TlsSettings};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::failure::Failure;

/// How requests come in, from whom, and what is kept of them.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Serve {
    /// Where HTTPS is served.
    pub(crate) listen: SocketAddr,
    /// Where metrics are served, in clear; nowhere if left out. For the operator's network only.
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// How many threads serve requests, 1 to 256; as many as there are processors if left out.
    pub(crate) workers: Option<usize>,
    /// The file of the service's own key, under the keyring's KBPK: `cvv2 serve init-key` makes it.
    pub(crate) service_key: PathBuf,
    /// What is done about a `msg_id` that comes twice: `measure` (the default), `reject`, `ignore`.
    #[serde(default, deserialize_with = "replays")]
    pub(crate) replays: Replays,
    /// How the log is written to standard error: `text` (the default) or `json`.
    #[serde(default)]
    pub(crate) log: LogForm,
    /// The certificate, and what clients have to show.
    pub(crate) tls: TlsSettings,
    /// What connections may take.
    #[serde(default)]
    pub(crate) connections: ConnectionLimits,
    /// Who may ask.
    pub(crate) auth: AuthSettings,
    /// How often.
    pub(crate) limits: Limits,
    /// What is recorded.
    pub(crate) audit: Audit,
}

/// How lines of the log look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogForm {
    /// For people.
    #[default]
    Text,
    /// For programs: an object a line.
    Json,
}

/// `[serve.limits]`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    /// The directory of the limits' journal, of its own; or else `postgres`.
    directory: Option<PathBuf>,
    /// Whether they are in the database of the cards, for all replicas that share it.
    #[serde(default)]
    postgres: bool,
    /// The numbers; those that are left out have their defaults.
    #[serde(default)]
    pub(crate) policy: LimitPolicy,
}

/// Where limits are.
#[derive(Clone, Copy)]
pub(crate) enum LimitsPlace<'a> {
    /// In a journal in this directory.
    Directory(&'a Path),
    /// In the database of the cards.
    Postgres,
}

/// `[serve.audit]`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Audit {
    /// The directory of the audit log, of its own.
    directory: PathBuf,
    /// The bytes at which a file is closed and the next one begun.
    file_bytes_max: Option<u64>,
    /// Whether a file is closed when its UTC day is over, too.
    daily: Option<bool>,
    /// The most records that wait to be written.
    queue_records_max: Option<usize>,
    /// The file, on another disk or machine, in which the head of the chain is written down.
    anchor: Option<PathBuf>,
    /// How often that is done, in seconds.
    anchor_interval_seconds: Option<u64>,
}

impl Serve {
    /// The same, relative paths taken from a folder, every number in its range, and limits in a place
    /// that there is.
    pub(crate) fn checked(
        mut self,
        folder: &Path,
        cards_in_postgres: bool,
    ) -> Result<Self, Failure> {
        let in_table = |table: &str, error: &dyn std::fmt::Display| {
            let error = error.to_string();
            // Whose table it is elsewhere.
            let error = error.strip_prefix("[auth] ").unwrap_or(&error);
            Failure::BadInput(format!("[serve{table}] {error}"))
        };
        if self.workers.is_some_and(|workers| !(1..=256).contains(&workers)) {
            return Err(in_table("", &"workers has to be from 1 to 256"));
        }
        self.service_key = folder.join(&self.service_key);
        self.limits.directory = self.limits.directory.map(|directory| folder.join(directory));
        self.audit.directory = folder.join(&self.audit.directory);
        self.audit.anchor = self.audit.anchor.map(|anchor| folder.join(anchor));
        self.tls = self.tls.relative_to(folder);
        self.auth = self.auth.relative_to(folder);
        self.tls.check().map_err(|e| in_table(".tls", &e))?;
        self.connections.check().map_err(|e| in_table(".connections", &e))?;
        self.auth.check().map_err(|e| in_table(".auth", &e))?;
        if self.limits.directory.is_some() == self.limits.postgres {
            return Err(in_table(".limits", &"give either directory or postgres = true"));
        }
        if self.limits.postgres && !cards_in_postgres {
            let why = "postgres: it is the database of the cards, and [store] names none";
            return Err(in_table(".limits", &why));
        }
        self.limits.policy.check().map_err(|e| in_table(".limits.policy", &e))?;
        self.audit.options().check().map_err(|e| in_table(".audit", &e))?;
        Ok(self)
    }
}

impl Limits {
    /// Where they are; [checked](Serve::checked) before.
    pub(crate) fn place(&self) -> LimitsPlace<'_> {
        self.directory.as_deref().map_or(LimitsPlace::Postgres, LimitsPlace::Directory)
    }
}

impl Audit {
    /// What the log is opened with.
    pub(crate) fn options(&self) -> AuditOptions {
        let mut options = AuditOptions { redo: true, ..AuditOptions::new(&self.directory) };
        if let Some(bytes) = self.file_bytes_max {
            options.file_bytes_max = bytes;
        }
        if let Some(daily) = self.daily {
            options.daily = daily;
        }
        if let Some(records) = self.queue_records_max {
            options.queue_records_max = records;
        }
        options.anchor = self.anchor.as_ref().map(|path| {
            let mut anchor = AnchorOptions::new(path);
            if let Some(seconds) = self.anchor_interval_seconds {
                anchor.interval = Duration::from_secs(seconds);
            }
            anchor
        });
        options
    }
}

fn replays<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Replays, D::Error> {
    let name = String::deserialize(deserializer)?;
    Replays::by_name(&name).ok_or_else(|| D::Error::custom("measure, reject or ignore"))
}
