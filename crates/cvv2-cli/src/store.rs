//! Which card store a command works on, and what opens it.

use std::path::PathBuf;

use cvv2::key::Kbpk;
use cvv2::secret::Protection;
use cvv2_keyring::kbpk::KbpkSource;
use cvv2_resolver::{CardImport, EmbeddedStore, KeyVersion, Resealed, StoreError, StoreKeys};
#[cfg(feature = "postgres")]
use cvv2_resolver::{PostgresPool, PostgresStore};

use crate::args::StoreArgs;
use crate::config::{Cards, Config};
use crate::failure::Failure;
use crate::keyring::{self, file_source, load_kbpk, make_kbpk};
use crate::store_keys;

/// A store, the file of its keys, and where the KBPK of that file comes from.
pub(crate) struct Place {
    /// Where the store itself is.
    pub(crate) cards: Cards,
    /// The file of the store's keys.
    pub(crate) keys: PathBuf,
    /// Where the KBPK of the keys comes from.
    pub(crate) kbpk: KbpkSource,
    /// How well keys have to be protected in memory.
    pub(crate) require: Protection,
}

/// A store as commands use it: cards, imports, and new keys.
pub(crate) trait Store: CardImport {
    /// The version of the key that the store seals under.
    fn current_key(&self) -> KeyVersion;
    /// Seals under another version from now on.
    fn begin_rotation(&self, to: KeyVersion) -> Result<(), StoreError>;
    /// Seals the next rows again, up to so many.
    fn reseal(&self, rows: usize) -> Result<Resealed, StoreError>;
    /// Its connections to a database, where it is in one: then its calls wait for others, and do
    /// not belong on the threads of an async runtime.
    #[cfg(feature = "postgres")]
    fn pool(&self) -> Option<&PostgresPool> {
        None
    }
}

impl Store for EmbeddedStore {
    fn current_key(&self) -> KeyVersion {
        self.current_key()
    }

    fn begin_rotation(&self, to: KeyVersion) -> Result<(), StoreError> {
        self.begin_rotation(to)
    }

    fn reseal(&self, rows: usize) -> Result<Resealed, StoreError> {
        self.reseal(rows)
    }
}

#[cfg(feature = "postgres")]
impl Store for PostgresStore {
    fn current_key(&self) -> KeyVersion {
        self.current_key()
    }

    fn begin_rotation(&self, to: KeyVersion) -> Result<(), StoreError> {
        self.begin_rotation(to)
    }

    fn reseal(&self, rows: usize) -> Result<Resealed, StoreError> {
        self.reseal(rows)
    }

    fn pool(&self) -> Option<&PostgresPool> {
        Some(self.pool())
    }
}

impl Place {
    /// The store that the arguments name.
    pub(crate) fn of(args: &StoreArgs) -> Result<Self, Failure> {
        match (&args.config, &args.store, &args.store_keys, &args.kbpk_file) {
            (Some(config), ..) => Self::configured(&Config::read(config)?),
            (None, Some(directory), Some(keys), Some(kbpk)) => Ok(Self {
                cards: Cards::Directory(directory.clone()),
                keys: keys.clone(),
                kbpk: file_source(kbpk),
                require: Protection::Wiped,
            }),
            _ => Err(Failure::bad_input(
                "which store? give --store DIR, --store-keys FILE and --kbpk-file FILE, or --config \
                 FILE",
            )),
        }
    }

    /// The store of a configuration.
    pub(crate) fn configured(config: &Config) -> Result<Self, Failure> {
        Ok(Self {
            cards: config.cards()?,
            keys: config.path(&config.store.keys_file),
            kbpk: config.store_kbpk(),
            require: config.keyring.require(),
        })
    }

    /// Loads the KBPK of the store's keys.
    pub(crate) fn kbpk(&self) -> Result<Kbpk, Failure> {
        load_kbpk(&self.kbpk, &self.keys, self.require)
    }

    /// Makes that KBPK where its source has it.
    pub(crate) fn new_kbpk(&self) -> Result<Kbpk, Failure> {
        make_kbpk(&self.kbpk, &self.keys, self.require)
    }

