//! Memory for secrets: owned in one place, wiped when let go.

use alloc::boxed::Box;
use core::fmt;
use core::ops::{Deref, DerefMut};

use zeroize::Zeroize;

/// How well the memory of a [`Secret`] is guarded, from the weakest to the strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Protection {
    /// Wiped before it is let go, and nothing more.
    Wiped,
    /// Locked in memory and left out of core dumps, too.
    Locked,
    /// Pages that no other process can read, root's included.
    MemfdSecret,
}

/// A value that is a secret, at one address from its first byte to its wiping.
pub struct Secret<T: Zeroize> {
    value: Box<T>,
}

impl<T: Zeroize> Secret<T> {
    /// Makes room for a secret: `blank` holds none yet and is filled in place.
    ///
    /// # Errors
    ///
    /// [`SecretError`] where the machine has no memory of this protection to give.
    pub fn new(blank: T, at_least: Protection) -> Result<Self, SecretError> {
        if at_least > Protection::Wiped {
            return Err(SecretError { wanted: at_least });
        }
        Ok(Self { value: Box::new(blank) })
    }

    /// How the memory is guarded.
    #[must_use]
    pub fn protection(&self) -> Protection {
        Protection::Wiped
    }
}

impl<T: Zeroize> Deref for Secret<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Zeroize> DerefMut for Secret<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

/// The machine has no memory of the wanted protection to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecretError {
    /// What was wanted.
    pub wanted: Protection,
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no memory of the protection {:?} to be had", self.wanted)
    }
}

impl core::error::Error for SecretError {}
