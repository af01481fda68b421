//! What the log tells besides: that certificates were exchanged, that a disk fails and works again.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::assembly::Assembly;
use super::log::{Level, Log};
use super::reload;

/// How often certificates are looked at.
const CERTIFICATES: Duration = Duration::from_secs(10);
/// How often it is looked whether records can be written.
const DISKS: Duration = Duration::from_secs(1);

/// Takes certificates that have changed, as long as the service runs.
pub(super) async fn certificates(assembly: Arc<Assembly>, log: Log) {
    let taken = |outcome: Result<(), _>| reload::tell(&assembly, log, "tls", outcome);
    assembly.tls.watch(CERTIFICATES, taken).await;
}

/// Tells when the audit log, its anchor or the limits begin to fail, and when that is over.
pub(super) async fn disks(assembly: Arc<Assembly>, log: Log) {
    let mut audit = Trouble::new(log, "audit_failing", "audit_works");
    let mut anchor = Trouble::new(log, "anchor_failing", "anchor_works");
    let mut limits = Trouble::new(log, "limits_failing", "limits_work");
    let mut failures = 0;
    let mut looks = interval(DISKS);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let status = assembly.http.audit.status();
        audit.is_now(status.failure.as_deref());
        anchor.is_now(status.anchor_failure.as_deref());
        // They are counted: as long as there are more of them, the disk fails.
        let counted = assembly.http.limits.counters().journal_failures;
        limits.is_now((counted > failures).then_some("the journal of the limits is not written"));
        failures = counted;
    }
}

/// Something that fails at times.
struct Trouble {
    log: Log,
    begins: &'static str,
    ends: &'static str,
    is_there: bool,
}

impl Trouble {
    fn new(log: Log, begins: &'static str, ends: &'static str) -> Self {
        Self { log, begins, ends, is_there: false }
    }

    /// Tells what has changed.
    fn is_now(&mut self, error: Option<impl Display>) {
        match (self.is_there, error) {
            (false, Some(error)) => self.log.write(Level::Error, self.begins, &[("error", &error)]),
            (true, None) => self.log.write(Level::Info, self.ends, &[]),
            (true, Some(_)) | (false, None) => return,
        }
        self.is_there = !self.is_there;
    }
}
