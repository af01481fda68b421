//! Keys of a system in one file: 32 bytes each, wrapped as key blocks under a KBPK.
//!
//! This is for keys that a system makes for itself and never hands to anybody: those of a card
//! store, that of an audit log. What they are for is the business of whoever puts them there; the
//! file knows names, versions and uses. Card verification keys have a keyring instead.
//!
//! ```
//! use cvv2::key::{Kbpk, KbpkAlgorithm};
//! use cvv2::secret::Protection;
//! use cvv2_keyring::Token;
//! use cvv2_keyring::wrapped::{self, FIRST, KeyUse, NamedKey};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("service.keys");
//! // A key for documentation; a live one comes from a custodian, a file or a token.
//! let hex = "0F1E2D3C0F1E2D3C0F1E2D3C0F1E2D3C0F1E2D3C0F1E2D3C0F1E2D3C0F1E2D3C";
//! let kbpk = Kbpk::from_hex(KbpkAlgorithm::Aes256, hex, Protection::Wiped)?;
//!
//! let chain = NamedKey::generate(Token::parse("chain")?, FIRST, KeyUse::Hmac, &kbpk)?;
//! wrapped::create(&path, "audit log", std::slice::from_ref(&chain), &kbpk)?;
//!
//! let keys = wrapped::read(&path, "audit log", &kbpk)?;
//! assert_eq!(*keys[0].key, *chain.key);
//! # Ok(())
//! # }
//! ```
//!
//! # The file
//!
//! ```toml
//! format = 1
//! purpose = "card store"       # whose keys these are
//! kbpk_kcv = "C5034D"          # which KBPK the blocks are under: CMAC over zeros
//!
//! [[key]]
//! name = "sealing"
//! version = 2                  # 1 to 255; name and version together are unique
//! use = "encryption"           # AES-256; or "hmac": HMAC-SHA-256
//! id = "0D34CA21"              # see below
//! kcv = "5C15D9"               # see below
//! block = "D0176D0AB02N0210…" # the key, as an X9.143 key block under the KBPK
//! ```
//!
//! | use | usage, algorithm, mode of the block | `kcv` |
//! |---|---|---|
//! | `encryption` | `D0`, `A`, `B` | CMAC over a block of zeros, as HSMs show it |
//! | `hmac` | `M7`, `H`, `C`, with `HM` = `21` (SHA-256) | HMAC-SHA-256 over nothing |
//!
//! Of a `kcv` these are the first three bytes; the `id` is four bytes of HMAC-SHA-256 under the key
//! over `cvv2 PURPOSE key id`. Both name a key and tell nothing about it.
//!
//! A block is bound to its line: its MAC covers purpose and name (optional block `LB`), version and
//! use, and none can be exported (`N`). So nobody can exchange two lines, or take one over from the
//! file of another purpose, and a wrong `id` or `kcv` is noticed when the file is read. Whoever can
//! write the file can put an older one back; whoever uses the keys has to notice that.
//!
//! The file is read and replaced as a keyring's is: only if nobody but its owner can write it and its
//! folder; whole or not at all, with the file before as `NAME.previous`. It is made with mode 0600.

mod error;
mod seal;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;
use std::num::NonZeroU8;
use std::path::Path;

use cvv2::key::Kbpk;
use cvv2::secret::{Secret, SecretError};
use zeroize::Zeroizing;

pub use self::error::WrappedError;

use self::seal::Described;
use crate::file::{self, LockedFile};
use crate::load_error::{Fault, LoadError};
use crate::{CheckValue, Token};

/// Bytes of a key.
pub const KEY_LEN: usize = 32;
/// The most keys of a file.
pub const WRAPPED_KEYS_MAX: usize = 512;
/// The first version of a key.
pub const FIRST: NonZeroU8 = NonZeroU8::MIN;

/// A key with its name, out of its block.
#[expect(clippy::exhaustive_structs, reason = "whoever wraps a key has to state all of it")]
pub struct NamedKey {
    /// Its name.
    pub name: Token,
    /// Its version: a name may have several.
    pub version: NonZeroU8,
    /// What it is used for.
    pub key_use: KeyUse,
    /// The key.
    pub key: Secret<[u8; KEY_LEN]>,
}

/// What a key is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyUse {
    /// AES-256: encrypts and decrypts data.
    Encryption,
    /// HMAC-SHA-256: makes and verifies authentication codes.
    Hmac,
}

impl KeyUse {
    const ALL: [Self; 2] = [Self::Encryption, Self::Hmac];

    /// Its name in the file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Encryption => "encryption",
            Self::Hmac => "hmac",
        }
    }

    fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key_use| key_use.name() == name)
    }
}

impl NamedKey {
    /// A new key of the operating system's generator, in memory that is protected as well as
    /// `kbpk` asks for.
    ///
    /// # Errors
    ///
    /// [`WrappedError::Generator`], and [`WrappedError::Key`] where there is no such memory.
    pub fn generate(
        name: Token,
        version: NonZeroU8,
        key_use: KeyUse,
        kbpk: &Kbpk,
    ) -> Result<Self, WrappedError> {
        // Secret memory may be of a kind that no system call can be given.
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        getrandom::fill(&mut *bytes).map_err(|_| WrappedError::Generator)?;
        Self::copied(name, version, key_use, &bytes, kbpk)
            .map_err(|error| WrappedError::Key(error.into()))
    }

