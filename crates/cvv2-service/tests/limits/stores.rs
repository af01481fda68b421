//! Every store of limits, for tests that run on each.

use std::path::PathBuf;
use std::sync::Mutex;

use cvv2::secret::{Protection, Secret};
use cvv2_service::audit::{AuditLog, AuditOptions, Event, EventRecord};
use cvv2_service::limits::{Denied, Limit, LimitPolicy, Limits};
use cvv2_service::{CardKey, MessageKey, ServiceKey, SystemClock};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

/// Limits that can be closed and opened again.
pub(crate) trait Home: Sync {
    fn open(&self, policy: LimitPolicy) -> Limits;

    /// Of a test that repeats itself, one in how many times has to do here.
    fn dearness(&self) -> u64 {
        1
    }
}

/// Limits in a directory.
pub(crate) struct Embedded(TempDir);

impl Embedded {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.0.path().join("limits")
    }
}

impl Home for Embedded {
    fn open(&self, policy: LimitPolicy) -> Limits {
        Limits::open(self.directory(), policy).unwrap()
    }
}

/// Limits in a directory, beside an audit log with a redo log.
pub(crate) struct Beside {
    limits: Embedded,
    audit: Mutex<Option<AuditLog>>,
}

impl Beside {
    pub(crate) fn new() -> Self {
        Self { limits: Embedded::new(), audit: Mutex::default() }
    }

    pub(crate) fn limits_directory(&self) -> PathBuf {
        self.limits.directory()
    }

    pub(crate) fn audit_directory(&self) -> PathBuf {
        self.limits.0.path().join("audit")
    }

    /// Hands a record to the audit log, and waits for it.
    pub(crate) fn record(&self) {
        let record = EventRecord::new(at(0), Event::Readiness).into();
        let audit = self.audit.lock().unwrap();
        audit.as_ref().unwrap().append(&record).wait().unwrap();
    }

    /// Closes the audit log, as if its process ended.
    pub(crate) fn close(&self) {
        self.audit.lock().unwrap().take();
    }
}

impl Home for Beside {
    fn open(&self, policy: LimitPolicy) -> Limits {
        self.close();
        let options = AuditOptions { redo: true, ..AuditOptions::new(self.audit_directory()) };
        let key = ServiceKey::new(Secret::new([7; 32], Protection::Wiped).unwrap());
        let audit = AuditLog::open(&options, &key, SystemClock).unwrap();
        let limits = Limits::open_beside(self.limits_directory(), policy, &audit).unwrap();
        *self.audit.lock().unwrap() = Some(audit);
        limits
    }
}

/// Runs `test` on a new home of each kind.
pub(crate) fn on_every_store(test: impl Fn(&dyn Home)) {
    test(&Embedded::new());
    test(&Beside::new());
    #[cfg(all(feature = "postgres", has_postgres))]
    test(&crate::tables::Tables::new());
}

/// A time, in seconds from some day on.
pub(crate) fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap() + Duration::seconds(seconds)
}

pub(crate) fn card(number: u64) -> CardKey {
    CardKey::from_bytes(hash(number))
}

pub(crate) fn message(number: u64) -> MessageKey {
    MessageKey::from_bytes(hash(number))
}

/// Keys are hashes: spread over the first bytes, of which they are not all kept.
fn hash(number: u64) -> [u8; 16] {
    (u128::from(number.wrapping_mul(0x9E37_79B9_7F4A_7C15)) << 64).to_be_bytes()
}

/// The limit that refused, if one did.
pub(crate) fn refused_by<T>(outcome: Result<T, Denied>) -> Option<Limit> {
    match outcome {
        Ok(_) => None,
        Err(Denied::Refused(refusal)) => Some(refusal.limit),
        Err(Denied::Unavailable(error)) => panic!("{error}"),
    }
}
