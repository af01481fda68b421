//! No core file of this process, and no look into it by its own user.

use core::fmt;

/// Forbids core dumps of this process, for good.
///
/// Two ways, because either alone leaves a gap: `RLIMIT_CORE` is not asked where the system pipes
/// dumps to a program (systemd-coredump, apport), and `PR_SET_DUMPABLE` is forgotten by `exec`. The
/// second also keeps other processes of the same user from reading this one's memory. Root still
/// can: `gcore` works for it. To be called first thing in a process that is going to load keys.
///
/// # Errors
///
/// [`CoreDumpError`] where the system refuses, and on platforms other than Linux.
pub fn forbid_core_dumps() -> Result<(), CoreDumpError> {
    forbid().map_err(|os_error| CoreDumpError { os_error })
}

/// Core dumps could not be forbidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CoreDumpError {
    /// The system's reason as an `errno`; none where there is no way to ask.
    pub os_error: Option<i32>,
}

impl fmt::Display for CoreDumpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("core dumps of this process could not be switched off")?;
        match self.os_error {
            Some(error) => write!(f, " (os error {error}); see whether a sandbox forbids it"),
            None => f.write_str("; do it where the process is started"),
        }
    }
}

impl core::error::Error for CoreDumpError {}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "two calls to the system")]
fn forbid() -> Result<(), Option<i32>> {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call reads the limit that it is given.
    succeeded(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) })?;
    // SAFETY: this option takes one number, and no pointer.
    succeeded(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0_u64, 0_u64, 0_u64, 0_u64) })
}

#[cfg(not(target_os = "linux"))]
fn forbid() -> Result<(), Option<i32>> {
    Err(None)
}

#[cfg(target_os = "linux")]
fn succeeded(result: i32) -> Result<(), Option<i32>> {
    if result < 0 { Err(std::io::Error::last_os_error().raw_os_error()) } else { Ok(()) }
}
