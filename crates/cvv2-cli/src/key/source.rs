//! Where a key comes from.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use cvv2::key::Kbpk;
use cvv2::secret::Protection;
use cvv2::{CvkPair, KeyBlock, Policy};
use cvv2_keyring::ceremony::CvkAssembly;
use cvv2_keyring::{CheckValue, read_bounded, secret_file};

use super::check_value;
use super::custodians::Custodians;
use super::material::{ANY_ORDER, Material, Uses, kcv, new_key, rewrap};
use super::transcript::Filing;
use crate::args::SourceArgs;
use crate::failure::Failure;
use crate::keyring::Place;

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
            Self::Block { path, under, kcv: stated } => {
                let block = read_block(path)?;
                let shared = under.as_deref().map(|file| place.shared_kbpk(file)).transpose()?;
                let is_under = shared.as_ref().unwrap_or(kbpk);
                let cvk = CvkPair::from_key_block(&block, is_under, ANY_ORDER)
                    .map_err(|e| Failure::key_block(&path.display().to_string(), &e))?;
                confirm(*stated, kcv(&cvk))?;
                let block = match &shared {
                    None => block,
                    Some(shared) => rewrap(&block, shared, kbpk)?,
                };
                Material { block, kcv: *stated }
            }
            Self::Clear { path, kcv: stated, uses } => {
                let text = secret_file::read(path).map_err(|e| Failure::key_file(&e))?;
                let text = text.without_spaces();
                let cvk =
                    CvkPair::from_hex_in(text.as_str(), ANY_ORDER, Policy::Strict, place.require)
                        .map_err(|e| Failure::BadInput(format!("{}: {e}", path.display())))?;
                confirm(*stated, kcv(&cvk))?;
                Material::seal_for(&cvk, *uses, kbpk)?
            }
            Self::Components { custodians, uses } => {
                let filing = Filing::reserve(&custodians.transcripts)?;
                let (cvk, record) = custodians.run(&CvkAssembly::live(ANY_ORDER, place.require))?;
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

/// The longest key block is 9999 characters; a line end may follow.
const BLOCK_BYTES_MAX: usize = 10_001;

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

fn confirm(stated: CheckValue, computed: CheckValue) -> Result<(), Failure> {
    if stated == computed {
        return Ok(());
    }
    Err(Failure::BadInput(format!(
        "the key has the check value {computed}, and {stated} was stated; nothing was taken, ask \
         the sender"
    )))
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
