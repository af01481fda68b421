//! Card verification keys: how they come in, what is refused, how they are named.

pub mod block;
mod component;
mod kcv;
mod parity;

pub use block::{
    Exportability, Kbpk, KbpkAlgorithm, KbpkComponent, KbpkError, KeyAlgorithm, KeyBlock,
    KeyBlockError, KeyBlockHeader, KeyBlockVersion, KeyContext, KeyUsage, KeyVersion, ModeOfUse,
    OpenedKey, OptionalBlock,
};
pub use component::Component;
pub use kcv::{Kcv, KcvMethod};
pub(crate) use parity::set_odd_parity;

use alloc::boxed::Box;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroize;

use crate::card::ExpiryOrder;
use crate::kernel::{Kernel, KeyMaterial};
use crate::residue;
use crate::secret::{Protection, Secret, SecretError};

/// The two halves of a card verification key, CVK A and CVK B, ready to compute.
///
/// The bytes live in a [`Secret`], the best protected that is to be had, are written there directly,
/// are zeroized when the pair is dropped, and cannot be read back. The [`ExpiryOrder`] belongs to the key because issuers differ
/// and both ends must agree.
///
/// ```
/// use cvv2::{CvkPair, ExpiryOrder, KcvMethod, KeyError, Policy};
///
/// let hex = "0123456789ABCDEFFEDCBA9876543210"; // a published test key
/// let cvk = CvkPair::from_hex(hex, ExpiryOrder::YyMm, Policy::Strict)?;
/// assert_eq!(cvk.kcv(KcvMethod::TdesZeros).to_string(), "08D7B4");
/// # Ok::<(), KeyError>(())
/// ```
pub struct CvkPair {
    material: Secret<KeyMaterial>,
    expiry_order: ExpiryOrder,
    policy: Policy,
    kernel: Kernel,
    refusing: AtomicBool,
    /// What the key block said that the key came in.
    header: Option<Box<KeyBlockHeader>>,
}

impl CvkPair {
    /// Bytes of a double-length key.
    pub const LEN: usize = 16;

    /// Takes a double-length key: CVK A, then CVK B.
    ///
    /// `key` stays the caller's to wipe.
    ///
    /// # Errors
    ///
    /// [`KeyError`] for what `policy` refuses.
    pub fn from_bytes(
        key: &[u8; Self::LEN],
        order: ExpiryOrder,
        policy: Policy,
    ) -> Result<Self, KeyError> {
        let mut material = blank();
        material.bytes_mut().copy_from_slice(key);
        Self::accept(material, order, policy)
    }

    /// Takes the two single-length halves that some systems still export.
    ///
    /// # Errors
    ///
    /// [`KeyError`] for what `policy` refuses.
    pub fn from_halves(
        a: &[u8; 8],
        b: &[u8; 8],
        order: ExpiryOrder,
        policy: Policy,
    ) -> Result<Self, KeyError> {
        let mut material = blank();
        material.bytes_mut()[..8].copy_from_slice(a);
        material.bytes_mut()[8..].copy_from_slice(b);
        Self::accept(material, order, policy)
    }

    /// Reads a double-length key of 32 hexadecimal digits, in either case.
    ///
    /// The digits are decoded without secret-dependent branches or look-ups, straight to where the
    /// key stays.
    ///
    /// # Errors
    ///
    /// [`KeyError::Length`] and [`KeyError::NotHex`] for a text that is not 32 hexadecimal digits,
    /// and [`KeyError`] for what `policy` refuses.
    pub fn from_hex(hex: &str, order: ExpiryOrder, policy: Policy) -> Result<Self, KeyError> {
        Self::from_hex_in(hex, order, policy, Protection::Wiped)
    }

