//! Pages of its own for one value, between two that nobody may touch.
#![allow(unsafe_code, reason = "maps memory, and owns a value in it")]

use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use libc::{c_int, c_void};

use super::Protection;

/// A value in a mapping of its own; dropped, then unmapped.
pub(super) struct Pages<T> {
    value: NonNull<T>,
    mapping: Mapping,
    owns: PhantomData<T>,
}

impl<T> Pages<T> {
    /// Moves `blank` to a mapping that was made for its size.
    pub(super) fn new(mapping: Mapping, blank: T) -> Self {
        const { assert!(align_of::<T>() <= PAGE_MIN, "pages are aligned to their size") };
        assert!(size_of::<T>() <= mapping.usable());
        let value = mapping.usable_start().cast::<T>();
        // SAFETY: the place is writable for as many bytes as were just compared, at the start of a
        // page, and nobody else's.
        unsafe { value.write(blank) };
        Self { value, mapping, owns: PhantomData }
    }

    pub(super) fn protection(&self) -> Protection {
        self.mapping.protection
    }
}

impl<T> Deref for Pages<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: `new` wrote a value there, which stays until `drop`; it is borrowed as `self` is.
        unsafe { self.value.as_ref() }
    }
}

impl<T> DerefMut for Pages<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as for `deref`, and `self` is borrowed exclusively.
        unsafe { self.value.as_mut() }
    }
}

impl<T> Drop for Pages<T> {
    fn drop(&mut self) {
        // SAFETY: the value is there, is dropped here only, and its place goes with `mapping`,
        // which is dropped next, even if this panics.
        unsafe { self.value.drop_in_place() };
    }
}

// SAFETY: `Pages` owns its value as a box does, and a mapping belongs to the process, not to a
// thread.
unsafe impl<T: Send> Send for Pages<T> {}

// SAFETY: a shared `Pages` gives a shared value and nothing else.
unsafe impl<T: Sync> Sync for Pages<T> {}

/// Usable pages of one protection, with a page before and one behind that cannot be touched.
pub(super) struct Mapping {
    start: NonNull<c_void>,
    /// With both guard pages.
    len: usize,
    page: usize,
    protection: Protection,
}

impl Mapping {
    /// Maps at least `size` bytes, or gives the system's reason for not doing it.
    pub(super) fn new(size: usize, protection: Protection) -> Result<Self, Option<i32>> {
        Self::try_new(size, protection).map_err(|error| error.raw_os_error())
    }

    fn try_new(size: usize, protection: Protection) -> io::Result<Self> {
        let page = page_size();
        let len = size.max(1).next_multiple_of(page) + 2 * page;
        let start = match protection {
            Protection::MemfdSecret => map_secret(len)?,
            Protection::Locked | Protection::Wiped => map_anonymous(len)?,
        };
        // From here on whatever fails unmaps what was mapped.
        let mapping = Self { start, len, page, protection };
        mapping.open()?;
        if protection == Protection::Locked {
            mapping.lock()?;
            mapping.advise(libc::MADV_DONTDUMP)?;
        }
        // A child must not get at the secret, nor wipe its parent's when it drops it. Pages that
        // are zeros for the child (`MADV_WIPEONFORK`) would let it compute under a key of zeros.
        mapping.advise(libc::MADV_DONTFORK)?;
        Ok(mapping)
    }

    fn usable(&self) -> usize {
        self.len - 2 * self.page
    }

    fn usable_start(&self) -> NonNull<c_void> {
        // SAFETY: the mapping has more than one page.
        unsafe { self.start.byte_add(self.page) }
    }

    /// Makes all but the guard pages usable.
    fn open(&self) -> io::Result<()> {
        let usage = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the pages are this mapping's, and nothing is in them yet.
        succeeded(unsafe { libc::mprotect(self.usable_start().as_ptr(), self.usable(), usage) })
    }

    fn lock(&self) -> io::Result<()> {
        // SAFETY: locking changes no content.
        succeeded(unsafe { libc::mlock(self.usable_start().as_ptr(), self.usable()) })
    }

    fn advise(&self, advice: c_int) -> io::Result<()> {
        // SAFETY: neither advice of `try_new` changes what this process sees of its pages.
        succeeded(unsafe { libc::madvise(self.usable_start().as_ptr(), self.usable(), advice) })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // It fails if the system has no memory left to note the gap. The pages stay then, wiped.
        // SAFETY: the mapping was made with this place and length, and nobody uses it any more.
        unsafe { libc::munmap(self.start.as_ptr(), self.len) };
    }
}

