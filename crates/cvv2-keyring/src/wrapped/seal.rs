//! From a key to its line of the file, and back.

use std::num::NonZeroU8;

use cvv2::KeyBlock;
use cvv2::key::{
    Exportability, Kbpk, KbpkAlgorithm, KbpkError, KeyAlgorithm, KeyBlockError, KeyBlockHeader,
    KeyBlockVersion, KeyContext, KeyUsage, KeyVersion, ModeOfUse,
};
use cvv2::secret::Protection;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::{Zeroizing, zeroize_stack};

use super::{KEY_LEN, KeyUse, NamedKey, WrappedError};
use crate::load_error::{Fault, LoadCause};
use crate::{CheckValue, Token};

/// What the file says of a key, all of it public.
pub(super) struct Described {
    pub(super) name: Token,
    pub(super) version: NonZeroU8,
    pub(super) key_use: KeyUse,
    pub(super) id: [u8; ID_LEN],
    pub(super) kcv: CheckValue,
    pub(super) block: KeyBlock,
    pub(super) at: Places,
}

/// Bytes of the text at which the fields of a key start.
#[derive(Default)]
pub(super) struct Places {
    pub(super) id: usize,
    pub(super) kcv: usize,
    pub(super) block: usize,
}

/// Bytes of a key's id.
pub(super) const ID_LEN: usize = 4;

/// Optional blocks: a label, and the hash function of an HMAC key.
const LABEL: &str = "LB";
const HASH: &str = "HM";
const SHA_256: &str = "21";

impl Described {
    /// Wraps a key.
    pub(super) fn wrapped(
        key: &NamedKey,
        purpose: &str,
        kbpk: &Kbpk,
    ) -> Result<Self, WrappedError> {
        let NamedKey { name, version, key_use, key } = key;
        let mut padding = [0; 16];
        let padding = &mut padding[..kbpk.padding_len(KEY_LEN, KEY_LEN)];
        getrandom::fill(padding).map_err(|_| WrappedError::Generator)?;
        let block = header(name, *version, *key_use, purpose)
            .and_then(|header| kbpk.seal(&header, &**key, padding))
            .map_err(WrappedError::Seal)?;
        Ok(Self {
            name: name.clone(),
            version: *version,
            key_use: *key_use,
            id: id(key, purpose),
            kcv: check_value(*key_use, key).map_err(WrappedError::Key)?,
            block,
            at: Places::default(),
        })
    }

    /// Takes the key out of its block, if the block is that of this line.
    pub(super) fn open(self, purpose: &str, kbpk: &Kbpk) -> Result<NamedKey, Fault> {
        let Self { name, version, key_use, id: stated, kcv, block, at } = self;
        let of_block = |error| Fault::new(at.block, "block", LoadCause::Block(error));
        let opened = kbpk.open(&block, key_use.usage()).map_err(of_block)?;
        let expected = header(&name, version, key_use, purpose).map_err(of_block)?;
        if *block.header() != expected {
            return Err(Fault::new(at.block, "block", LoadCause::OtherLine));
        }
        let length = KeyBlockError::KeyLength { bytes: opened.expose().len() };
        let bytes = opened.expose().try_into().map_err(|_| of_block(length))?;
        if id(bytes, purpose) != stated {
            return Err(Fault::new(at.id, "id", LoadCause::KcvMismatch));
        }
        let of_memory = |error| of_block(KeyBlockError::Secret(error));
        match check_value(key_use, bytes) {
            Ok(computed) if computed == kcv => {}
            Err(KbpkError::Secret(error)) => return Err(of_memory(error)),
            _ => return Err(Fault::new(at.kcv, "kcv", LoadCause::KcvMismatch)),
        }
        NamedKey::copied(name, version, key_use, bytes, kbpk).map_err(of_memory)
    }
}

impl KeyUse {
    fn usage(self) -> KeyUsage {
        match self {
            Self::Encryption => KeyUsage::DATA_ENCRYPTION,
            Self::Hmac => KeyUsage::HMAC,
        }
    }
}

/// The header of a key's block: all of it is fixed by the line and the purpose.
fn header(
    name: &Token,
    version: NonZeroU8,
    key_use: KeyUse,
    purpose: &str,
) -> Result<KeyBlockHeader, KeyBlockError> {
    let (algorithm, mode) = match key_use {
        KeyUse::Encryption => (KeyAlgorithm::Aes, ModeOfUse::EncryptAndDecrypt),
        KeyUse::Hmac => (KeyAlgorithm::Hmac, ModeOfUse::GenerateAndVerify),
    };
    let version = KeyVersion::parse(&format!("{version:02X}")).expect("two hexadecimal digits");
    let (usage, exportability) = (key_use.usage(), Exportability::NonExportable);
    let header = KeyBlockHeader::new(KeyBlockVersion::D, usage, algorithm, mode, exportability)
        .with_key_version(version)
        .with_context(KeyContext::Storage)
        .with_optional_block(LABEL, &format!("{purpose}/{name}"))?;
    match key_use {
        KeyUse::Encryption => Ok(header),
        KeyUse::Hmac => header.with_optional_block(HASH, SHA_256),
    }
}

/// What names a key within a purpose.
pub(super) fn id(key: &[u8; KEY_LEN], purpose: &str) -> [u8; ID_LEN] {
    let [a, b, c, d, ..] = hmac(key, &[b"cvv2 ", purpose.as_bytes(), b" key id"]);
    [a, b, c, d]
}

/// The check value of a key; refused for an encryption key of nothing but zeros.
pub(super) fn check_value(key_use: KeyUse, key: &[u8; KEY_LEN]) -> Result<CheckValue, KbpkError> {
    match key_use {
        KeyUse::Hmac => {
            let [a, b, c, ..] = hmac(key, &[]);
            Ok(CheckValue::new([a, b, c]))
        }
        KeyUse::Encryption => {
            let mut digits = Zeroizing::new([0; 2 * KEY_LEN]);
            let hex = base16ct::upper::encode_str(key, &mut *digits).expect("two digits a byte");
            // A KBPK has the check value that any AES key has.
            let same = Kbpk::from_hex(KbpkAlgorithm::Aes256, hex, Protection::Wiped)?;
            Ok(same.kcv().into())
        }
    }
}

fn hmac(key: &[u8; KEY_LEN], message: &[&[u8]]) -> [u8; 32] {
    #[inline(never)]
    fn compute(key: &[u8; KEY_LEN], message: &[&[u8]]) -> [u8; 32] {
        let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
        message.iter().fold(mac, Mac::chain_update).finalize().into_bytes().into()
    }
    let mac = compute(key, message);
    zeroize_stack::<8192>();
    mac
}