    /// As [`from_hex`](Self::from_hex), in memory that is protected `at_least` so well.
    ///
    /// ```
    /// use cvv2::secret::Protection;
    /// use cvv2::{CvkPair, ExpiryOrder, KeyError, Policy};
    ///
    /// let hex = "0123456789ABCDEFFEDCBA9876543210"; // a published test key
    /// let (order, policy) = (ExpiryOrder::YyMm, Policy::Strict);
    /// match CvkPair::from_hex_in(hex, order, policy, Protection::Locked) {
    ///     Ok(cvk) => assert!(cvk.protection() >= Protection::Locked),
    ///     Err(error) => assert!(matches!(error, KeyError::Secret(_))),
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`from_hex`](Self::from_hex), and [`KeyError::Secret`] where there is no such memory.
    pub fn from_hex_in(
        hex: &str,
        order: ExpiryOrder,
        policy: Policy,
        at_least: Protection,
    ) -> Result<Self, KeyError> {
        let mut material = KeyMaterial::zeros(at_least)?;
        decode_hex(hex, material.bytes_mut())?;
        Self::accept(material, order, policy)
    }

    /// Reads the two halves of 16 hexadecimal digits each, in either case.
    ///
    /// # Errors
    ///
    /// As [`from_hex`](Self::from_hex); positions count from the start of the half that is wrong.
    pub fn from_hex_halves(
        a: &str,
        b: &str,
        order: ExpiryOrder,
        policy: Policy,
    ) -> Result<Self, KeyError> {
        let mut material = blank();
        decode_hex(a, &mut material.bytes_mut()[..8])?;
        decode_hex(b, &mut material.bytes_mut()[8..])?;
        Self::accept(material, order, policy)
    }

    /// Combines full-length components by exclusive-or and gives the sum odd parity.
    ///
    /// Components of odd parity sum to even parity; DES ignores the parity bits, and payment HSMs
    /// set them the same way. The key gets memory that is no less protected than was
    /// [asked for](Component::from_hex_in) each of its components.
    ///
    /// # Errors
    ///
    /// [`KeyError::Components`] for fewer than two, [`KeyError::Secret`] where there is no such
    /// memory, and [`KeyError`] for what `policy` refuses.
    pub fn from_components(
        components: &[Component],
        order: ExpiryOrder,
        policy: Policy,
    ) -> Result<Self, KeyError> {
        if components.len() < 2 {
            return Err(KeyError::Components { given: components.len() });
        }
        let mut material = KeyMaterial::zeros(strictest(components))?;
        for component in components {
            for (byte, part) in material.bytes_mut().iter_mut().zip(component.bytes()) {
                *byte ^= part;
            }
        }
        set_odd_parity(material.bytes_mut());
        Self::accept(material, order, policy)
    }

    /// The same key computed by another kernel, for tests, benchmarks and operators.
    #[must_use]
    pub fn with_kernel(self, kernel: Kernel) -> Self {
        Self { kernel, ..self }
    }

    /// The key check value: what a custodian compares and a log may name the key by.
    #[must_use]
    pub fn kcv(&self, method: KcvMethod) -> Kcv {
        Kcv::of_double_length(self.material.bytes(), method)
    }

    /// The order in which the expiry enters the calculation.
    #[must_use]
    pub fn expiry_order(&self) -> ExpiryOrder {
        self.expiry_order
    }

    /// The policy that the key was accepted under.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// How the memory that the key lives in is guarded.
    #[must_use]
    pub fn protection(&self) -> Protection {
        self.material.protection()
    }

    /// The kernel that computes.
    #[must_use]
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// The key bytes, for kernels.
    pub(crate) fn material(&self) -> &KeyMaterial {
        &self.material
    }

    /// Whether an earlier call failed its self-test.
    pub(crate) fn is_refusing(&self) -> bool {
        self.refusing.load(Ordering::Relaxed)
    }

    /// Stops the key from computing: a call failed its self-test.
    pub(crate) fn refuse(&self) {
        self.refusing.store(true, Ordering::Relaxed);
    }

    /// The key material, for fault injection.
    #[cfg(test)]
    pub(crate) fn material_mut(&mut self) -> &mut KeyMaterial {
        &mut self.material
    }

    /// Takes a place that the key bytes were written to.
    pub(crate) fn accept(
        mut material: Secret<KeyMaterial>,
        expiry_order: ExpiryOrder,
        policy: Policy,
    ) -> Result<Self, KeyError> {
        let accepted = match policy {
            Policy::Strict => parity::refuse_bad_halves(material.a(), material.b()),
            Policy::TestVectors => Ok(()),
        };
        residue::wipe::<{ 4 << 10 }>();
        accepted?;
        material.expand();
        let refusing = AtomicBool::new(false);
        let kernel = Kernel::detect();
        Ok(Self { material, expiry_order, policy, kernel, refusing, header: None })
    }
}

impl fmt::Debug for CvkPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CvkPair")
            .field("kcv", &self.kcv(KcvMethod::TdesZeros))
            .field("expiry_order", &self.expiry_order)
            .field("policy", &self.policy)
            .field("kernel", &self.kernel)
            .finish_non_exhaustive()
    }
}

impl ConstantTimeEq for CvkPair {
    /// Whether the key bytes are the same, parity bits included.
    fn ct_eq(&self, other: &Self) -> Choice {
        self.material.bytes().ct_eq(other.material.bytes())
    }
}

