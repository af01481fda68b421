//! Stores: the question they answer, what they refuse, and how they may fail.

mod embedded;
mod live_key;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
mod refs_after_put;
mod resealing;

use std::fmt;
use std::ops::ControlFlow;
use std::path::PathBuf;

pub use embedded::EmbeddedStore;
pub use memory::MemoryStore;
#[cfg(feature = "postgres")]
pub use postgres::{
    DatabaseError, PostgresOptions, PostgresPassword, PostgresPool, PostgresServer, PostgresStore,
};
pub use resealing::Resealed;

use crate::bank::BankId;
use crate::card_ref::CardRef;
use crate::record::CardRecord;
use crate::seal::{KeyId, KeyVersion, Sealer, Table};

/// The most references of a card: one EXID and a few contract numbers are usual.
pub(crate) const REFS_MAX: usize = 64;

/// A store of cards.
///
/// Within a bank, a PAN is one card: whatever is put under it later replaces its record under *all*
/// its references, so that a card blocked under one is blocked under every one. References are only
/// ever added to a card.
pub trait CardStore: Send + Sync {
    /// Looks up one reference within a bank. There is no way to ask across banks.
    ///
    /// A reference that nobody has and one that only another bank has give the same answer, on the
    /// same way.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store cannot be read, or holds a row that does not open.
    fn resolve(&self, bank: &BankId, card: &CardRef) -> Result<Option<CardRecord>, StoreError>;

    /// Puts many cards, durably and in one step; the outcomes have the order of the cards.
    ///
    /// Cards are put in order, as one after the other. One that is refused is left out, and its
    /// outcome says why; the others are put. On an error none is.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store cannot be written.
    fn put_many(&self, cards: &[NewCard<'_>]) -> Result<Vec<PutOutcome>, StoreError>;

    /// Puts one card under one or more references, durably and in one step.
    ///
    /// # Errors
    ///
    /// [`StoreError::Taken`] where a reference belongs to another PAN, [`StoreError::References`]
    /// unless the card has 1 to 64 references, and [`StoreError`] as [`put_many`](Self::put_many).
    fn put(&self, bank: &BankId, refs: &[CardRef], record: &CardRecord) -> Result<(), StoreError> {
        let outcomes = self.put_many(&[NewCard { bank, refs, record }])?;
        match outcomes[..] {
            [PutOutcome::Taken { reference }] => Err(StoreError::Taken { reference }),
            [PutOutcome::References { count }] => Err(StoreError::References { count }),
            _ => Ok(()),
        }
    }

    /// The number of cards, over all banks.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store cannot be read.
    fn len(&self) -> Result<u64, StoreError>;

    /// Whether there is no card.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store cannot be read.
    fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.len()? == 0)
    }

    /// Shows every card with all its references to `visit`, in no particular order, until that
    /// breaks off: for export.
    ///
    /// What is shown is the store as it was when the first card was.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store cannot be read, or holds a card that does not open.
    fn each_card(&self, visit: &mut CardVisitor<'_>) -> Result<(), StoreError>;

    /// Whether look-ups can be answered now, as far as the store can say without one.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where they cannot.
    fn ready(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Reads everything: every row opens, and cards and references fit each other.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store cannot be read. What is wrong with its content is in the
    /// report.
    fn check(&self) -> Result<CheckReport, StoreError>;
}

/// What is called with a bank, a card's references and the card, and may break off.
pub type CardVisitor<'a> = dyn FnMut(&BankId, &[CardRef], &CardRecord) -> ControlFlow<()> + 'a;

/// A card to be put.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the arguments of `put`, for many cards")]
pub struct NewCard<'a> {
    /// The bank that the card belongs to.
    pub bank: &'a BankId,
    /// What the card is found by: 1 to 64 references.
    pub refs: &'a [CardRef],
    /// The card.
    pub record: &'a CardRecord,
}

/// What became of a [`NewCard`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PutOutcome {
    /// The bank had no card with this PAN; now it has.
    Added,
    /// The bank had a card with this PAN; now it has this record and these references too.
    Replaced,
    /// Refused: a reference belongs to another PAN.
    Taken {
        /// Its position among the references, counted from zero.
        reference: usize,
    },
    /// Refused: the card would not have 1 to 64 references.
    References {
        /// How many it would have.
        count: usize,
    },
}

/// What [`CardStore::check`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// Cards in the store.
    pub cards: u64,
    /// References in the store.
    pub references: u64,
    /// Cards whose row does not open: changed, or moved from another row.
    pub cards_unopened: u64,
    /// References whose record does not open: changed, or moved from another row.
    pub references_unopened: u64,
    /// References that a card lists and the store does not hold.
    pub references_missing: u64,
    /// References whose record is not the card's.
    pub references_differing: u64,
    /// References that no card lists.
    pub references_unlisted: u64,
}

impl CheckReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let sound = Self { cards: self.cards, references: self.references, ..Self::default() };
        *self == sound
    }
}

