//! Key block protection keys: what key blocks are opened and sealed with.

use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::cipher::BlockCipher;
use super::derive::{Purpose, derive};
use crate::declassify::declassify;
use crate::key::parity::{equal_but_for_parity, is_weak};
use crate::key::{Kcv, KeyError, decode_hex};
use crate::secret::{Protection, Secret, SecretError};

/// The cipher of a protection key, and the length of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KbpkAlgorithm {
    /// Triple DES, 16 bytes: versions A, B and C.
    TdesDouble,
    /// Triple DES, 24 bytes: versions A, B and C.
    TdesTriple,
    /// AES, 16 bytes: version D.
    Aes128,
    /// AES, 24 bytes: version D.
    Aes192,
    /// AES, 32 bytes: version D.
    Aes256,
}

impl KbpkAlgorithm {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::TdesDouble, Self::TdesTriple, Self::Aes128, Self::Aes192, Self::Aes256];

    /// The name that configurations and people use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TdesDouble => "tdes-double",
            Self::TdesTriple => "tdes-triple",
            Self::Aes128 => "aes-128",
            Self::Aes192 => "aes-192",
            Self::Aes256 => "aes-256",
        }
    }

    /// The algorithm of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Bytes of the key.
    #[must_use]
    pub fn key_len(self) -> usize {
        self.cipher().key_len()
    }

    /// Bytes of a cipher block, and of a CMAC.
    #[must_use]
    pub fn block_len(self) -> usize {
        self.cipher().block_len()
    }

    /// Whether the cipher is AES.
    pub(super) fn is_aes(self) -> bool {
        self.block_len() == 16
    }

    pub(super) fn cipher(self) -> BlockCipher {
        match self {
            Self::TdesDouble => BlockCipher::Tdes2,
            Self::TdesTriple => BlockCipher::Tdes3,
            Self::Aes128 => BlockCipher::Aes128,
            Self::Aes192 => BlockCipher::Aes192,
            Self::Aes256 => BlockCipher::Aes256,
        }
    }

    /// Bits of security (NIST SP 800-57 part 1, table 2), to compare a protection key with a key.
    pub(super) fn strength(self) -> u32 {
        match self {
            Self::TdesDouble => 80,
            Self::TdesTriple => 112,
            Self::Aes128 => 128,
            Self::Aes192 => 192,
            Self::Aes256 => 256,
        }
    }
}

/// A key block protection key (KBPK), in secret memory together with what is derived of it.
///
/// Keys that are opened with it live in memory that is at least as protected as was asked for here.
/// Its bytes cannot be read back.
///
/// ```
/// use cvv2::key::{Kbpk, KbpkAlgorithm, KbpkError};
/// use cvv2::secret::Protection;
///
/// let hex = "88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6";
/// let kbpk = Kbpk::from_hex(KbpkAlgorithm::Aes256, hex, Protection::Wiped)?;
/// assert_eq!(kbpk.kcv().to_string(), "233155");
/// # Ok::<(), KbpkError>(())
/// ```
pub struct Kbpk {
    keys: Secret<Keys>,
    algorithm: KbpkAlgorithm,
    at_least: Protection,
    kcv: Kcv,
    /// The legacy check value, which needs the key itself: absent for AES and for what a token
    /// derived.
    kcv_tdes_zeros: Option<Kcv>,
    /// Whether `keys` holds the protection key itself.
    is_here: bool,
}

/// The protection key and what is derived of it, each at the start of its array.
struct Keys {
    kbpk: [u8; 32],
    encryption: [u8; 32],
    authentication: [u8; 32],
}

impl Keys {
    const BLANK: Self = Self { kbpk: [0; 32], encryption: [0; 32], authentication: [0; 32] };
}

impl Zeroize for Keys {
    fn zeroize(&mut self) {
        self.kbpk.zeroize();
        self.encryption.zeroize();
        self.authentication.zeroize();
    }
}

