//! Which keyring a command works on, and what opens it.

use std::path::{Path, PathBuf};

use cvv2::Kernel;
use cvv2::key::Kbpk;
use cvv2::secret::Protection;
use cvv2_keyring::ceremony::Terminal;
use cvv2_keyring::kbpk::{KbpkSource, KbpkSourceError, KbpkWarning, LoadedKbpk};
use cvv2_keyring::{Date, Keyring};
use time::{OffsetDateTime, UtcOffset};

use crate::args::KeyringArgs;
use crate::config::Config;
use crate::failure::Failure;
use crate::kernel;

/// A keyring's file, and where its KBPK comes from.
pub(crate) struct Place {
    /// The keyring's file.
    pub(crate) path: PathBuf,
    /// Where its KBPK comes from.
    pub(crate) kbpk: KbpkSource,
    /// How well keys have to be protected in memory.
    pub(crate) require: Protection,
    /// How keys compute.
    kernel: Kernel,
    /// Of the clock by which keys come into force.
    utc_offset: UtcOffset,
}

impl Place {
    /// The keyring that the arguments name.
    pub(crate) fn of(args: &KeyringArgs) -> Result<Self, Failure> {
        match (&args.config, &args.keyring, &args.kbpk_file) {
            (Some(config), ..) => Self::configured(&Config::read(config)?),
            (None, Some(path), Some(kbpk_file)) => Ok(Self {
                path: path.clone(),
                kbpk: file_source(kbpk_file),
                require: Protection::Wiped,
                kernel: kernel::chosen()?,
                utc_offset: UtcOffset::UTC,
            }),
            _ => Err(Failure::bad_input(
                "which keyring? give --keyring FILE and --kbpk-file FILE, or --config FILE",
            )),
        }
    }

    /// The keyring of a configuration.
    pub(crate) fn configured(config: &Config) -> Result<Self, Failure> {
        Ok(Self {
            path: config.path(&config.keyring.path),
            kbpk: config.kbpk(),
            require: config.keyring.require(),
            kernel: kernel::chosen()?,
            utc_offset: config.service.utc_offset()?,
        })
    }

    /// Loads the KBPK.
    pub(crate) fn kbpk(&self) -> Result<Kbpk, Failure> {
        load_kbpk(&self.kbpk, &self.path, self.require)
    }

    /// Makes a KBPK where its source has it.
    pub(crate) fn new_kbpk(&self) -> Result<Kbpk, Failure> {
        make_kbpk(&self.kbpk, &self.path, self.require)
    }

    /// Loads the KBPK that is shared with somebody else.
    pub(crate) fn shared_kbpk(&self, file: &Path) -> Result<Kbpk, Failure> {
        load_kbpk(&file_source(file), &self.path, self.require)
    }

    /// Loads the keyring.
    pub(crate) fn open(&self) -> Result<Keyring, Failure> {
        self.open_with(&self.kbpk()?)
    }

    /// Loads the keyring with a KBPK that is here already.
    pub(crate) fn open_with(&self, kbpk: &Kbpk) -> Result<Keyring, Failure> {
        Keyring::read_with_kernel(&self.path, kbpk, self.kernel).map_err(|e| Failure::keyring(&e))
    }

    /// The time by the keyring's clock.
    pub(crate) fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc().to_offset(self.utc_offset)
    }

    /// The day by the keyring's clock.
    pub(crate) fn today(&self) -> Date {
        self.now().date()
    }
}

/// Loads a KBPK that has to be kept apart from a file of keys.
pub(crate) fn load_kbpk(
    source: &KbpkSource,
    keys: &Path,
    require: Protection,
) -> Result<Kbpk, Failure> {
    warned(source.load(keys, require, &mut Terminal::new()))
}

/// Makes a KBPK where its source has it.
pub(crate) fn make_kbpk(
    source: &KbpkSource,
    keys: &Path,
    require: Protection,
) -> Result<Kbpk, Failure> {
    warned(source.generate(keys, require, &mut Terminal::new()))
}

/// The check values of a KBPK: that of the keyring, and the older one that HSMs show of triple DES.
pub(crate) fn check_values(kbpk: &Kbpk) -> String {
    match kbpk.kcv_tdes_zeros() {
        None => kbpk.kcv().to_string(),
        Some(older) => format!("{} (by zeros {older})", kbpk.kcv()),
    }
}

/// The source that a file is.
pub(crate) fn file_source(path: &Path) -> KbpkSource {
    KbpkSource::File { path: path.to_owned(), beside_keyring: false }
}

/// Tells what is not as it should be with a source.
pub(crate) fn warn(warnings: &[KbpkWarning]) {
    for warning in warnings {
        eprintln!("cvv2: {warning}");
    }
}

/// The KBPK, after its warnings went to standard error.
fn warned(loaded: Result<LoadedKbpk, KbpkSourceError>) -> Result<Kbpk, Failure> {
    let loaded = loaded.map_err(|e| Failure::kbpk(&e))?;
    warn(&loaded.warnings);
    Ok(loaded.kbpk)
}
