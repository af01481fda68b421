//! A key on its way into the keyring: a key block under the keyring's KBPK.

use cvv2::key::{
    Exportability, Kbpk, KeyBlockError, KeyBlockHeader, KeyBlockVersion, KeyUsage, ModeOfUse,
};
use cvv2::{CvkPair, ExpiryOrder, KcvMethod, KeyBlock, Policy};
use cvv2_keyring::CheckValue;
use zeroize::Zeroizing;

use crate::args::UseArgs;
use crate::failure::Failure;

/// A key as a keyring takes it.
pub(crate) struct Material {
    /// The key, under the keyring's KBPK.
    pub(crate) block: KeyBlock,
    /// Its check value.
    pub(crate) kcv: CheckValue,
}

impl Material {
    /// A new key, made by the operating system's generator.
    pub(crate) fn made(kbpk: &Kbpk) -> Result<Self, Failure> {
        Self::seal(&new_key()?, kbpk)
    }

    /// Puts a key that came in clear into a key block, without restrictions.
    pub(crate) fn seal(cvk: &CvkPair, kbpk: &Kbpk) -> Result<Self, Failure> {
        Self::seal_for(cvk, Uses::default(), kbpk)
    }

    pub(super) fn seal_for(cvk: &CvkPair, uses: Uses, kbpk: &Kbpk) -> Result<Self, Failure> {
        let header = KeyBlockHeader::cvk(version(kbpk), uses.mode, uses.exportability);
        let block = cvk
            .to_key_block(&header, kbpk, &random()?)
            .map_err(|e| Failure::key_block("the keyring's KBPK", &e))?;
        Ok(Self { block, kcv: kcv(cvk) })
    }
}

/// What may be done with a key that comes in clear.
#[derive(Clone, Copy)]
pub(super) struct Uses {
    mode: ModeOfUse,
    exportability: Exportability,
}

impl Default for Uses {
    fn default() -> Self {
        Self { mode: ModeOfUse::GenerateAndVerify, exportability: Exportability::Exportable }
    }
}

impl From<UseArgs> for Uses {
    fn from(args: UseArgs) -> Self {
        let default = Self::default();
        Self {
            mode: args.mode.unwrap_or(default.mode),
            exportability: args.exportability.unwrap_or(default.exportability),
        }
    }
}

/// Key blocks do not say how the expiry enters the calculation: the keyring does.
pub(super) const ANY_ORDER: ExpiryOrder = ExpiryOrder::YyMm;

/// Random padding, from the operating system's generator.
pub(super) fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| no_generator())?;
    Ok(bytes)
}

/// The version of key blocks that a KBPK makes.
pub(super) fn version(kbpk: &Kbpk) -> KeyBlockVersion {
    match kbpk.algorithm().block_len() {
        16 => KeyBlockVersion::D,
        _ => KeyBlockVersion::B,
    }
}

/// A new key, made by the operating system's generator.
pub(super) fn new_key() -> Result<CvkPair, Failure> {
    let mut key = Zeroizing::new([0; CvkPair::LEN]);
    getrandom::fill(&mut *key).map_err(|_| no_generator())?;
    for byte in &mut *key {
        *byte ^= u8::from(byte.count_ones().is_multiple_of(2)); // odd parity
    }
    CvkPair::from_bytes(&key, ANY_ORDER, Policy::Strict)
        .map_err(|_| Failure::system("the system's generator gave a weak key; try again"))
}

fn no_generator() -> Failure {
    Failure::system("the system's generator of random numbers gave nothing; try again")
}

/// The same key with the same header under another KBPK.
///
/// That is no export: a key that its owner must not pass on may all the same be stored.
pub(super) fn rewrap(block: &KeyBlock, from: &Kbpk, to: &Kbpk) -> Result<KeyBlock, Failure> {
    let rewrap = || {
        let key = from.open(block, KeyUsage::CARD_VERIFICATION)?;
        let header = rewrapped(block.header(), version(to))?;
        Ok((key, header))
    };
    let refused = |e: KeyBlockError| Failure::key_block("the keyring's KBPK", &e);
    let (key, header) = rewrap().map_err(refused)?;
    let padding = random::<{ CvkPair::KEY_BLOCK_PADDING_LEN }>()?;
    to.seal(&header, key.expose(), &padding).map_err(refused)
}

/// A header without what belongs to the KBPK that it is no longer under.
pub(super) fn rewrapped(
    header: &KeyBlockHeader,
    version: KeyBlockVersion,
) -> Result<KeyBlockHeader, KeyBlockError> {
    const OF_THE_KBPK: &str = "KP"; // its check value
    const PADDING: &str = "PB";

    let new = KeyBlockHeader::cvk(version, header.mode(), header.exportability())
        .with_key_version(header.key_version())
        .with_context(header.context());
    header
        .optional_blocks()
        .iter()
        .filter(|block| ![OF_THE_KBPK, PADDING].contains(&block.id()))
        .try_fold(new, |header, block| header.with_optional_block(block.id(), block.data()))
}

/// The check value of a key, as payment HSMs show it.
pub(super) fn kcv(cvk: &CvkPair) -> CheckValue {
    cvk.kcv(KcvMethod::TdesZeros).into()
}