impl Kbpk {
    /// Reads a key of exactly as many hexadecimal digits as `algorithm` has, in either case.
    ///
    /// The digits are decoded without secret-dependent branches or look-ups, straight to where the
    /// key stays. Parity bits of a triple-DES key are not judged: they take no part, and its check
    /// value shows a typing error.
    ///
    /// # Errors
    ///
    /// [`KbpkError::Text`] for a text that is no such key; [`KbpkError::Zero`] for nothing but zeros;
    /// [`KbpkError::Weak`] and [`KbpkError::EqualParts`] for a triple-DES key that is less than one;
    /// [`KbpkError::Secret`] where there is no memory with this protection.
    pub fn from_hex(
        algorithm: KbpkAlgorithm,
        hex: &str,
        at_least: Protection,
    ) -> Result<Self, KbpkError> {
        let mut keys = Secret::new(Keys::BLANK, at_least)?;
        decode_hex(hex, &mut keys.kbpk[..algorithm.key_len()])?;
        Self::accept(algorithm, keys, at_least)
    }

    /// Combines two or three full-length components by exclusive-or.
    ///
    /// Each custodian has confirmed the check value of their own before.
    ///
    /// # Errors
    ///
    /// [`KbpkError::Components`] for another number of them,
    /// [`KbpkError::ComponentAlgorithm`] for one of another algorithm, and as
    /// [`from_hex`](Self::from_hex) for the sum.
    pub fn from_components(
        algorithm: KbpkAlgorithm,
        components: &[KbpkComponent],
        at_least: Protection,
    ) -> Result<Self, KbpkError> {
        if !matches!(components.len(), 2 | 3) {
            return Err(KbpkError::Components { given: components.len() });
        }
        let mut keys = Secret::new(Keys::BLANK, at_least)?;
        for (number, component) in (1..).zip(components) {
            if component.algorithm != algorithm {
                return Err(KbpkError::ComponentAlgorithm { number });
            }
            for (byte, part) in keys.kbpk.iter_mut().zip(&*component.bytes) {
                *byte ^= part;
            }
        }
        Self::accept(algorithm, keys, at_least)
    }