/// What an operator can do about an error of [`Mapping::new`].
pub(super) fn remedy(os_error: i32) -> &'static str {
    match os_error {
        libc::ENOSYS => {
            "use Linux 5.14 or later (before 6.5, started with secretmem.enable=1), and no sandbox \
             that hides it"
        }
        libc::EAGAIN | libc::ENOMEM => {
            "raise the limit on locked memory (RLIMIT_MEMLOCK, LimitMEMLOCK= of systemd) and \
             vm.max_map_count"
        }
        libc::EPERM => {
            "raise the limit on locked memory (RLIMIT_MEMLOCK, LimitMEMLOCK= of systemd) from \
             zero, and see whether a sandbox forbids it"
        }
        _ => "see whether a sandbox forbids it",
    }
}

/// Pages that the system has no address for.
///
/// The guard pages are the file's as well and count as locked memory. Put there later by
/// `MAP_FIXED`, they would not count; but an attempt that fails may leave a gap that another thread
/// maps before it can be filled.
fn map_secret(len: usize) -> io::Result<NonNull<c_void>> {
    // SAFETY: the call takes flags and makes a file descriptor.
    let file = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    let file = RawFd::try_from(file).expect("file descriptors are ints");
    succeeded(file)?;
    // SAFETY: the descriptor was just made, and nobody else has it.
    let file = unsafe { OwnedFd::from_raw_fd(file) };
    let file_len = libc::off_t::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
    // SAFETY: the file is ours.
    succeeded(unsafe { libc::ftruncate(file.as_raw_fd(), file_len) })?;
    map(len, libc::MAP_SHARED, file.as_raw_fd())
}

fn map_anonymous(len: usize) -> io::Result<NonNull<c_void>> {
    map(len, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)
}

/// Maps pages that nobody may touch yet, where the system likes.
fn map(len: usize, flags: c_int, file: RawFd) -> io::Result<NonNull<c_void>> {
    // SAFETY: at a place of the system's choice there is nothing else.
    let start = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_NONE, flags, file, 0) };
    match NonNull::new(start) {
        Some(start) if start.as_ptr() != libc::MAP_FAILED => Ok(start),
        _ => Err(io::Error::last_os_error()),
    }
}

fn page_size() -> usize {
    // SAFETY: it only asks.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).expect("every Linux has a page size")
}

fn succeeded(result: c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The smallest page of any Linux.
const PAGE_MIN: usize = 4096;

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};
    use std::vec::Vec;
    use std::{format, fs};

    use super::*;

    /// One of each kind that this process can have. (Which it should have is the matter of
    /// `tests/protection.rs`.)
    fn mappings(size: usize) -> Vec<Mapping> {
        let kinds = [Protection::Locked, Protection::MemfdSecret];
        kinds.iter().filter_map(|kind| Mapping::new(size, *kind).ok()).collect()
    }

    /// The rights of the mapping with this first byte, and its flags.
    fn of_mapping(start: usize) -> (String, String) {
        let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
        let head = format!("{start:x}-");
        let mut lines = smaps.lines().skip_while(|line| !line.starts_with(&head));
        let rights = lines.next().expect("mapped").split(' ').nth(1).unwrap();
        let flags = lines.find_map(|line| line.strip_prefix("VmFlags:")).unwrap();
        (rights.to_string(), format!("{flags} "))
    }

    #[test]
    fn pages_are_locked_and_neither_dumped_nor_copied_to_a_child() {
        for mapping in mappings(5000) {
            let (rights, flags) = of_mapping(mapping.usable_start().addr().get());
            assert_eq!(rights[..2], *"rw");
            for flag in [" lo ", " dd ", " dc "] {
                assert!(flags.contains(flag), "{}: {flags} has{flag}", mapping.protection);
            }
        }
    }

    #[test]
    fn the_pages_around_cannot_be_touched() {
        for mapping in mappings(5000) {
            let usable = mapping.usable_start().addr().get();
            assert_eq!(mapping.usable(), 5000_usize.next_multiple_of(mapping.page));
            // A guard page may be one mapping with what cannot be touched beside it.
            let maps = fs::read_to_string("/proc/self/maps").unwrap();
            for guard in [usable - 1, usable + mapping.usable()] {
                let holds = |line: &&str| {
                    let range = line.split(' ').next().unwrap().split('-');
                    let ends: Vec<_> = range.map(|at| usize::from_str_radix(at, 16)).collect();
                    (ends[0].clone().unwrap()..ends[1].clone().unwrap()).contains(&guard)
                };
                let line = maps.lines().find(holds).expect("guard pages are mapped");
                assert_eq!(line.split(' ').nth(1).unwrap()[..3], *"---", "{line}");
            }
        }
    }

    #[test]
    fn more_than_there_can_be_is_refused_with_a_remedy() {
        for kind in [Protection::Locked, Protection::MemfdSecret] {
            let error =
                Mapping::new(usize::MAX / 2 - (1 << 20), kind).err().unwrap().expect("an errno");
            assert!(!remedy(error).is_empty());
        }
    }
}