    /// A copy of a key that is elsewhere already, in memory that is protected as well as `kbpk` asks
    /// for.
    ///
    /// # Errors
    ///
    /// [`SecretError`] where there is no such memory.
    pub fn copied(
        name: Token,
        version: NonZeroU8,
        key_use: KeyUse,
        bytes: &[u8; KEY_LEN],
        kbpk: &Kbpk,
    ) -> Result<Self, SecretError> {
        let mut key = Secret::new([0; KEY_LEN], kbpk.at_least())?;
        key.copy_from_slice(bytes);
        Ok(Self { name, version, key_use, key })
    }

    /// What names the key within a purpose and does not tell it: eight hexadecimal digits.
    #[must_use]
    pub fn id(&self, purpose: &str) -> String {
        text::id(seal::id(&self.key, purpose))
    }

    /// The check value of the key.
    ///
    /// # Errors
    ///
    /// [`WrappedError::Key`] for an encryption key of zeros.
    pub fn check_value(&self) -> Result<CheckValue, WrappedError> {
        seal::check_value(self.key_use, &self.key).map_err(WrappedError::Key)
    }
}

impl fmt::Debug for NamedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, version, key_use, .. } = self;
        write!(f, "NamedKey({name} {version}, {}, [redacted])", key_use.name())
    }
}

/// Creates a file of wrapped keys; an existing one is never touched.
///
/// `purpose` is what the keys are of, in printable ASCII.
///
/// # Errors
///
/// [`WrappedError`]: the file is not made then.
pub fn create(
    path: &Path,
    purpose: &'static str,
    keys: &[NamedKey],
    kbpk: &Kbpk,
) -> Result<(), WrappedError> {
    Ok(file::create(path, &wrap(purpose, keys, kbpk)?)?)
}

/// Reads a file of wrapped keys and opens all of them, in the order of the file.
///
/// # Errors
///
/// [`WrappedError`] for a file that others may change, a text that is not in order, another purpose,
/// another KBPK, and a block that does not open or is not that of its line.
pub fn read(
    path: &Path,
    purpose: &'static str,
    kbpk: &Kbpk,
) -> Result<Vec<NamedKey>, WrappedError> {
    open(path, &file::read(path)?, purpose, kbpk)
}

/// A file of wrapped keys that nobody else can change by way of this crate, until it is replaced or
/// this is dropped.
#[derive(Debug)]
pub struct LockedKeys {
    file: LockedFile,
    purpose: &'static str,
}

impl LockedKeys {
    /// Locks the file's folder, reads the file and opens all keys, in the order of the file.
    ///
    /// # Errors
    ///
    /// As [`read`], and if somebody else is changing the file or a keyring beside it.
    pub fn open(
        path: &Path,
        purpose: &'static str,
        kbpk: &Kbpk,
    ) -> Result<(Self, Vec<NamedKey>), WrappedError> {
        let file = LockedFile::open(path)?;
        let keys = open(path, file.text(), purpose, kbpk)?;
        Ok((Self { file, purpose }, keys))
    }

    /// Replaces the file by one with these keys, wrapped under a KBPK, which may be another one.
    ///
    /// The file is the old one or the new one, whole, whatever stops the process or the machine. The
    /// old one stays beside it as `NAME.previous`.
    ///
    /// # Errors
    ///
    /// [`WrappedError`]. The file is as it was then; or, after
    /// [`FileFault::Unfinished`](crate::FileFault::Unfinished), the new one.
    pub fn replace(self, keys: &[NamedKey], kbpk: &Kbpk) -> Result<(), WrappedError> {
        let text = wrap(self.purpose, keys, kbpk)?;
        Ok(self.file.replace(&text)?)
    }
}

/// The text of a file with these keys, which was read again.
fn wrap(purpose: &'static str, keys: &[NamedKey], kbpk: &Kbpk) -> Result<String, WrappedError> {
    let mut lines = Vec::with_capacity(keys.len());
    for key in keys {
        lines.push(Described::wrapped(key, purpose, kbpk)?);
    }
    let text = text::write(purpose, kbpk.kcv().into(), &lines);
    // Refuses what could not be read: a name and version twice, too many keys.
    text::parse(&text, purpose, kbpk.kcv().into())
        .map_err(|fault| WrappedError::Refused(LoadError::new(&text, fault)))?;
    Ok(text)
}

fn open(
    path: &Path,
    text: &str,
    purpose: &'static str,
    kbpk: &Kbpk,
) -> Result<Vec<NamedKey>, WrappedError> {
    let open = || {
        let lines = text::parse(text, purpose, kbpk.kcv().into())?;
        lines.into_iter().map(|line| line.open(purpose, kbpk)).collect::<Result<_, _>>()
    };
    open().map_err(|fault: Fault| WrappedError::Load {
        path: path.to_owned(),
        error: LoadError::new(text, fault),
    })
}
