//! Card verification keys of an issuer: one file of key blocks, and which key computes for a card.
//!
//! ```
//! use cvv2::key::{Kbpk, KbpkAlgorithm};
//! use cvv2::secret::Protection;
//! use cvv2::{Expiry, ExpiryOrder, KeyBlock, Pan};
//! use cvv2_keyring::{
//!     BinRange, CheckValue, Draft, KeyEntry, Keyring, Kind, State, Successor, Token,
//! };
//! use time::macros::date;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("keyring.toml");
//! // A key for documentation; a live one comes from a custodian, a file or a token.
//! let hex = "0F1E2D3C0F1E2D3C0F1E2D3C0F1E2D3C0F1E2D3C0F1E2D3C0F1E2D3C0F1E2D3C";
//! let kbpk = Kbpk::from_hex(KbpkAlgorithm::Aes256, hex, Protection::Wiped)?;
//! Keyring::create(&path, &kbpk)?;
//!
//! let mut draft = Draft::open(&path, &kbpk)?;
//! draft.import(KeyEntry {
//!     name: Token::parse("visa-2026")?,
//!     scheme: Token::parse("visa")?,
//!     kinds: vec![Kind::Cvv2],
//!     bins: vec![BinRange::parse("412345")?],
//!     expiry_order: ExpiryOrder::YyMm,
//!     state: State::Active,
//!     from: date!(2026-01-01),
//!     until: None,
//!     cards_expiring_from: None,
//!     predecessor: None,
//!     kcv: CheckValue::parse("EDF31F").ok_or("no check value")?,
//!     block: KeyBlock::parse(
//!         "D0112C0TC00E000017CCC168CF28F19557EACBD3C8FC52E988B2C72B\
//!          50B2978737F6C0C5521C7DC1D8B6206D2036614E3436BC6475F33AB7",
//!     )?,
//! })?;
//! draft.rotate(
//!     "visa-2026",
//!     Successor {
//!         name: Token::parse("visa-2029")?,
//!         from: date!(2029-01-01),
//!         cards_expiring_from: None,
//!         kcv: CheckValue::parse("41BDA9").ok_or("no check value")?,
//!         block: KeyBlock::parse(
//!             "D0112C0TC00E0000D2A118A95D50B8B20E5AE75FD98D402F7800EDA3\
//!              B53EBC2E7462C77DD46929D562BE72E014AED972388060A03C40F24A",
//!         )?,
//!     },
//! )?;
//! let keyring = draft.commit()?;
//!
//! let (pan, expiry) = (Pan::parse("4123456789012345")?, Expiry::parse_yymm("3106")?);
//! let chosen = keyring.in_force(&pan, Kind::Cvv2, &expiry, date!(2029-03-01))?;
//! assert_eq!(&*chosen.entry.name, "visa-2029");
//! let cvv2 = chosen.cvk.cvv2(&pan, &expiry)?;
//! assert_eq!(keyring.verifying(&pan, Kind::Cvv2, &expiry, date!(2029-03-01)).count(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! # The file
//!
//! TOML, for people to read and to edit. Nothing in it is secret, and nothing in it can be left to
//! chance: an unknown field is refused, and every refusal names line, column and field.
//!
//! ```toml
//! format = 1
//! kbpk_kcv = "D7899C"            # which KBPK the blocks are under: CMAC over zeros
//!
//! [[key]]
//! name = "visa-2029"             # a-z 0-9 - _ . and unique
//! scheme = "visa"                # for people only
//! kinds = ["cvv2"]               # one or more of "cvv", "cvv2", "icvv"
//! bins = ["412345", "40000000-40000099"] # prefixes of 6 to 12 digits, and ranges of them
//! expiry_order = "YYMM"          # or "MMYY"
//! state = "active"               # or "pending", "verify-only", "retired"
//! from = 2029-01-01              # its first day
//! until = 2035-12-31             # its last day; may be left out
//! cards_expiring_from = "2031-01" # for cards that expire then or later; may be left out
//! predecessor = "visa-2026"      # the key that it takes over from; may be left out
//! kcv = "41BDA9"                 # its check value: zeros encrypted
//! block = "D0112C0TC00E0000…"    # the key, as an X9.143 key block under the KBPK
//! ```
//!
//! Days are the issuer's: the crate has no clock and no time zone, whoever asks says which day it
//! is.
//!
//! # Which key is for a card
//!
//! A card is a PAN, a [`Kind`] of value, an expiry, and the day that is asked about.
//!
//! 1. Among the ranges of this kind that hold the PAN, the one with the most digits decides. Its
//!    key, and of that key's predecessors those that have the PAN too, are the candidates: a line in
//!    which each starts later than the one before.
//! 2. A candidate counts from its first to its last day, and for cards that expire in its
//!    `cards_expiring_from` or later.
//! 3. The newest candidate that counts and is active is **in force**: it generates. If its block's
//!    mode of use does not let it, nothing does.
//! 4. Every candidate that counts and is active or verify-only **verifies**, if its mode of use lets
//!    it: the one in force first.
//!
//! [`State`] has the table of states. A pending key takes no part in any of this.
//!
//! A rotation by date alone is for systems that compute a value once, when a card is made: from the
//! successor's first day they generate with the successor. A system that computes the value of a
//! card in circulation again, as an operation that shows a CVV2 does, has to find the key that the
//! card was made with, and all it knows is the expiry. For it the successor has a
//! `cards_expiring_from`: the first expiry that is issued under the new key and was not under the
//! old one.
//!
//! # What is refused
//!
//! After a keyring was loaded, no card has two keys that could both be the one in force. So these
//! are refused, with the lines of both keys: ranges of one length that share cards, unless one key
//! is the other's successor; a successor that starts no later than its predecessor, leaves days
//! without a key between them, holds the same key, or has no card in common with it; an older key
//! that would come into force again when the newer one ends. These rules look at all keys, whatever
//! their state, so that a change of state never breaks them, but for two: the last, and that of the
//! same key. A retired key is not opened, so a successor that holds the key of a retired predecessor
//! is taken: compare its check value with those of all keys that went before.
//!
//! # Changes
//!
//! By hand, with any editor; or by a [`Draft`], which leaves comments and order as they are, and
//! replaces the file as a whole: it is the old one or the new one whatever stops the process, and
//! the old one stays beside it as `NAME.previous`. A draft is refused if somebody else changes the
//! file meanwhile. An empty `.keyring.lock` stays in the folder: who changes a keyring locks it, and
//! nobody but its owner can.
//!
//! # Other keys
//!
//! [`wrapped`] is a file of another kind, for keys that a system makes for itself: those of a card
//! store, that of an audit log.
//!
//! # What it does not protect
//!
//! A key block is bound to its use by its own MAC, but not to its line in this file. Who can write
//! the file can give one BIN the key of another, or an old keyring the place of the new. The file
//! and its folder, sticky or not, therefore have to be writable for their owner only, who is the
//! user of this process or root; the folders above are the operator's to watch.

mod bin_range;
pub mod ceremony;
mod check_value;
mod draft;
mod entry;
mod error;
mod fields;
pub mod file;
mod file_error;
pub mod kbpk;
mod keyring;
mod kind;
mod load_error;
mod month;
mod routes;
mod rules;
pub mod secret_file;
mod secret_text;
mod state;
mod text;
mod token;
pub mod wrapped;

pub use bin_range::{BinRange, BinRangeError};
pub use check_value::CheckValue;
pub use draft::{Draft, Successor};
pub use entry::KeyEntry;
pub use error::{ChangeError, KeyringError};
pub use file::FILE_BYTES_MAX;
pub use file_error::{FileError, FileFault};
pub use keyring::{Chosen, InForce, Keyring, NoCvk, VerifyError};
pub use kind::Kind;
pub use load_error::{LoadCause, LoadError};
pub use month::Month;
pub use rules::CHAIN_KEYS_MAX;
pub use secret_text::{SecretText, SecretTextError, read_bounded};
pub use state::State;
pub use text::{BINS_PER_KEY_MAX, KEYS_MAX};
pub use time::Date;
pub use token::{Token, TokenError};
