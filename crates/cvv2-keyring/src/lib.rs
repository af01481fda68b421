//! Card verification keys of an issuer: one file of key blocks, and which key computes for a card.

mod bin_range;
mod check_value;
mod draft;
mod entry;
mod error;
mod fields;
mod file;
mod file_error;
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

pub use bin_range::{BinRange, BinRangeError};
pub use check_value::CheckValue;
pub use draft::{Draft, Successor};
pub use entry::KeyEntry;
pub use error::{ChangeError, KeyringError};
pub use file::FILE_BYTES_MAX;
pub use file_error::{FileError, FileFault};
pub use keyring::{Chosen, Keyring, NoCvk, VerifyError};
pub use kind::Kind;
pub use load_error::{LoadCause, LoadError};
pub use month::Month;
pub use rules::CHAIN_KEYS_MAX;
pub use secret_text::{SecretText, SecretTextError, read_bounded};
pub use state::State;
pub use text::{BINS_PER_KEY_MAX, KEYS_MAX};
pub use time::Date;
pub use token::{Token, TokenError};
