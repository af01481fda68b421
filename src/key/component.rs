//! Full-length key components, held by one custodian each.

use core::fmt;

use super::{CvkPair, Kcv, KcvMethod, KeyError, decode_hex};
use crate::secret::{Protection, Secret};

/// One of the components that a [`CvkPair`] is the exclusive-or of.
///
/// A component is as long as the key and tells nothing about it alone. (A *share* of a threshold
/// scheme is something else.) It lives in a [`Secret`], is zeroized when dropped, and cannot be read back.
///
/// ```
/// use cvv2::{Component, CvkPair, ExpiryOrder, KcvMethod, KeyError, Policy};
///
/// let first = Component::from_hex("137A2C25C198E3EAA76161B99BA4C267")?;
/// let second = Component::from_hex("D5BFAD649E4CC43D023151DFC2791CE5")?;
/// let cvk =
///     CvkPair::from_components(&[first, second], ExpiryOrder::YyMm, Policy::Strict)?;
/// assert_eq!(cvk.kcv(KcvMethod::TdesZeros).to_string(), "D5BE96");
/// # Ok::<(), KeyError>(())
/// ```
pub struct Component {
    bytes: Secret<[u8; CvkPair::LEN]>,
    at_least: Protection,
}

impl Component {
    /// Reads 32 hexadecimal digits, in either case, without secret-dependent branches or look-ups.
    ///
    /// The component lives in the best protected memory that is to be had, and takes any.
    ///
    /// # Errors
    ///
    /// [`KeyError::Length`] or [`KeyError::NotHex`] for anything else.
    pub fn from_hex(hex: &str) -> Result<Self, KeyError> {
        Self::from_hex_in(hex, Protection::Wiped)
    }

    /// As [`from_hex`](Self::from_hex), in memory that is protected `at_least` so well. A key that
    /// the component is combined to gets no less.
    ///
    /// # Errors
    ///
    /// As [`from_hex`](Self::from_hex), and [`KeyError::Secret`] where there is no such memory.
    pub fn from_hex_in(hex: &str, at_least: Protection) -> Result<Self, KeyError> {
        let mut bytes = Secret::new([0; CvkPair::LEN], at_least)?;
        decode_hex(hex, &mut *bytes)?;
        Ok(Self { bytes, at_least })
    }

    /// How the memory that the component lives in is guarded.
    #[must_use]
    pub fn protection(&self) -> Protection {
        self.bytes.protection()
    }

    /// The component's own check value, by which its custodian confirms what was typed.
    #[must_use]
    pub fn kcv(&self, method: KcvMethod) -> Kcv {
        Kcv::of_double_length(&self.bytes, method)
    }

    pub(super) fn bytes(&self) -> &[u8; CvkPair::LEN] {
        &self.bytes
    }

    /// What is to be asked of memory for a key that it is a part of.
    pub(super) fn at_least(&self) -> Protection {
        self.at_least
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Component([redacted])")
    }
}
