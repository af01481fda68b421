//! Where the key block protection key (KBPK) comes from.
//!
//! A configuration names one source:
//!
//! ```toml
//! kbpk = { file = "/etc/cvv2-kbpk/kbpk" }        # mode 0600, and not in the keyring's folder
//! kbpk = { credential = "kbpk" }                 # systemd: LoadCredentialEncrypted=kbpk:…
//! kbpk = { custodians = 2, kcv = "233155" }      # typed at the terminal at every start
//! kbpk = { environment = "CVV2_KBPK" }           # the weakest: it stays readable in /proc
//!
//! [kbpk.pkcs11]                                  # a key that never leaves its token
//! module = "/usr/lib/softhsm/libsofthsm2.so"
//! token = "cvv2"
//! key = "kbpk"
//! pin_credential = "pin"                         # or pin_file, pin_environment; asked if left out
//! ```
//!
//! File, credential and variable hold one line, which the check value ends so that a typing error
//! shows: `cvv2-kbpk-1 aes-256 HEX KCV`, where the algorithm is one of [`KbpkAlgorithm`]'s names.
//! The check value of an AES key is the CMAC over a block of zeros, that of a triple-DES key eight
//! zeros encrypted; of both the first three bytes, as HSMs show them.
//!
//! [`KbpkAlgorithm`]: cvv2::key::KbpkAlgorithm

mod components;
mod credential;
mod custodians;
mod environment;
mod error;
mod file;
mod form;
mod pkcs11;
mod source;

pub use components::create_of_components;
pub use custodians::KbpkAssembly;
pub use error::KbpkSourceError;
pub use form::FormError;
#[cfg(feature = "pkcs11")]
pub use pkcs11::Pkcs11Error;
pub use pkcs11::{PinSource, Pkcs11Source};
pub use source::{KbpkSource, KbpkWarning, LoadedKbpk};