    /// Takes what a token derives that keeps the protection key to itself.
    ///
    /// `cmac` computes the CMAC (NIST SP 800-38B) under the protection key over its first argument
    /// into its second, which has one cipher block. It is asked for what versions B and D derive,
    /// and for the check value: never for anything of a key block, so the token is not needed again.
    ///
    /// ```
    /// use cvv2::key::{Kbpk, KbpkAlgorithm};
    /// use cvv2::secret::{Protection, SecretError};
    ///
    /// # fn token(_: &[u8], mac: &mut [u8]) { mac.fill(7) }
    /// let kbpk = Kbpk::derive_with(KbpkAlgorithm::Aes256, Protection::Wiped, |input, mac| {
    ///     token(input, mac); // C_Sign with CKM_AES_CMAC, say
    ///     Ok::<(), SecretError>(())
    /// })?;
    /// # Ok::<(), SecretError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The first error of `cmac`, and [`SecretError`] where there is no memory with this
    /// protection.
    pub fn derive_with<E: From<SecretError>>(
        algorithm: KbpkAlgorithm,
        at_least: Protection,
        mut cmac: impl FnMut(&[u8], &mut [u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut keys = Secret::new(Keys::BLANK, at_least)?;
        derive(algorithm, Purpose::Encryption, &mut keys.encryption, &mut cmac)?;
        derive(algorithm, Purpose::Authentication, &mut keys.authentication, &mut cmac)?;
        let block_len = algorithm.block_len();
        let mut mac = [0; BlockCipher::BLOCK_MAX];
        cmac(&[0; BlockCipher::BLOCK_MAX][..block_len], &mut mac[..block_len])?;
        let kcv = Kcv::leftmost(&mac);
        mac.zeroize();
        Ok(Self { keys, algorithm, at_least, kcv, kcv_tdes_zeros: None, is_here: false })
    }

    /// The cipher, and the length of the key.
    #[must_use]
    pub fn algorithm(&self) -> KbpkAlgorithm {
        self.algorithm
    }

    /// How the memory of this key is guarded; keys that it opens get no less than was asked for it.
    #[must_use]
    pub fn protection(&self) -> Protection {
        self.keys.protection()
    }

    /// The check value by CMAC over one block of zeros, its leftmost three bytes
    /// (ANSI X9.24-1:2017; it allows five, of which these are the first).
    #[must_use]
    pub fn kcv(&self) -> Kcv {
        self.kcv
    }

    /// The older check value of a triple-DES key, by encrypting zeros. `None` for AES, and for a
    /// key that is in a token.
    #[must_use]
    pub fn kcv_tdes_zeros(&self) -> Option<Kcv> {
        self.kcv_tdes_zeros
    }

    /// How well the memory of keys that are opened with this one is guarded, at least: what was asked
    /// for when it was loaded.
    #[must_use]
    pub fn at_least(&self) -> Protection {
        self.at_least
    }

    /// The protection key itself, if it is here.
    pub(super) fn kbpk(&self) -> Option<&[u8]> {
        self.is_here.then(|| &self.keys.kbpk[..self.algorithm.key_len()])
    }

    /// The derived key that encrypts blocks of versions B and D.
    pub(super) fn encryption(&self) -> &[u8] {
        &self.keys.encryption[..self.algorithm.key_len()]
    }

    /// The derived key that authenticates blocks of versions B and D.
    pub(super) fn authentication(&self) -> &[u8] {
        &self.keys.authentication[..self.algorithm.key_len()]
    }

    fn accept(
        algorithm: KbpkAlgorithm,
        mut keys: Secret<Keys>,
        at_least: Protection,
    ) -> Result<Self, KbpkError> {
        let Keys { kbpk, encryption, authentication } = &mut *keys;
        let kbpk = &kbpk[..algorithm.key_len()];
        refuse_zero(kbpk)?;
        if !algorithm.is_aes() {
            refuse_less_than_triple_des(kbpk)?;
        }
        let mut cmac = |input: &[u8], mac: &mut [u8]| {
            algorithm.cipher().cmac(kbpk, &[input], mac);
            Ok::<(), KbpkError>(())
        };
        derive(algorithm, Purpose::Encryption, encryption, &mut cmac)?;
        derive(algorithm, Purpose::Authentication, authentication, &mut cmac)?;
        let (kcv, kcv_tdes_zeros) = check_values(algorithm, kbpk);
        Ok(Self { keys, algorithm, at_least, kcv, kcv_tdes_zeros, is_here: true })
    }
}

impl fmt::Debug for Kbpk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kbpk")
            .field("algorithm", &self.algorithm)
            .field("kcv", &self.kcv)
            .field("protection", &self.protection())
            .finish_non_exhaustive()
    }
}

/// One of the full-length components that a [`Kbpk`] is the exclusive-or of.
///
/// One custodian holds it, confirms its check value, and it tells nothing of the key alone.
pub struct KbpkComponent {
    bytes: Secret<[u8; 32]>,
    algorithm: KbpkAlgorithm,
}

impl KbpkComponent {
    /// Reads a component of exactly as many hexadecimal digits as the key has, in either case,
    /// without secret-dependent branches or look-ups.
    ///
    /// # Errors
    ///
    /// [`KbpkError::Text`] for any other text, [`KbpkError::Secret`] where there is no memory with
    /// this protection.
    pub fn from_hex(
        algorithm: KbpkAlgorithm,
        hex: &str,
        at_least: Protection,
    ) -> Result<Self, KbpkError> {
        let mut bytes = Secret::new([0; 32], at_least)?;
        decode_hex(hex, &mut bytes[..algorithm.key_len()])?;
        Ok(Self { bytes, algorithm })
    }

    /// The component's own check value, as [`Kbpk::kcv`].
    #[must_use]
    pub fn kcv(&self) -> Kcv {
        check_values(self.algorithm, self.key()).0
    }

