//! The configuration file: which store, which keys, for whom.

use std::fs;
use std::path::{Path, PathBuf};

use cvv2::{CvkPair, ExpiryOrder, Policy};
use serde::Deserialize;

use crate::failure::Failure;
use crate::secret_file::SecretText;

/// The file as it is written, every key checked; relative paths count from the file's own folder.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// How the service names itself and what it accepts.
    #[serde(default)]
    pub(crate) service: Service,
    /// Where the cards are.
    pub(crate) store: Store,
    /// Whom a request on the command line speaks for.
    pub(crate) caller: Caller,
    /// The CVK pairs by BIN; the longest prefix of a PAN wins.
    pub(crate) cvk: Vec<Cvk>,
    /// The folder that relative paths count from.
    #[serde(skip)]
    folder: PathBuf,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    /// `application_name` of the response.
    pub(crate) application_name: Option<String>,
    /// `instance_id` of the response where the request has none; at most 10 characters.
    pub(crate) instance_id: Option<String>,
    /// The offset of the service's clock, `+04:00`; UTC if left out.
    pub(crate) utc_offset: Option<String>,
    /// `REP_GET_CVV2` (the default) or `RES_GET_CVV2`.
    pub(crate) response_function: Option<String>,
    /// Whether an EXID must have the published structure; true if left out.
    pub(crate) exid_strict: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    /// The directory of the embedded store.
    pub(crate) path: PathBuf,
    /// The file with the store's two keys, mode 0600.
    pub(crate) keys_file: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Caller {
    /// The banks that the caller is entitled to.
    pub(crate) banks: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cvk {
    /// The first digits of the PANs that the key is for.
    pub(crate) bin: String,
    /// The file with the pair in hexadecimal, mode 0600.
    pub(crate) key_file: PathBuf,
    /// `YYMM` or `MMYY`: how the expiry enters the calculation.
    pub(crate) expiry_order: Order,
}

#[derive(Deserialize, Clone, Copy)]
pub(crate) enum Order {
    #[serde(rename = "MMYY")]
    MmYy,
    #[serde(rename = "YYMM")]
    YyMm,
}

impl Config {
    /// Reads and checks the file; an error names file, line and key.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(path).map_err(|e| Failure::file(path, &e))?;
        let mut config: Self = toml::from_str(&text)
            .map_err(|e| Failure::BadInput(format!("{}: {e}", path.display())))?;
        path.parent().unwrap_or(Path::new("")).clone_into(&mut config.folder);
        Ok(config)
    }

    /// A path of the file, counted from the file's folder where it is relative.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }
}

impl Cvk {
    /// Loads the key under the strict policy.
    pub(crate) fn load(&self, config: &Config) -> Result<CvkPair, Failure> {
        let path = config.path(&self.key_file);
        let order = match self.expiry_order {
            Order::MmYy => ExpiryOrder::MmYy,
            Order::YyMm => ExpiryOrder::YyMm,
        };
        let text = SecretText::read(&path)?;
        CvkPair::from_hex(text.as_str(), order, Policy::Strict)
            .map_err(|e| Failure::BadInput(format!("{}: {e}", path.display())))
    }
}
