//! What the child takes from itself, and what it asks for.
#![expect(unsafe_code, reason = "calls to the system")]

use std::{fs, io};

use cvv2::secret::Protection;

/// Makes the system calls unknown that give stronger protection than this, as a container may.
pub(crate) fn cap(protection: Protection) {
    match protection {
        Protection::Wiped => forbid(&[libc::SYS_memfd_secret, libc::SYS_mlock2, libc::SYS_mlock]),
        Protection::Locked => forbid(&[libc::SYS_memfd_secret]),
        _ => {}
    }
}

/// Has the system write a core file of all memory when this process ends by a signal.
pub(crate) fn want_core_file() -> io::Result<()> {
    let unlimited = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the call reads the limit that it is given.
    if unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const unlimited) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // Private and shared memory, of files or not, huge pages and all.
    fs::write("/proc/self/coredump_filter", "0x7f")
}

fn forbid(calls: &[libc::c_long]) {
    let does = |code: u32, jump_if_not: u8, value: u32| libc::sock_filter {
        code: u16::try_from(code).expect("codes are small"),
        jt: 0,
        jf: jump_if_not,
        k: value,
    };
    let unknown = libc::SECCOMP_RET_ERRNO | u32::try_from(libc::ENOSYS).expect("it is small");
    // The number of the system call is the first word of what a filter sees.
    let mut filter = vec![does(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    for call in calls {
        let number = u32::try_from(*call).expect("numbers of system calls are small");
        filter.push(does(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, number));
        filter.push(does(libc::BPF_RET | libc::BPF_K, 0, unknown));
    }
    filter.push(does(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW));
    let len = u16::try_from(filter.len()).expect("it is short");
    let program = libc::sock_fprog { len, filter: filter.as_mut_ptr() };
    let mode = libc::c_ulong::from(libc::SECCOMP_MODE_FILTER);
    // SAFETY: the program and its filter live until the call has copied them.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1_u64, 0_u64, 0_u64, 0_u64), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program), 0);
    }
}
