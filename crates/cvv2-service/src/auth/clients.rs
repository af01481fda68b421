//! The file of API clients: who may have a token, and for what.
//!
//! ```toml
//! format = 1
//!
//! [[client]]
//! id = "acme-ivr"                 # a-z 0-9 - _ . and unique
//! secrets = ["$argon2id$v=19$…"]  # the hash of its secret; two while it is exchanged
//! scopes = ["cvv2:generate"]      # of "cvv2:generate", "cvv2:verify", "cvv2:administer"
//! banks = ["IBTF"]                # banks whose cards it may ask for
//! certificates = ["ba7816bf…"]    # SHA-256 of its certificates: it has to connect with one of
//!                                 # them, and its tokens count with that one only; may be left out
//! token_lifetime_seconds = 300    # 60 to 86400; that of the configuration if left out
//! disabled = true                 # false if left out
//! ```
//!
//! The file is read as a whole or not at all, and only if nobody but its owner may open it.

mod draft;
mod error;
mod text;

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use cvv2_keyring::Token as Name;
use cvv2_keyring::file;
use cvv2_resolver::BankId;

pub use self::draft::ClientsDraft;
pub use self::error::{ClientsCause, ClientsError};
use super::client_secret::SecretHash;
use crate::certificate_fingerprint::CertificateFingerprint;
use crate::scope::Scopes;

/// An entry of the file of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever adds a client has to state all of it")]
pub struct Client {
    /// Its name, for the token endpoint and for the audit record.
    pub id: Name,
    /// The hashes of its secrets, the oldest first: one, or two while it is exchanged.
    pub secrets: Vec<SecretHash>,
    /// What it may do.
    pub scopes: Scopes,
    /// With whose cards.
    pub banks: Vec<BankId>,
    /// The certificates with which it may connect; any, or none, if empty.
    pub certificates: Vec<CertificateFingerprint>,
    /// How long its tokens count, if not as long as the configuration says.
    pub token_lifetime: Option<Duration>,
    /// Whether it gets no tokens, and those that it has do not count.
    pub disabled: bool,
}

impl Client {
    /// The most secrets of a client.
    pub const SECRETS_MAX: usize = 2;
    /// The most banks of a client.
    pub const BANKS_MAX: usize = 100;
    /// The most certificates of a client.
    pub const CERTIFICATES_MAX: usize = 8;
}

/// The clients of a file.
#[derive(Debug, Default)]
pub struct Clients {
    by_id: HashMap<String, Client>,
}

impl Clients {
    /// The most clients of a file.
    pub const MAX: usize = 10_000;

    /// Reads the file.
    ///
    /// # Errors
    ///
    /// [`ClientsError`] for a file that others may open, and for the first entry that is wrong.
    pub fn read(path: &Path) -> Result<Self, ClientsError> {
        let text = file::read_private(path).map_err(ClientsError::file)?;
        Self::parse(&text).map_err(|error| error.in_file(path))
    }

    /// Reads the text of such a file.
    ///
    /// # Errors
    ///
    /// [`ClientsError`] with the place of the first entry that is wrong.
    pub fn parse(text: &str) -> Result<Self, ClientsError> {
        let clients = text::parse(text)?;
        let by_id = clients.into_iter().map(|placed| (placed.client.id.to_string(), placed.client));
        Ok(Self { by_id: by_id.collect() })
    }

    /// The client of this id, disabled or not.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Client> {
        self.by_id.get(id)
    }

    /// Every client, in the order of ids.
    #[must_use]
    pub fn list(&self) -> Vec<&Client> {
        let mut clients: Vec<_> = self.by_id.values().collect();
        clients.sort_by(|one, other| one.id.cmp(&other.id));
        clients
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}