    /// Creates the store, empty.
    pub(crate) fn create(&self, keys: &StoreKeys) -> Result<Box<dyn Store>, Failure> {
        match &self.cards {
            Cards::Directory(directory) => opened(EmbeddedStore::create(directory, keys)),
            #[cfg(feature = "postgres")]
            Cards::Postgres(place) => opened(PostgresStore::create(&place.options()?, keys)),
        }
    }

    /// Opens the store for reading and writing.
    pub(crate) fn open(&self) -> Result<Box<dyn Store>, Failure> {
        self.open_with(&store_keys::read(&self.keys, &self.kbpk()?)?)
    }

    /// Opens the store for reading and writing, with keys that are here already.
    pub(crate) fn open_with(&self, keys: &StoreKeys) -> Result<Box<dyn Store>, Failure> {
        match &self.cards {
            Cards::Directory(directory) => opened(EmbeddedStore::open(directory, keys)),
            #[cfg(feature = "postgres")]
            Cards::Postgres(place) => opened(PostgresStore::open(&place.options()?, keys)),
        }
    }

    /// Opens the store for reading, beside a writer.
    pub(crate) fn open_read_only(&self) -> Result<Box<dyn Store>, Failure> {
        self.open_read_only_with(&store_keys::read(&self.keys, &self.kbpk()?)?)
    }

    /// Opens the store for reading, with keys that are here already.
    pub(crate) fn open_read_only_with(&self, keys: &StoreKeys) -> Result<Box<dyn Store>, Failure> {
        match &self.cards {
            Cards::Directory(directory) => opened(EmbeddedStore::open_read_only(directory, keys)),
            // Who only reads keeps nobody away there.
            #[cfg(feature = "postgres")]
            Cards::Postgres(_) => self.open_with(keys),
        }
    }

    /// Whether there is a store that these keys open; an error if there is one that they do not.
    pub(crate) fn is_opened_by(&self, keys: &StoreKeys) -> Result<bool, Failure> {
        let opened = match &self.cards {
            Cards::Directory(directory) => EmbeddedStore::open_read_only(directory, keys).map(drop),
            #[cfg(feature = "postgres")]
            Cards::Postgres(place) => PostgresStore::open(&place.options()?, keys).map(drop),
        };
        match opened {
            Ok(()) => Ok(true),
            Err(StoreError::Missing { .. } | StoreError::MissingSchema { .. }) => Ok(false),
            Err(error) => Err(store_failure(&error)),
        }
    }

    /// Opens the store for reading, beside a keyring whose KBPK is here already: nobody has to type
    /// the same key twice.
    pub(crate) fn open_read_only_beside(
        &self,
        keyring: &keyring::Place,
        kbpk: &Kbpk,
    ) -> Result<Box<dyn Store>, Failure> {
        if self.kbpk != keyring.kbpk {
            return self.open_read_only();
        }
        keyring::warn(&self.kbpk.keep_apart(&self.keys).map_err(|e| Failure::kbpk(&e))?);
        self.open_read_only_with(&store_keys::read(&self.keys, kbpk)?)
    }
}

/// Whose fault a store's refusal is: the caller's to mend, or the system's.
pub(crate) fn store_failure(error: &StoreError) -> Failure {
    match error {
        StoreError::Damaged { .. }
        | StoreError::Generator
        | StoreError::OutcomeUnknown
        | StoreError::Storage(_) => Failure::system(error),
        // By the names that they have in a configuration.
        StoreError::Option { name, reason } => {
            let key = match *name {
                "roots" => "ca_file".to_owned(),
                "server" => "ca_file, host".to_owned(),
                name if name.ends_with("_timeout") => format!("{name}_ms"),
                name => name.to_owned(),
            };
            Failure::BadInput(format!("postgres.{key}: {reason}"))
        }
        _ => Failure::bad_input(error),
    }
}

fn opened(store: Result<impl Store + 'static, StoreError>) -> Result<Box<dyn Store>, Failure> {
    match store {
        Ok(store) => Ok(Box::new(store)),
        Err(error) => Err(store_failure(&error)),
    }
}
