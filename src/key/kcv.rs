//! Key check values.

use core::fmt;

use cipher::{BlockCipherEncrypt, KeyInit};
use cmac::{Cmac, Mac};
use des::TdesEde2;

use crate::residue;

/// A key check value (KCV): three bytes that name a key without telling it.
///
/// It is no secret: custodians compare it and logs name keys by it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kcv {
    bytes: [u8; 3],
}

/// How a [`Kcv`] is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KcvMethod {
    /// CMAC (NIST SP 800-38B) over one block of zeros, its leftmost three bytes: ANSI X9.24-1:2017.
    Cmac,
    /// One block of zeros encrypted, its leftmost three bytes: the older way, shown by every
    /// payment HSM.
    TdesZeros,
}

impl Kcv {
    /// The three bytes.
    #[must_use]
    pub const fn bytes(self) -> [u8; 3] {
        self.bytes
    }

    /// The check value of a double-length key or component.
    pub(crate) fn of_double_length(key: &[u8; 16], method: KcvMethod) -> Self {
        let kcv = Self::compute(key, method);
        // RustCrypto's ciphers leave round keys where they were moved from.
        residue::wipe::<{ 32 << 10 }>();
        kcv
    }

    #[inline(never)]
    fn compute(key: &[u8; 16], method: KcvMethod) -> Self {
        match method {
            KcvMethod::Cmac => {
                let mac = Cmac::<TdesEde2>::new(key.into()).chain_update([0; 8]).finalize();
                Self::leftmost(&mac.into_bytes())
            }
            KcvMethod::TdesZeros => {
                let mut block = [0; 8];
                TdesEde2::new(key.into()).encrypt_block((&mut block).into());
                Self::leftmost(&block)
            }
        }
    }

    /// The check value that starts `block`.
    pub(crate) fn leftmost(block: &[u8]) -> Self {
        Self { bytes: *block.first_chunk().expect("a cipher block has 8 bytes") }
    }
}

impl fmt::Display for Kcv {
    /// Six upper-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c] = self.bytes;
        write!(f, "{a:02X}{b:02X}{c:02X}")
    }
}

impl fmt::Debug for Kcv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kcv({self})")
    }
}
