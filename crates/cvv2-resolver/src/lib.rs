//! From an EXID or contract number to a card: references, records, and the stores that hold them.
//!
//! A [`CardStore`] answers one question: which card does this bank know under this [`CardRef`]?
//! There is no way to ask across banks. [`EmbeddedStore`] keeps cards sealed in an LMDB file;
//! [`MemoryStore`] keeps them in memory, for tests and demonstrations. With the feature `postgres`,
//! `PostgresStore` keeps them sealed in PostgreSQL, for many replicas.
//!
//! ```
//! use cvv2::{Expiry, Pan};
//! use cvv2_resolver::{
//!     BankId, CardRecord, CardRef, CardStatus, CardStore, EmbeddedStore, Exid, ExidForm, Plastic,
//!     StoreKeys,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let home = tempfile::tempdir()?;
//! # let directory = home.path().join("cards");
//! let keys = StoreKeys::generate()?;
//! let store = EmbeddedStore::create(&directory, &keys)?;
//!
//! let bank = BankId::parse("IBTF")?;
//! let exid = CardRef::Exid(Exid::parse("99984100148297467162", ExidForm::Strict)?);
//! let plastic = Plastic::new(Expiry::parse_yymm("2701")?, 1, CardStatus::Active);
//! let card = CardRecord::new(Pan::parse("4123456789012345")?, CardStatus::Active, vec![plastic])?;
//! store.put(&bank, std::slice::from_ref(&exid), &card)?;
//!
//! assert_eq!(store.resolve(&bank, &exid)?, Some(card));
//! assert_eq!(store.resolve(&BankId::parse("ELSE")?, &exid)?, None);
//! # Ok(())
//! # }
//! ```
//!
//! # What is secret, and how it is held
//!
//! References, records and [`StoreKeys`] redact their `Debug`, have no `Display` and no
//! serialisation, compare in constant time and are zeroized when dropped. Errors say where a value
//! was wrong and why, never what it was. In the store's file there is neither a PAN nor a
//! reference: rows are found by a keyed hash and hold what `seal` made of the record. What is not
//! promised: a record or reference that the caller moves may leave a copy on the stack, which is
//! overwritten in time and not wiped.
//!
//! # The way through the crate
//!
//! | module | holds |
//! |---|---|
//! | `bank` | [`BankId`] |
//! | `card_ref` | [`CardRef`], [`Exid`], [`ContractNumber`], and how they may be shown |
//! | `record` | [`CardRecord`], [`Plastic`], [`CardStatus`] |
//! | `encoding` | the bytes that are sealed of a record and of a card |
//! | `seal` | [`StoreKeys`], [`KeyVersion`], the keyed index, sealing and opening of rows |
//! | `import` | [`CardImport`]: reading and sealing CSV |
//! | `store` | [`CardStore`], [`StoreError`], [`MemoryStore`], [`EmbeddedStore`], `PostgresStore` |

mod bank;
mod card_ref;
mod encoding;
mod import;
mod luhn;
mod record;
mod seal;
mod store;

pub use bank::{BankId, BankIdError};
pub use card_ref::{
    CardRef, CardRefKind, ContractNumber, ContractNumberError, EchoText, Exid, ExidError, ExidForm,
    MintError,
};
pub use import::{
    CardImport, HeaderError, ImportError, ImportOptions, ImportProgress, ImportStage,
    ImportSummary, ImportWatcher, RefusedRow, dry_run,
};
pub use record::{CardRecord, CardStatus, CardStatusError, Plastic, RecordError};
pub use seal::{KeyId, KeyVersion, StoreKey, StoreKeys, StoreKeysError};
pub use store::{
    CardStore, CardVisitor, CheckReport, EmbeddedStore, MemoryStore, NewCard, PutOutcome, Resealed,
    StoreError,
};
#[cfg(feature = "postgres")]
pub use store::{
    DatabaseError, PostgresOptions, PostgresPassword, PostgresPool, PostgresServer, PostgresStore,
};