/// Why a store did not do what it was asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// A reference belongs to another PAN.
    Taken {
        /// Its position among the references that were given, counted from zero.
        reference: usize,
    },
    /// The card would not have 1 to 64 references.
    References {
        /// How many it would have.
        count: usize,
    },
    /// There is no store in this directory.
    Missing {
        /// The directory.
        directory: PathBuf,
    },
    /// There is a store in this directory already.
    Exists {
        /// The directory.
        directory: PathBuf,
    },
    /// There is no store in this schema of the database.
    MissingSchema {
        /// The schema.
        schema: String,
    },
    /// There is a store in this schema of the database already.
    SchemaExists {
        /// The schema.
        schema: String,
    },
    /// The store's tables are not those of this program.
    SchemaStep {
        /// The last step that made the store's.
        found: i32,
        /// The last step that this program knows.
        supported: i32,
    },
    /// An option for the database is none that there can be.
    Option {
        /// The option.
        name: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The database may lose what it has acknowledged.
    NotDurable {
        /// The setting of the database that says so.
        setting: &'static str,
    },
    /// The connection was lost while a commit was under way: it is done, or it is not.
    OutcomeUnknown,
    /// Somebody else has the store open for writing, or this process has it open already.
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// The store is open for reading only.
    ReadOnly,
    /// An import or a rotation is under way.
    Busy,
    /// A sealing key is not newer than all that the store has had.
    NotNewer {
        /// The version of the store's current key.
        current: KeyVersion,
        /// The version that was given.
        given: KeyVersion,
    },
    /// Others than the owner have access to the store.
    Exposed {
        /// The directory or file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The store has another format than this program.
    Format {
        /// The store's.
        found: u8,
        /// This program's.
        supported: u8,
    },
    /// The store was written under another index key.
    WrongKeys {
        /// The id of the index key that it was written under.
        store: KeyId,
        /// The id of the index key that was given.
        given: KeyId,
    },
    /// The store has another sealing key of this version.
    WrongSealingKey {
        /// The version.
        version: KeyVersion,
        /// The id of the key that rows were sealed under.
        store: KeyId,
        /// The id of the key that was given.
        given: KeyId,
    },
    /// Rows are sealed under a key that was not given.
    MissingKey {
        /// The key's version.
        version: KeyVersion,
    },
    /// A sealing key has sealed as many rows as it may.
    KeyWornOut {
        /// The key's version.
        version: KeyVersion,
    },
    /// A row does not open or does not fit: it was changed, moved, or never written by this
    /// program.
    Damaged {
        /// The table with the row.
        table: &'static str,
    },
    /// The operating system's random generator failed.
    Generator,
    /// The database or the file system failed.
    Storage(Box<dyn std::error::Error + Send + Sync>),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { reference } => {
                write!(f, "reference {} belongs to another card of the bank", reference + 1)
            }
            Self::References { count } => {
                write!(f, "the card would have {count} references; give 1 to {REFS_MAX}")
            }
            Self::Missing { directory } => {
                write!(f, "there is no card store in {}; create one first", directory.display())
            }
            Self::Exists { directory } => write!(
                f,
                "there is a card store in {} already; open it or name another directory",
                directory.display()
            ),
            Self::MissingSchema { schema } => write!(
                f,
                "there is no card store in the schema {schema} of the database; create one first"
            ),
            Self::SchemaExists { schema } => write!(
                f,
                "there is a card store in the schema {schema} of the database already; open it or \
                 name another schema"
            ),
            Self::SchemaStep { found, supported } => write!(
                f,
                "the card store's tables were made by step {found}, this program works with those of \
                 step {supported}; {}",
                if found < supported { "migrate the store" } else { "use a newer program" }
            ),
            Self::Option { name, reason } => {
                write!(f, "the database option `{name}` is wrong: {reason}")
            }
            Self::NotDurable { setting } => write!(
                f,
                "the database may lose what it has acknowledged, because its setting `{setting}` \
                 is off; switch it on"
            ),
            Self::OutcomeUnknown => f.write_str(
                "the connection to the database was lost while it committed; it has done all or \
                 nothing: do the same again, which is safe in both cases",
            ),
            Self::InUse { directory } => write!(
                f,
                "the card store in {} is in use; wait until the other writer is done, or open it \
                 for reading",
                directory.display()
            ),
            Self::ReadOnly => f.write_str("the card store is open for reading only"),
            Self::Busy => f.write_str(
                "an import or a rotation is under way in this card store; wait until it is done",
            ),
            Self::NotNewer { current, given } => write!(
                f,
                "the card store's current sealing key has version {current}; the next one cannot \
                 have version {given}, but any that is higher"
            ),
            Self::Exposed { path, mode } => write!(
                f,
                "{} is open to others than its owner (mode {mode:04o}); take their rights away, \
                 and find out who had access",
                path.display()
            ),
            Self::Format { found, supported } => write!(
                f,
                "the card store has format {found}, this program reads format {supported}; use \
                 the program's version that fits"
            ),
            Self::WrongKeys { store, given } => write!(
                f,
                "the card store was written under the keys {store}, not under {given}; give the \
                 right key file"
            ),
            Self::WrongSealingKey { version, store, given } => write!(
                f,
                "the card store's sealing key of version {version} is {store}, not {given}; give \
                 the right key file"
            ),
            Self::MissingKey { version } => write!(
                f,
                "rows of the card store are sealed under a key of version {version}, which was not \
                 given; give all keys of the store"
            ),
            Self::KeyWornOut { version } => write!(
                f,
                "the store's sealing key of version {version} has sealed as many rows as it safely \
                 can; rotate to a new one"
            ),
            Self::Damaged { table } => write!(
                f,
                "a row of the table `{table}` does not open; check the store and restore it from a \
                 backup"
            ),
            Self::Generator => f.write_str("the operating system's random generator failed"),
            Self::Storage(source) => write!(f, "the card store failed: {source}"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Storage(source) => Some(source.as_ref()),
            _ => None,
        }
    }
}

/// Why a row did not open.
fn unopened(sealer: &Sealer, table: Table, row: &[u8]) -> StoreError {
    match sealer.missing_key(row) {
        Some(version) => StoreError::MissingKey { version },
        None => StoreError::Damaged { table: table.name() },
    }
}
