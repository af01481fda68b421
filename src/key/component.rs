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
pub struct Component(Secret<[u8; CvkPair::LEN]>);

impl Component {
    /// Reads 32 hexadecimal digits, in either case, without secret-dependent branches or look-ups.
    ///
    /// # Errors
    ///
    /// [`KeyError::Length`] or [`KeyError::NotHex`] for anything else.
    pub fn from_hex(hex: &str) -> Result<Self, KeyError> {
        let blank = Secret::new([0; CvkPair::LEN], Protection::Wiped);
        let mut component = Self(blank.expect("any memory is protected so well"));
        decode_hex(hex, &mut *component.0)?;
        Ok(component)
    }

    /// The component's own check value, by which its custodian confirms what was typed.
    #[must_use]
    pub fn kcv(&self, method: KcvMethod) -> Kcv {
        Kcv::of_double_length(&self.0, method)
    }

    pub(super) fn bytes(&self) -> &[u8; CvkPair::LEN] {
        &self.0
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Component([redacted])")
    }
}
