//! The configuration file: which store, which keyring, for whom.

mod layered;
mod postgres;
#[cfg(test)]
mod reference;
mod serve;

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use cvv2::secret::Protection;
use cvv2_keyring::BinRange;
use cvv2_keyring::kbpk::KbpkSource;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use time::UtcOffset;
use time::macros::format_description;

pub(crate) use self::postgres::Postgres;
pub(crate) use self::serve::{Limits, LimitsPlace, LogForm, Serve};
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
    /// Whom a request on the command line speaks for: `cvv2 get` needs it.
    pub(crate) caller: Option<Caller>,
    /// Where the CVK pairs are, and what opens them.
    pub(crate) keyring: Keyring,
    /// How the service is reached, by whom, and what it keeps.
    serve: Option<Serve>,
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
    utc_offset: Option<String>,
    /// BINs of products that have no CVV2, written as in the keyring.
    #[serde(default, deserialize_with = "bin_ranges")]
    pub(crate) no_cvv2: Vec<BinRange>,
    /// `REP_GET_CVV2` (the default) or `RES_GET_CVV2`.
    pub(crate) response_function: Option<String>,
    /// Whether an EXID must have the published structure; true if left out.
    pub(crate) exid_strict: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    /// The directory of the embedded store; or else `postgres`.
    path: Option<PathBuf>,
    /// The database of a store in PostgreSQL.
    postgres: Option<Postgres>,
    /// The file of the store's keys.
    pub(crate) keys_file: PathBuf,
    /// The source of the KBPK that they are under; the keyring's if left out.
    kbpk: Option<KbpkSource>,
}

/// Where cards are.
pub(crate) enum Cards {
    /// In an embedded store, in this directory.
    Directory(PathBuf),
    /// In a database.
    #[cfg(feature = "postgres")]
    Postgres(Box<Postgres>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Caller {
    /// The banks that the caller is entitled to.
    pub(crate) banks: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keyring {
    /// The keyring's file.
    pub(crate) path: PathBuf,
    /// The source of its KBPK.
    kbpk: KbpkSource,
    /// The protection that keys must have in memory, by its name; none in particular if left out.
    #[serde(default, deserialize_with = "protection")]
    require: Option<Protection>,
}

impl fmt::Display for Cards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(directory) => directory.display().fmt(f),
            #[cfg(feature = "postgres")]
            Self::Postgres(place) => {
                write!(f, "the schema {} of the database {}", place.schema, place.database)
            }
        }
    }
}

impl Config {
    /// Reads and checks the file; an error names file, line and column.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(path).map_err(|e| Failure::file(path, &e))?;
        // What is not Unicode is no variable of ours, or its value is no value.
        let variables = env::vars_os()
            .filter_map(|(name, value)| name.into_string().ok().zip(value.into_string().ok()));
        let mut config: Self = layered::read(&text, variables)
            .map_err(|why| Failure::BadInput(format!("{}: {why}", path.display())))?;
        path.parent().unwrap_or(Path::new("")).clone_into(&mut config.folder);
        Ok(config)
    }

    /// A path of the file, counted from the file's folder where it is relative.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    /// The source of the keyring's KBPK, its relative paths counted from the file's folder.
    pub(crate) fn kbpk(&self) -> KbpkSource {
        self.keyring.kbpk.clone().relative_to(&self.folder)
    }

    /// Where the cards are, likewise.
    pub(crate) fn cards(&self) -> Result<Cards, Failure> {
        match (&self.store.path, &self.store.postgres) {
            (Some(path), None) => Ok(Cards::Directory(self.path(path))),
            #[cfg(feature = "postgres")]
            (None, Some(postgres)) => {
                Ok(Cards::Postgres(Box::new(postgres.clone().relative_to(&self.folder))))
            }
            #[cfg(not(feature = "postgres"))]
            (None, Some(_)) => Err(Failure::bad_input(
                "[store] postgres: this program was built without the feature `postgres`",
            )),
            (Some(_), Some(_)) | (None, None) => Err(Failure::bad_input(
                "[store]: give either path, the directory of an embedded store, or postgres",
            )),
        }
    }

    /// The source of the KBPK that the store's keys are under, likewise.
    pub(crate) fn store_kbpk(&self) -> KbpkSource {
        let source = self.store.kbpk.as_ref().unwrap_or(&self.keyring.kbpk);
        source.clone().relative_to(&self.folder)
    }
}

impl Config {
    /// What `cvv2 serve` needs, every number in its range.
    pub(crate) fn serve(&self) -> Result<Serve, Failure> {
        let serve = self.serve.clone().ok_or_else(|| {
            Failure::bad_input(
                "the configuration has no table [serve]; `cvv2 demo --keep` shows one",
            )
        })?;
        serve.checked(&self.folder, self.store.postgres.is_some())
    }
}

impl Service {
    /// The offset of the service's clock.
    pub(crate) fn utc_offset(&self) -> Result<UtcOffset, Failure> {
        let Some(offset) = &self.utc_offset else { return Ok(UtcOffset::UTC) };
        let form = format_description!("[offset_hour sign:mandatory]:[offset_minute]");
        UtcOffset::parse(offset, form)
            .map_err(|_| Failure::bad_input("[service] utc_offset: write it as \"+04:00\""))
    }
}

impl Keyring {
    /// How well keys have to be protected in memory.
    pub(crate) fn require(&self) -> Protection {
        self.require.unwrap_or(Protection::Wiped)
    }
}

fn protection<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Protection>, D::Error> {
    let name = String::deserialize(deserializer)?;
    Protection::by_name(&name).map(Some).ok_or_else(|| D::Error::custom("no protection"))
}

fn bin_ranges<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<BinRange>, D::Error> {
    let ranges = Vec::<String>::deserialize(deserializer)?;
    ranges.iter().map(|text| BinRange::parse(text).map_err(D::Error::custom)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No key; what a person might paste.
    const CANARY: &str = "0A1B2C3D4E5F60718293A4B5C6D7E8F9";

    fn refusal(text: &str) -> String {
        match layered::read::<Config>(text, []) {
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
            (format!("[keyring]\nrequire = \"{CANARY}\"\n"), "line 2, column 11:"),
            (format!("[keyring]\nkbpk = {{ file = \"{CANARY}\" }}\n"), "line 2, column 8:"),
            (format!("[keyring]\nkbpk = {{ {CANARY} = 1 }}\n"), "line 2, column 10:"),
            (format!("[store]\nkbpk = {{ file = \"{CANARY}\" }}\n"), "line 2, column 8:"),
            (format!("[service]\nno_cvv2 = [\"{CANARY}\"]\n"), "line 2, column 11:"),
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
    fn cards_are_in_exactly_one_place() {
        let keyring = "[keyring]\npath = 'k'\nkbpk = { file = 'b' }\n";
        let (path, postgres) = ("path = 'cards'\n", "postgres = { database = 'c', user = 'u' }\n");
        let cards = |place: &str| {
            let text = format!("[store]\nkeys_file = 'k'\n{place}{keyring}");
            layered::read::<Config>(&text, []).map(|config| config.cards()).expect(place)
        };
        assert!(matches!(cards(path), Ok(Cards::Directory(_))));
        assert_eq!(cards(postgres).is_ok(), cfg!(feature = "postgres"));
        for wrong in [String::new(), format!("{path}{postgres}")] {
            assert!(matches!(cards(&wrong), Err(Failure::BadInput(_))), "{wrong}");
        }
    }

    #[test]
    fn a_missing_table_is_refused() {
        assert!(refusal("").starts_with("not understood"));
    }
}