/// What is refused of a key besides what cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Policy {
    /// For live keys: odd parity, no weak or semi-weak half, CVK A and CVK B different. Weak halves
    /// and equality are judged after parity is set, so that a parity twin is no way around.
    Strict,
    /// For published test data only, most of which has bad parity or equal halves: refuses nothing.
    TestVectors,
}

/// Why a key was refused. Never holds or shows key bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// A combination needs at least two components.
    Components {
        /// How many there were.
        given: usize,
    },
    /// CVK A and CVK B are the same key: triple DES would be single DES.
    EqualHalves,
    /// The number of hexadecimal digits is wrong.
    Length {
        /// How many characters there were.
        chars: usize,
        /// How many there should be.
        expected: usize,
    },
    /// A character is no hexadecimal digit.
    NotHex {
        /// Its position, counted in characters from zero.
        at: usize,
    },
    /// Bytes have an even number of ones.
    Parity {
        /// How many of the 16 bytes.
        bytes: u32,
    },
    /// There is no memory with the wanted protection.
    Secret(SecretError),
    /// A half is one of the weak or semi-weak keys of DES.
    Weak {
        /// `'A'` or `'B'`.
        half: char,
    },
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Components { given } => {
                write!(f, "{given} key components were given; combine at least two")
            }
            Self::EqualHalves => {
                f.write_str("CVK A and CVK B are the same key; ask the issuer for the right pair")
            }
            Self::Length { chars, expected } => {
                write!(f, "the key has {chars} characters; give {expected} hexadecimal digits")
            }
            Self::NotHex { at } => {
                write!(f, "character {} of the key is not a hexadecimal digit", at + 1)
            }
            Self::Parity { bytes } => write!(
                f,
                "{bytes} of the 16 key bytes have even parity; a key entered as it was issued has \
                 odd parity in every byte, so check it for a typing error"
            ),
            Self::Secret(error) => error.fmt(f),
            Self::Weak { half } => {
                write!(f, "CVK {half} is a weak or semi-weak DES key; have the pair replaced")
            }
        }
    }
}

impl core::error::Error for KeyError {}

impl From<SecretError> for KeyError {
    fn from(error: SecretError) -> Self {
        Self::Secret(error)
    }
}

/// The best memory that is to be had.
fn blank() -> Secret<KeyMaterial> {
    KeyMaterial::zeros(Protection::Wiped).expect("any memory is protected so well")
}

/// The most that was asked for any of them.
fn strictest(components: &[Component]) -> Protection {
    components.iter().map(Component::at_least).max().unwrap_or(Protection::Wiped)
}

