//! Memory for secrets: owned in one place, guarded as well as the machine can, wiped when let go.
//!
//! A [`Secret`] is made empty and filled where it stays, so that its content is never moved: a
//! value that is returned or passed on leaves copies of itself on the stack. On Linux it has pages
//! of its own (with the feature `std`); elsewhere, and where the system gives none, it has a place
//! on the heap.
//!
//! What a process can do for its whole memory is beside it: [`forbid_core_dumps`].

#[cfg(feature = "std")]
mod core_dumps;
#[cfg_attr(not(all(target_os = "linux", feature = "std")), path = "secret/no_pages.rs")]
mod pages;

#[cfg(feature = "std")]
pub use core_dumps::{CoreDumpError, forbid_core_dumps};

use alloc::boxed::Box;
use core::fmt;
use core::ops::{Deref, DerefMut};

use zeroize::Zeroize;

use self::pages::{Mapping, Pages};

/// How well the memory of a [`Secret`] is guarded, from the weakest to the strongest.
///
/// | name | root, a debugger | core file | `gcore -a` | swap | child after `fork` |
/// |---|---|---|---|---|---|
/// | `wiped` | reads it | holds it | holds it | may hold it | has a copy |
/// | `locked` | reads it | leaves it out | holds it | never | has nothing there |
/// | `memfd_secret` | cannot read it | leaves it out | leaves it out | never | has nothing there |
///
/// No protection holds against code that runs in the process, and root can make it run there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Protection {
    /// Wiped before it is let go, and nothing more.
    Wiped,
    /// Pages of its own, locked in memory and left out of core dumps.
    Locked,
    /// The same, of a kind that the system itself has no address for: what reads another process's
    /// memory (`/proc/PID/mem`, `ptrace`, `process_vm_readv`) finds nothing there. Linux 5.14, from
    /// 6.5 on by default; the machine does not hibernate meanwhile.
    MemfdSecret,
}

impl Protection {
    /// The strongest protection that this process gets at the moment, found out by trying.
    ///
    /// A process that is short of lockable memory later gets less: what counts is
    /// [`Secret::protection`].
    #[must_use]
    pub fn strongest() -> Self {
        Secret::new([0_u8; 1], Self::Wiped).map_or(Self::Wiped, |secret| secret.protection())
    }

    /// What operators call the protection.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wiped => "wiped",
            Self::Locked => "locked",
            Self::MemfdSecret => "memfd_secret",
        }
    }

    /// The protection with this [`name`](Self::name).
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        [Self::Wiped, Self::Locked, Self::MemfdSecret].into_iter().find(|p| p.name() == name)
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A value that is a secret, at one address from its first byte to its wiping.
///
/// `T` has to hold its bytes itself: what it points to lies elsewhere. In pages of its own it has a
/// page before and one behind it that nobody may touch, so that reading past a neighbour's end
/// stops the process instead of showing the secret.
///
/// A child process that `fork` made and that did not `exec` must not touch or drop what was in
/// pages of its own: they are not there, and the child ends with `SIGSEGV`. (Pages that are there
/// but zeros would be a key of zeros.)
///
/// ```
/// use cvv2::secret::{Protection, Secret};
///
/// let mut pin = Secret::new([0_u8; 4], Protection::Wiped)?;
/// pin.copy_from_slice(b"1234");
/// assert_eq!(format!("{pin:?}"), "Secret([redacted])");
/// # Ok::<(), cvv2::secret::SecretError>(())
/// ```
pub struct Secret<T: Zeroize> {
    place: Place<T>,
}

enum Place<T> {
    Heap(Box<T>),
    Pages(Pages<T>),
}

impl<T: Zeroize> Secret<T> {
    /// Makes room for a secret, the strongest kind that is to be had: `blank` holds none yet and is
    /// filled in place.
    ///
    /// Room runs out before memory does. Lockable memory is limited for processes without
    /// `CAP_IPC_LOCK` (`RLIMIT_MEMLOCK`, often 8 MiB; a secret takes whole pages, and two more
    /// under `memfd_secret`), and so is the number of mappings (`vm.max_map_count`, of which a
    /// secret takes three).
    ///
    /// # Errors
    ///
    /// [`SecretError`] where there is none that is protected `at_least` so well; never for
    /// [`Protection::Wiped`].
    pub fn new(blank: T, at_least: Protection) -> Result<Self, SecretError> {
        let mut os_error = None;
        for protection in [Protection::MemfdSecret, Protection::Locked] {
            if protection < at_least {
                break;
            }
            match Mapping::new(size_of::<T>(), protection) {
                Ok(mapping) => {
                    return Ok(Self { place: Place::Pages(Pages::new(mapping, blank)) });
                }
                Err(error) => os_error = error,
            }
        }
        match at_least {
            Protection::Wiped => Ok(Self { place: Place::Heap(Box::new(blank)) }),
            wanted => Err(SecretError { wanted, os_error }),
        }
    }

