//! Where a key comes from, and how it becomes a key block under the keyring's KBPK.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use cvv2::key::{
    Exportability, Kbpk, KeyBlockError, KeyBlockHeader, KeyBlockVersion, KeyUsage, ModeOfUse,
};
use cvv2::secret::Protection;
use cvv2::{CvkPair, ExpiryOrder, KcvMethod, KeyBlock, Policy};
use cvv2_keyring::ceremony::CvkAssembly;
use cvv2_keyring::{CheckValue, read_bounded, secret_file};
use zeroize::Zeroizing;

use super::check_value;
use super::custodians::Custodians;
use super::transcript::Filing;
use crate::args::{SourceArgs, UseArgs};
use crate::failure::Failure;
use crate::keyring::Place;

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

    fn seal_for(cvk: &CvkPair, uses: Uses, kbpk: &Kbpk) -> Result<Self, Failure> {
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

/// Where a key comes from.
pub(super) enum Source {
    /// A file, or standard input, with a key block.
    Block {
        /// The file; `-` is standard input.
        path: PathBuf,
        /// The file of the KBPK that it is under, if not the keyring's.
        under: Option<PathBuf>,
        /// What the sender says.
        kcv: CheckValue,
    },
    /// A file with the key in clear.
    Clear {
        /// The file.
        path: PathBuf,
        /// What the sender says.
        kcv: CheckValue,
        /// What may be done with it.
        uses: Uses,
    },
    /// Components.
    Components {
        /// Who enters them.
        custodians: Custodians,
        /// What may be done with the key.
        uses: Uses,
    },
    /// The system's generator.
    Generator(Uses),
}

impl Source {
    /// The source that the arguments name.
    pub(super) fn of(args: SourceArgs) -> Result<Self, Failure> {
        let SourceArgs { place, kcv, under, uses, record } = args;
        let kcv = kcv.as_deref().map(check_value).transpose()?;
        let stated = || kcv.ok_or_else(|| Failure::bad_input("give --kcv"));

        let has_custodians = place.custodians.is_some() || !place.component_files.is_empty();
        let is_recorded = !record.names.is_empty() || !record.transcripts.is_empty();
        if is_recorded && !has_custodians {
            return Err(Failure::bad_input(
                "--custodian and --transcript are for components; leave them out",
            ));
        }
        if let Some(path) = place.block {
            if uses.mode.is_some() || uses.exportability.is_some() {
                return Err(Failure::bad_input(
                    "the key block says what may be done with its key; leave --mode and \
                     --exportability out",
                ));
            }
            return Ok(Self::Block { path, under, kcv: stated()? });
        }
        let uses = uses.into();
        Ok(if let Some(path) = place.clear {
            Self::Clear { path, kcv: stated()?, uses }
        } else if place.new {
            Self::Generator(uses)
        } else {
            let custodians = match place.custodians {
                Some(number) => Custodians::typing(Some(number), kcv, record)?,
                None => Custodians::files(place.component_files, stated()?, record)?,
            };
            Self::Components { custodians, uses }
        })
    }

    /// Takes the key, and the files of its transcript.
    pub(super) fn take(&self, kbpk: &Kbpk, place: &Place) -> Result<(Material, Filing), Failure> {
        let material = match self {
            Self::Block { path, under, kcv } => {
                let block = read_block(path)?;
                match under {
                    None => open(&block, kbpk, &path.display().to_string(), *kcv)?,
                    Some(under) => {
                        let shared = place.shared_kbpk(under)?;
                        let opened = open(&block, &shared, &path.display().to_string(), *kcv)?;
                        Material { block: rewrap(&opened.block, &shared, kbpk)?, ..opened }
                    }
                }
            }
            Self::Clear { path, kcv: stated, uses } => {
                let text = secret_file::read(path).map_err(|e| Failure::key_file(&e))?;
                let text = text.without_spaces();
                let cvk = CvkPair::from_hex(text.as_str(), ANY_ORDER, Policy::Strict)
                    .map_err(|e| Failure::BadInput(format!("{}: {e}", path.display())))?;
                require(&cvk, place.require)?;
                confirm(*stated, kcv(&cvk))?;
                Material::seal_for(&cvk, *uses, kbpk)?
            }
            Self::Components { custodians, uses } => {
                let filing = Filing::reserve(&custodians.transcripts)?;
                let (cvk, record) = custodians.run(&CvkAssembly::live(ANY_ORDER))?;
                require(&cvk, place.require)?;
                return Ok((Material::seal_for(&cvk, *uses, kbpk)?, filing.of(record)));
            }
            Self::Generator(uses) => {
                let cvk = new_key()?;
                require(&cvk, place.require)?;
                Material::seal_for(&cvk, *uses, kbpk)?
            }
        };
        Ok((material, Filing::none()))
    }
}

/// Key blocks do not say how the expiry enters the calculation: the keyring does.
const ANY_ORDER: ExpiryOrder = ExpiryOrder::YyMm;

/// The longest key block is 9999 characters; a line end may follow.
const BLOCK_BYTES_MAX: usize = 10_001;

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

fn new_key() -> Result<CvkPair, Failure> {
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

fn read_block(path: &Path) -> Result<KeyBlock, Failure> {
    let read = if path == Path::new("-") {
        read_bounded(&mut io::stdin().lock(), BLOCK_BYTES_MAX)
    } else {
        File::open(path).and_then(|mut file| read_bounded(&mut file, BLOCK_BYTES_MAX))
    };
    let wrong = |why: &str| Failure::BadInput(format!("{}: {why}", path.display()));
    let bytes = read
        .map_err(|e| Failure::file(path, &e))?
        .ok_or_else(|| wrong("longer than any key block; give one block"))?;
    let text = str::from_utf8(&bytes).map_err(|_| wrong("not text; give a key block"))?;
    KeyBlock::parse(text.trim()).map_err(|e| wrong(&e.to_string()))
}

/// Checks a block under the KBPK that it should be under.
fn open(
    block: &KeyBlock,
    kbpk: &Kbpk,
    place: &str,
    stated: CheckValue,
) -> Result<Material, Failure> {
    let cvk = CvkPair::from_key_block(block, kbpk, ANY_ORDER)
        .map_err(|e| Failure::key_block(place, &e))?;
    confirm(stated, kcv(&cvk))?;
    Ok(Material { block: block.clone(), kcv: stated })
}

/// The same key with the same header under another KBPK.
///
/// That is no export: a key that its owner must not pass on may all the same be stored.
fn rewrap(block: &KeyBlock, from: &Kbpk, to: &Kbpk) -> Result<KeyBlock, Failure> {
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

fn require(cvk: &CvkPair, protection: Protection) -> Result<(), Failure> {
    if cvk.protection() >= protection {
        return Ok(());
    }
    Err(Failure::System(format!(
        "the key is in memory with the protection `{}`, and `{protection}` is required",
        cvk.protection()
    )))
}

fn confirm(stated: CheckValue, computed: CheckValue) -> Result<(), Failure> {
    if stated == computed {
        return Ok(());
    }
    Err(Failure::BadInput(format!(
        "the key has the check value {computed}, and {stated} was stated; nothing was taken, ask \
         the sender"
    )))
}

fn kcv(cvk: &CvkPair) -> CheckValue {
    cvk.kcv(KcvMethod::TdesZeros).into()
}
