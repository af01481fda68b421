//! What becomes of keys where memory for them is short or forbidden.
//!
//! Limits hold for the whole process and filters for a thread, so these tests are apart from all
//! others, one after the other, each in a thread of its own.
#![cfg(all(target_os = "linux", feature = "std"))]
#![expect(unsafe_code, reason = "takes limits and privileges away")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::fs;
use std::sync::{Mutex, PoisonError};
use std::thread;

use cvv2::secret::{Protection, Secret};
use cvv2::{CvkPair, Expiry, ExpiryOrder, Pan, Policy, ServiceCode};

#[test]
fn where_no_memory_can_be_locked_keys_are_wiped_memory_or_refused() {
    with_lockable(0, || {
        assert_eq!(Protection::strongest(), Protection::Wiped);
        for wanted in [Protection::Locked, Protection::MemfdSecret] {
            let error = Secret::new([0_u8; 16], wanted).unwrap_err();
            assert_eq!(error.wanted, wanted);
            let text = error.to_string();
            assert!(text.contains(wanted.name()), "{text}");
            assert!(text.contains("RLIMIT_MEMLOCK") || text.contains("secretmem"), "{text}");
        }
        let key = key();
        assert_eq!(key.protection(), Protection::Wiped);
        assert_computes(&key);
    });
}

#[test]
fn when_lockable_memory_runs_out_keys_get_less_and_compute() {
    with_lockable(256 << 10, || {
        let keys: Vec<_> = (0..64).map(|_| key()).collect();
        let had: Vec<_> = keys.iter().map(CvkPair::protection).collect();
        assert!(had[0] >= Protection::Locked, "some memory can be locked: {had:?}");
        assert!(had.is_sorted_by(|earlier, later| earlier >= later), "{had:?}");
        assert_eq!(had[63], Protection::Wiped, "{had:?}");
        keys.iter().for_each(assert_computes);
        drop(keys);
        assert_eq!(key().protection(), had[0], "what was dropped is there again");
    });
}

#[test]
fn where_a_sandbox_forbids_memfd_secret_keys_are_locked() {
    in_own_thread(|| {
        let strongest = Protection::strongest();
        forbid_memfd_secret();
        assert_eq!(Protection::strongest(), strongest.min(Protection::Locked));
        let key = key();
        assert_eq!(key.protection(), strongest.min(Protection::Locked));
        assert_computes(&key);
        let error = Secret::new([0_u8; 16], Protection::MemfdSecret).unwrap_err();
        assert_eq!(error.os_error, Some(libc::ENOSYS));
    });
}

#[test]
fn dropped_secrets_leave_no_mapping_and_no_lock() {
    in_own_thread(|| {
        let mappings = || fs::read_to_string("/proc/self/maps").unwrap().lines().count();
        let locked_kib = || {
            let status = fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
            line.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
        };
        let before = (mappings(), locked_kib());
        for _ in 0..500 {
            drop([key(), key()]);
        }
        // Threads of the test harness come and go; a thousand keys would be far more.
        assert!(mappings() < before.0 + 300, "{before:?}, then {}", mappings());
        assert!(locked_kib() < before.1 + 1000, "{before:?}, then {}", locked_kib());
    });
}

/// Runs `test` in a thread that may lock so many bytes, and has no right to pass over that.
fn with_lockable(bytes: libc::rlim_t, test: impl FnOnce() + Send + 'static) {
    in_own_thread(move || {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the call writes the limit that it is given.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) }, 0);
        let _restored = Restored(limit);
        set_lockable(&libc::rlimit { rlim_cur: bytes.min(limit.rlim_max), ..limit });
        // SAFETY: numbers only. The system call takes this thread's identity, and with it the right
        // to lock without limit; the C library's function would take the whole process's.
        unsafe {
            if libc::geteuid() == 0 {
                assert_eq!(libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY), 0);
            }
        }
        test();
    });
}

/// A limit of locked memory that holds again when this is dropped.
struct Restored(libc::rlimit);

impl Drop for Restored {
    fn drop(&mut self) {
        set_lockable(&self.0);
    }
}

fn set_lockable(limit: &libc::rlimit) {
    // SAFETY: the call reads the limit that it is given.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, limit) }, 0);
}

/// Makes `memfd_secret` unknown to this thread, as container runtimes do.
fn forbid_memfd_secret() {
    let number = u32::try_from(libc::SYS_memfd_secret).unwrap();
    let unknown = libc::SECCOMP_RET_ERRNO | u32::try_from(libc::ENOSYS).unwrap();
    let does = |code: u32, jump_if_not: u8, value: u32| libc::sock_filter {
        code: u16::try_from(code).unwrap(),
        jt: 0,
        jf: jump_if_not,
        k: value,
    };
    // The system call's number is the first word of what a filter sees.
    let mut filter = [
        does(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        does(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, number),
        does(libc::BPF_RET | libc::BPF_K, 0, unknown),
        does(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
    let mode = libc::c_ulong::from(libc::SECCOMP_MODE_FILTER);
    // SAFETY: the program and its filter live until the call has copied them.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1_u64, 0_u64, 0_u64, 0_u64), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program), 0);
    }
}

/// Runs `test` in a new thread, and no other test beside it.
fn in_own_thread(test: impl FnOnce() + Send + 'static) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(panic) = thread::spawn(test).join() {
        std::panic::resume_unwind(panic);
    }
}

fn key() -> CvkPair {
    let hex = "0123456789ABCDEFFEDCBA9876543210";
    CvkPair::from_hex(hex, ExpiryOrder::YyMm, Policy::Strict).unwrap()
}

/// A value of Visa's published test set.
fn assert_computes(key: &CvkPair) {
    let pan = Pan::parse("4123456789012345").unwrap();
    let expiry = Expiry::parse_yymm("8701").unwrap();
    let cvv = key.cvv(&pan, &expiry, &ServiceCode::parse("101").unwrap()).unwrap();
    assert_eq!(cvv.expose().as_str(), "561");
}

/// The user without rights of most systems.
const NOBODY: libc::c_long = 65534;