/// Decodes exactly `into.len()` bytes of hexadecimal digits, in either case.
///
/// A text that is refused may have been half a key: what was decoded of it is wiped.
fn decode_hex(hex: &str, into: &mut [u8]) -> Result<(), KeyError> {
    let expected = 2 * into.len();
    let chars = hex.chars().count();
    if chars != expected {
        return Err(KeyError::Length { chars, expected });
    }
    // Looking for the culprit branches on the text, but only once it is known to be no key.
    base16ct::mixed::decode(hex, into).map(|_| ()).map_err(|_| {
        into.zeroize();
        let at = hex.chars().position(|c| !c.is_ascii_hexdigit());
        KeyError::NotHex { at: at.expect("refused for a character that is no digit") }
    })
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::ToString;

    use super::*;

    const HEX: &str = "0123456789ABCDEFFEDCBA9876543210";

    fn strict(hex: &str) -> Result<CvkPair, KeyError> {
        CvkPair::from_hex(hex, ExpiryOrder::YyMm, Policy::Strict)
    }

    #[test]
    fn every_way_in_gives_the_same_key() {
        let bytes: [u8; 16] = hex::decode(HEX).unwrap().try_into().unwrap();
        let (a, b) = (bytes.first_chunk().unwrap(), bytes.last_chunk().unwrap());
        let (order, policy) = (ExpiryOrder::YyMm, Policy::Strict);
        let expected = strict(HEX).unwrap();
        for pair in [
            CvkPair::from_bytes(&bytes, order, policy).unwrap(),
            CvkPair::from_halves(a, b, order, policy).unwrap(),
            CvkPair::from_hex(&HEX.to_lowercase(), order, policy).unwrap(),
            CvkPair::from_hex_halves(&HEX[..16], &HEX[16..], order, policy).unwrap(),
        ] {
            assert!(bool::from(pair.ct_eq(&expected)));
        }
    }

    #[test]
    fn text_that_is_no_key_is_refused_with_length_or_position() {
        let length = |chars| KeyError::Length { chars, expected: 32 };
        for (text, error) in [
            ("", length(0)),
            (&HEX[1..], length(31)),
            (&HEX[..16], length(16)),
            ("0123456789ABCDEFFEDCBA98765432100", length(33)),
            ("0x23456789ABCDEFFEDCBA9876543210", KeyError::NotHex { at: 1 }),
            ("0123456789ABCDEF FEDCBA987654321", KeyError::NotHex { at: 16 }),
            ("0123456789ABCDEFFEDCBA987654321G", KeyError::NotHex { at: 31 }),
            ("０123456789ABCDEFFEDCBA9876543210", KeyError::NotHex { at: 0 }),
        ] {
            assert_eq!(strict(text).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn strict_refuses_what_test_vectors_need() {
        for (hex, error) in [
            ("0022446688AACCEEFFDDBB9977553311", KeyError::Parity { bytes: 16 }),
            ("0123456789ABCDEF0123456789ABCDEF", KeyError::EqualHalves),
            ("01010101010101010123456789ABCDEF", KeyError::Weak { half: 'A' }),
            ("0123456789ABCDEFE0FEE0FEF1FEF1FE", KeyError::Weak { half: 'B' }),
        ] {
            assert_eq!(strict(hex).unwrap_err(), error, "{hex}");
            CvkPair::from_hex(hex, ExpiryOrder::YyMm, Policy::TestVectors).unwrap();
        }
    }

    #[test]
    fn components_sum_to_the_key_with_parity_set() {
        // dkam/hsmr, doc/KVC.examples.txt: payShield console output.
        let parts = ["137A2C25C198E3EAA76161B99BA4C267", "D5BFAD649E4CC43D023151DFC2791CE5"]
            .map(|hex| Component::from_hex(hex).unwrap());
        let pair = CvkPair::from_components(&parts, ExpiryOrder::YyMm, Policy::Strict).unwrap();
        let sum = strict("C7C480405ED526D6A451316758DCDF83").unwrap();
        assert!(bool::from(pair.ct_eq(&sum)));
        assert_eq!(pair.kcv(KcvMethod::TdesZeros).to_string(), "D5BE96");
    }

    #[test]
    fn a_key_has_the_memory_that_was_asked_for_or_there_is_none() {
        for at_least in [Protection::Wiped, Protection::Locked, Protection::MemfdSecret] {
            let component = Component::from_hex_in(HEX, at_least);
            let key = CvkPair::from_hex_in(HEX, ExpiryOrder::YyMm, Policy::Strict, at_least);
            if Protection::strongest() < at_least {
                assert!(matches!(component.unwrap_err(), KeyError::Secret(_)));
                assert!(matches!(key.unwrap_err(), KeyError::Secret(_)));
            } else {
                assert!(component.unwrap().protection() >= at_least);
                assert!(key.unwrap().protection() >= at_least);
            }
        }
    }

    #[test]
    fn a_sum_is_asked_for_what_the_strictest_component_was() {
        let strongest = Protection::strongest();
        let component = |hex, at_least| Component::from_hex_in(hex, at_least).unwrap();
        let parts = [
            component("137A2C25C198E3EAA76161B99BA4C267", Protection::Wiped),
            component("D5BFAD649E4CC43D023151DFC2791CE5", strongest),
        ];
        assert_eq!(strictest(&parts[..1]), Protection::Wiped);
        assert_eq!(strictest(&parts), strongest);
        let pair = CvkPair::from_components(&parts, ExpiryOrder::YyMm, Policy::Strict).unwrap();
        assert!(pair.protection() >= strongest);
    }

    #[test]
    fn fewer_than_two_components_are_no_key() {
        let one = [Component::from_hex(HEX).unwrap()];
        for (given, parts) in [(0, &one[..0]), (1, &one[..])] {
            let error = CvkPair::from_components(parts, ExpiryOrder::YyMm, Policy::TestVectors);
            assert_eq!(error.unwrap_err(), KeyError::Components { given });
        }
    }

    #[test]
    fn debug_names_the_key_by_its_check_value_only() {
        assert_eq!(
            format!(
                "{:?}",
                strict(HEX).unwrap().with_kernel(Kernel::by_name("reference").unwrap())
            ),
            "CvkPair { kcv: Kcv(08D7B4), expiry_order: YyMm, policy: Strict, \
             kernel: Kernel(reference), .. }"
        );
    }

    #[test]
    fn a_refused_text_leaves_nothing_decoded() {
        let mut into = [0xAA; 16];
        decode_hex("0123456789ABCDEFFEDCBA987654321G", &mut into).unwrap_err();
        assert_eq!(into, [0; 16]);
    }
}
