//! Why a token gave no KBPK.

use core::error::Error;
use core::fmt;

use cvv2::secret::SecretError;

use crate::CheckValue;

/// Why a token gave no KBPK. Never holds or shows a PIN or anything of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pkcs11Error {
    /// A call failed.
    Call {
        /// Which one, and the token's reason.
        why: String,
    },
    /// The key can be taken out of the token.
    Extractable {
        /// Its label.
        key: String,
    },
    /// The key has another check value than the configuration states.
    Kcv {
        /// What is stated.
        stated: CheckValue,
        /// What it is.
        computed: CheckValue,
    },
    /// There is a key of this label, and none was to be replaced.
    KeyExists {
        /// Its label.
        key: String,
    },
    /// The key is not an AES key.
    KeyType {
        /// Its label.
        key: String,
    },
    /// The token's CMAC has another length than one of AES.
    MacLength {
        /// How many bytes.
        bytes: usize,
    },
    /// The token cannot compute AES-CMAC.
    Mechanism {
        /// The token's label.
        token: String,
    },
    /// The library cannot be loaded, or is none of PKCS#11.
    Module {
        /// Why.
        why: String,
    },
    /// There is no such key, or the user may not see it.
    NoKey {
        /// The label that was looked for.
        key: String,
        /// The token's label.
        token: String,
    },
    /// There is no such token.
    NoToken {
        /// The label that was looked for.
        token: String,
        /// The labels of the tokens that are there.
        there: Vec<String>,
    },
    /// The key may not be used to compute MACs.
    NotForMacs {
        /// Its label.
        key: String,
    },
    /// The PIN is locked.
    PinLocked {
        /// The token's label.
        token: String,
    },
    /// The user has no PIN yet.
    PinNotSet {
        /// The token's label.
        token: String,
    },
    /// There is no memory with the wanted protection for what is derived.
    Secret(SecretError),
    /// More than one key has this label.
    SeveralKeys {
        /// The label.
        key: String,
    },
    /// More than one token has this label.
    SeveralTokens {
        /// The label.
        token: String,
    },
    /// The PIN is wrong.
    WrongPin {
        /// The token's label.
        token: String,
    },
}

impl fmt::Display for Pkcs11Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call { why } => write!(f, "the token refused: {why}"),
            Self::Extractable { key } => write!(
                f,
                "the key {key} can be taken out of its token, which then protects nothing; make \
                 one that is sensitive and not extractable"
            ),
            Self::Kcv { stated, computed } => write!(
                f,
                "the token's key has the check value {computed}, and {stated} is stated; it is \
                 another key than the keyring was made with"
            ),
            Self::KeyExists { key } => {
                write!(f, "the token has a key {key} already; give another label")
            }
            Self::KeyType { key } => write!(
                f,
                "the key {key} is no AES key of 16, 24 or 32 bytes, as key blocks of version D \
                 need"
            ),
            Self::MacLength { bytes } => {
                write!(f, "the token's AES-CMAC has {bytes} bytes instead of 16; it cannot be used")
            }
            Self::Mechanism { token } => write!(
                f,
                "the token {token} does not offer CKM_AES_CMAC for signing, by which the keys of \
                 key blocks are derived"
            ),
            Self::Module { why } => {
                write!(f, "the PKCS#11 module cannot be loaded: {why}")
            }
            Self::NoKey { key, token } => write!(
                f,
                "the token {token} has no secret key {key}, or keeps it from this user; look at \
                 its label, or make one"
            ),
            Self::NoToken { token, there } if there.is_empty() => {
                write!(f, "there is no token {token}, and no other one")
            }
            Self::NoToken { token, there } => {
                write!(f, "there is no token {token}; there are: {}", there.join(", "))
            }
            Self::NotForMacs { key } => write!(
                f,
                "the key {key} may not be used to sign (CKA_SIGN), and so not for CMACs; make one \
                 that may"
            ),
            Self::PinLocked { token } => write!(
                f,
                "the PIN of the token {token} is locked; its security officer has to set a new one"
            ),
            Self::PinNotSet { token } => write!(
                f,
                "the token {token} has no user PIN yet; its security officer has to set one"
            ),
            Self::Secret(error) => error.fmt(f),
            Self::SeveralKeys { key } => write!(
                f,
                "several secret keys of the token have the label {key}; give the right one a \
                 label of its own"
            ),
            Self::SeveralTokens { token } => {
                write!(f, "several tokens have the label {token}; give the right one its own")
            }
            Self::WrongPin { token } => write!(
                f,
                "the PIN of the token {token} is wrong; mend it before the next start, because \
                 tokens lock a PIN after a few wrong ones"
            ),
        }
    }
}

impl Error for Pkcs11Error {}

impl From<SecretError> for Pkcs11Error {
    fn from(error: SecretError) -> Self {
        Self::Secret(error)
    }
}

impl From<cryptoki::error::Error> for Pkcs11Error {
    fn from(error: cryptoki::error::Error) -> Self {
        Self::Call { why: error.to_string() }
    }
}
