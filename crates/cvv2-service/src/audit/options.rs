//! What an operator can set.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The most records that [`AuditOptions::group_records_max`] may allow.
pub(crate) const GROUP_RECORDS_MAX: usize = 1024;

/// Where the log is, and how it is written.
///
/// ```
/// use cvv2_service::audit::AuditOptions;
///
/// let options = AuditOptions { file_bytes_max: 16 << 20, ..AuditOptions::new("/var/log/cvv2") };
/// options.check()?;
/// # Ok::<(), cvv2_service::audit::OptionsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "operators and tests fill it in with `..`")]
pub struct AuditOptions {
    /// The directory of the log, of its own: mode 0700, the service's user's. It is made if its
    /// parent is there.
    pub directory: PathBuf,
    /// A file that has reached this is closed and the next one begun; it may be longer by one group.
    /// 4 KiB to 1 TiB. Default: 64 MiB.
    pub file_bytes_max: u64,
    /// Whether a file is closed when its UTC day is over, too, before the next record. Default:
    /// yes.
    pub daily: bool,
    /// The most records that are written and synced at once: 1 to 1024. Default: 512.
    pub group_records_max: usize,
    /// The most records that wait to be written; one more is refused. From `group_records_max` to
    /// 1,048,576. Default: 8192.
    pub queue_records_max: usize,
    /// How long after a failure of the disk the log is tried again: 1 ms to 1 minute. Default: 1 s.
    pub retry_interval: Duration,
    /// Whether records are durable in a redo log before they are in their files: one write over a file
    /// in the same directory that does not grow (8 MiB), for [limits](crate::limits::Limits::open_beside)
    /// as well. It takes about half as long, and half as much of the processor. Default: no, and each
    /// file is synced for each group.
    ///
    /// After the machine has failed, the newest file may lack records until the log is opened.
    pub redo: bool,
    /// Where the head of the chain is kept outside. Default: nowhere, and truncations do not show.
    pub anchor: Option<AnchorOptions>,
}

impl AuditOptions {
    /// The defaults, in this directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            file_bytes_max: 64 << 20,
            daily: true,
            group_records_max: 512,
            queue_records_max: 8192,
            retry_interval: Duration::from_secs(1),
            redo: false,
            anchor: None,
        }
    }

    /// Refuses what is out of range.
    ///
    /// # Errors
    ///
    /// [`OptionsError`] with the first option that is.
    pub fn check(&self) -> Result<(), OptionsError> {
        let group = self.group_records_max as u64;
        in_range("file_bytes_max", self.file_bytes_max, 4 << 10, 1 << 40)?;
        in_range("group_records_max", group, 1, GROUP_RECORDS_MAX as u64)?;
        in_range("queue_records_max", self.queue_records_max as u64, group, 1 << 20)?;
        in_range("retry_interval (ms)", millis(self.retry_interval), 1, 60_000)?;
        if let Some(anchor) = &self.anchor {
            in_range("anchor interval (ms)", millis(anchor.interval), 1, 86_400_000)?;
            in_range("anchor records_max", anchor.records_max, 1, u64::MAX)?;
        }
        Ok(())
    }
}

/// Where, and how often, the head of the chain is written down for
/// [`Verifier::against`](super::Verifier::against).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "operators and tests fill it in with `..`")]
pub struct AnchorOptions {
    /// The file, which is only appended to: on another disk, or a mount of another host, that who
    /// can write the log cannot write.
    pub path: PathBuf,
    /// How long after a record the head is written at the latest: 1 ms to 1 day. Default: 10 s.
    pub interval: Duration,
    /// After how many records it is written at the latest: 1 or more. Default: 10,000.
    pub records_max: u64,
}

impl AnchorOptions {
    /// The defaults, in this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), interval: Duration::from_secs(10), records_max: 10_000 }
    }
}

/// An option that is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OptionsError {
    /// Its name.
    pub option: &'static str,
    /// The lowest value.
    pub min: u64,
    /// The highest one.
    pub max: u64,
}

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { option, min, max } = self;
        write!(f, "audit: {option} is out of range; set a value from {min} to {max}")
    }
}

impl std::error::Error for OptionsError {}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn in_range(option: &'static str, value: u64, min: u64, max: u64) -> Result<(), OptionsError> {
    if (min..=max).contains(&value) { Ok(()) } else { Err(OptionsError { option, min, max }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_pass_and_seams_hold() {
        let with = |change: fn(&mut AuditOptions)| {
            let anchor = Some(AnchorOptions::new("anchor"));
            let mut options = AuditOptions { anchor, ..AuditOptions::new("log") };
            change(&mut options);
            options.check().map_err(|error| error.option)
        };
        assert_eq!(with(|_| ()), Ok(()));
        assert_eq!(with(|o| o.file_bytes_max = 4 << 10), Ok(()));
        assert_eq!(with(|o| o.file_bytes_max = (4 << 10) - 1), Err("file_bytes_max"));
        assert_eq!(with(|o| o.file_bytes_max = (1 << 40) + 1), Err("file_bytes_max"));
        assert_eq!(with(|o| o.group_records_max = 1024), Ok(()));
        assert_eq!(with(|o| o.group_records_max = 1025), Err("group_records_max"));
        assert_eq!(with(|o| o.group_records_max = 0), Err("group_records_max"));
        assert_eq!(with(|o| o.queue_records_max = 512), Ok(()));
        assert_eq!(with(|o| o.queue_records_max = 511), Err("queue_records_max"));
        let interval = |interval| {
            let anchor = AnchorOptions { interval, ..AnchorOptions::new("anchor") };
            AuditOptions { anchor: Some(anchor), ..AuditOptions::new("log") }.check().is_ok()
        };
        assert!(interval(Duration::from_millis(1)) && !interval(Duration::from_micros(999)));
        assert!(!interval(Duration::MAX));
    }
}
