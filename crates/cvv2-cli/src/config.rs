//! The configuration file: which store, which keys, for whom.

use std::fs;
use std::path::{Path, PathBuf};

use cvv2::{CvkPair, ExpiryOrder, Policy};
use cvv2_keyring::secret_file;
use serde::Deserialize;

use crate::failure::Failure;

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
    /// Reads and checks the file; an error names file, line and column.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(path).map_err(|e| Failure::file(path, &e))?;
        let mut config = Self::parse(&text)
            .map_err(|why| Failure::BadInput(format!("{}: {why}", path.display())))?;
        path.parent().unwrap_or(Path::new("")).clone_into(&mut config.folder);
        Ok(config)
    }

    /// Reads the text, or says where it is wrong.
    ///
    /// The parser's own error quotes the text, and somebody may have pasted a key into it.
    fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|e| {
            let place = e.span().map_or_else(String::new, |span| place(text, span.start));
            format!(
                "not understood{place}: a field that is missing, unknown or of the wrong type, or \
                 no TOML; compare the configuration that `cvv2 demo --keep` writes"
            )
        })
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
        let text = secret_file::read(&path).map_err(|e| Failure::key_file(&e))?;
        CvkPair::from_hex(text.as_str(), order, Policy::Strict)
            .map_err(|e| Failure::BadInput(format!("{}: {e}", path.display())))
    }
}

/// The line and the column, in characters from 1, of a byte of the text.
fn place(text: &str, byte: usize) -> String {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.split('\n').count();
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!(" at line {line}, column {column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No key; what a person might paste.
    const CANARY: &str = "0A1B2C3D4E5F60718293A4B5C6D7E8F9";

    fn refusal(text: &str) -> String {
        match Config::parse(text) {
            Err(why) => why,
            Ok(_) => panic!("accepted: {text}"),
        }
    }

    #[test]
    fn a_refusal_says_where_and_never_what_is_there() {
        for (text, place) in [
            (format!("[caller]\nbanks = []\n{CANARY} = 1\n"), "line 3, column 1:"),
            (format!("[caller]\nbanks = []\nkey = \"{CANARY}\"\n"), "line 3, column 1:"),
            (format!("[service]\nexid_strict = \"{CANARY}\"\n"), "line 2, column 15:"),
            (format!("[[cvk]]\nexpiry_order = \"{CANARY}\"\n"), "line 2, column 16:"),
            (format!("[caller]\nbanks = \"{CANARY}\"\n"), "line 2, column 9:"),
            (format!("[caller]\n# über\nbanks = {CANARY}\n"), "line 3, column "),
            (format!("{CANARY}\n"), "line 1, column "),
        ] {
            let why = refusal(&text);
            assert!(why.starts_with(&format!("not understood at {place}")), "{text}: {why}");
            for part in [CANARY, &CANARY[..8], &CANARY[24..]] {
                assert!(!why.contains(part), "{text}: {why}");
            }
        }
    }

    #[test]
    fn a_missing_table_is_refused() {
        assert!(refusal("").starts_with("not understood"));
    }

    #[test]
    fn a_column_counts_characters() {
        assert_eq!(place("", 0), " at line 1, column 1");
        assert_eq!(place("a\n", 2), " at line 2, column 1");
        assert_eq!(place("a\r\nüb", 5), " at line 2, column 2");
    }
}