    /// How the memory is guarded.
    #[must_use]
    pub fn protection(&self) -> Protection {
        match &self.place {
            Place::Heap(_) => Protection::Wiped,
            Place::Pages(pages) => pages.protection(),
        }
    }
}

impl<T: Zeroize> Deref for Secret<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match &self.place {
            Place::Heap(value) => value,
            Place::Pages(value) => value,
        }
    }
}

impl<T: Zeroize> DerefMut for Secret<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.place {
            Place::Heap(value) => value,
            Place::Pages(value) => value,
        }
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        (**self).zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

/// There is no memory of the wanted protection to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecretError {
    /// What was wanted.
    pub wanted: Protection,
    /// The system's reason as an `errno`; none where there is no way to ask for such memory.
    pub os_error: Option<i32>,
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no memory with the protection `{}` is to be had", self.wanted)?;
        match self.os_error {
            None => f.write_str(" on this platform; require less"),
            Some(error) => {
                write!(f, " (os error {error}); {}, or require less", pages::remedy(error))
            }
        }
    }
}

impl core::error::Error for SecretError {}

#[cfg(test)]
mod tests {
    use std::format;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const ALL: [Protection; 3] = [Protection::Wiped, Protection::Locked, Protection::MemfdSecret];

    #[test]
    fn protections_have_names_and_an_order() {
        assert!(ALL.is_sorted());
        for protection in ALL {
            assert_eq!(Protection::by_name(protection.name()), Some(protection));
            assert_eq!(format!("{protection}"), protection.name());
        }
        assert_eq!(ALL.map(Protection::name), ["wiped", "locked", "memfd_secret"]);
        assert_eq!(Protection::by_name("Locked"), None);
    }

    #[test]
    fn a_secret_is_protected_at_least_as_wanted_or_refused() {
        let strongest = Protection::strongest();
        for at_least in ALL {
            match Secret::new([0_u8; 32], at_least) {
                Ok(secret) => assert!(secret.protection() >= at_least),
                Err(error) => {
                    assert!(at_least > strongest);
                    assert_eq!(error.wanted, at_least);
                }
            }
        }
    }

    #[test]
    fn a_secret_holds_what_is_written_whatever_its_size_and_alignment() {
        #[repr(align(4096))]
        struct Page([u8; 3 * 4096]);
        impl Zeroize for Page {
            fn zeroize(&mut self) {
                self.0.zeroize();
            }
        }
        let mut small = Secret::new(0_u8, Protection::Wiped).unwrap();
        let mut empty = Secret::new([0_u8; 0], Protection::Wiped).unwrap();
        let mut large = Secret::new(Page([0; _]), Protection::Wiped).unwrap();
        assert!((&raw const *large).addr().is_multiple_of(4096));
        *small = 7;
        empty.fill(9);
        large.0.fill(5);
        assert_eq!((*small, empty.len()), (7, 0));
        assert!(large.0.iter().all(|byte| *byte == 5));
    }

    /// Counts how often it is wiped, and how often dropped after that.
    struct Watched<'a>(&'a [AtomicUsize; 2]);

    impl Zeroize for Watched<'_> {
        fn zeroize(&mut self) {
            self.0[0].fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Drop for Watched<'_> {
        fn drop(&mut self) {
            let wiped = self.0[0].load(Ordering::Relaxed);
            self.0[1].fetch_add(wiped, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_secret_is_wiped_once_and_dropped_once_after_it() {
        let counts = [const { AtomicUsize::new(0) }; 2];
        drop(Secret::new(Watched(&counts), Protection::Wiped).unwrap());
        assert_eq!(counts.map(AtomicUsize::into_inner), [1, 1]);
    }

    #[test]
    fn a_panic_wipes_what_is_alive() {
        let counts = [const { AtomicUsize::new(0) }; 2];
        let caught = std::panic::catch_unwind(|| {
            let _alive = Secret::new(Watched(&counts), Protection::Wiped).unwrap();
            std::panic::resume_unwind(Box::new(()));
        });
        assert!(caught.is_err());
        assert_eq!(counts.map(AtomicUsize::into_inner), [1, 1]);
    }

    #[test]
    fn a_secret_goes_to_another_thread_and_ends_there() {
        let mut secret = Secret::new([0_u8; 16], Protection::Wiped).unwrap();
        secret.fill(3);
        let sum = std::thread::spawn(move || secret.iter().map(|b| u32::from(*b)).sum::<u32>());
        assert_eq!(sum.join().unwrap(), 48);
    }
}