    /// The component's own check value, as [`Kbpk::kcv_tdes_zeros`].
    #[must_use]
    pub fn kcv_tdes_zeros(&self) -> Option<Kcv> {
        check_values(self.algorithm, self.key()).1
    }

    fn key(&self) -> &[u8] {
        &self.bytes[..self.algorithm.key_len()]
    }
}

impl fmt::Debug for KbpkComponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KbpkComponent([redacted])")
    }
}

/// Why a protection key was refused. Never holds or shows key bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KbpkError {
    /// A component is of another algorithm than the key.
    ComponentAlgorithm {
        /// Which one, counted from one.
        number: usize,
    },
    /// A combination takes two or three components.
    Components {
        /// How many there were.
        given: usize,
    },
    /// Two parts of a triple-DES key are the same. Neighbours would make it single DES, and the
    /// first and the last a double-length key that passes for a triple-length one.
    EqualParts,
    /// There is no memory with the wanted protection.
    Secret(SecretError),
    /// The text is no key of this algorithm.
    Text(KeyError),
    /// A part of a triple-DES key is one of the weak or semi-weak keys of DES.
    Weak {
        /// Which part, counted from one.
        part: usize,
    },
    /// Every byte of the key is zero: no key was ever there, or its components cancel out.
    Zero,
}

impl fmt::Display for KbpkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ComponentAlgorithm { number } => write!(
                f,
                "component {number} is of another algorithm than the protection key; enter it anew"
            ),
            Self::Components { given } => write!(
                f,
                "{given} components of the protection key were given; combine two or three"
            ),
            Self::EqualParts => f.write_str(
                "two parts of the protection key are the same DES key; have it replaced",
            ),
            Self::Secret(error) => error.fmt(f),
            Self::Text(error) => error.fmt(f),
            Self::Weak { part } => write!(
                f,
                "part {part} of the protection key is a weak or semi-weak DES key; have it replaced"
            ),
            Self::Zero => f.write_str(
                "the protection key is all zeros; see whether its components were entered twice, \
                 or have it replaced",
            ),
        }
    }
}

impl core::error::Error for KbpkError {}

impl From<KeyError> for KbpkError {
    fn from(error: KeyError) -> Self {
        Self::Text(error)
    }
}

impl From<SecretError> for KbpkError {
    fn from(error: SecretError) -> Self {
        Self::Secret(error)
    }
}

/// The check values by CMAC and, for triple DES, by encrypting zeros.
fn check_values(algorithm: KbpkAlgorithm, key: &[u8]) -> (Kcv, Option<Kcv>) {
    let (cipher, len) = (algorithm.cipher(), algorithm.block_len());
    let zeros = [0; BlockCipher::BLOCK_MAX];
    let mut block = zeros;
    cipher.cmac(key, &[&zeros[..len]], &mut block[..len]);
    let kcv = Kcv::leftmost(&block);
    let legacy = (!algorithm.is_aes()).then(|| {
        block = zeros;
        cipher.encrypt(key, &zeros[..len], &mut block[..len]);
        Kcv::leftmost(&block)
    });
    block.zeroize();
    (kcv, legacy)
}

/// Refuses a key of zeros, judged once all bytes were looked at.
fn refuse_zero(key: &[u8]) -> Result<(), KbpkError> {
    let any = key.iter().fold(0, |any, byte| any | byte);
    if declassify(any.ct_eq(&0)) { Err(KbpkError::Zero) } else { Ok(()) }
}

/// Refuses weak parts and equal ones, both judged with parity set.
fn refuse_less_than_triple_des(key: &[u8]) -> Result<(), KbpkError> {
    let (parts, _) = key.as_chunks::<8>();
    for (number, part) in (1..).zip(parts) {
        if declassify(is_weak(part)) {
            return Err(KbpkError::Weak { part: number });
        }
    }
    for (number, part) in parts.iter().enumerate() {
        for other in &parts[..number] {
            if declassify(equal_but_for_parity(part, other)) {
                return Err(KbpkError::EqualParts);
            }
        }
    }
    Ok(())
}
