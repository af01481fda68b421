//! What an operator can set of tokens: the table `[auth]` of the configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::algorithm::Algorithm;
use crate::scope::Scope;

/// How long a token may count, in seconds: a minute to a day.
pub const LIFETIME_SECONDS: RangeInclusive<u64> = 60..=86_400;
/// How far other clocks may be from ours, in seconds, at most.
pub const LEEWAY_SECONDS_MAX: u64 = 60;
/// The most identity providers.
pub const PROVIDERS_MAX: usize = 16;

/// The table `[auth]`: whose tokens count. At least one of `own` and `provider` has to be there.
///
/// ```
/// let settings: cvv2_service::auth::AuthSettings = toml::from_str(
///     r#"
///     [own]
///     clients = "clients.toml"
///     signing_keys = "signing-keys"
///     issuer = "https://cvv2.bank.example"
///
///     [[provider]]
///     name = "corporate"
///     issuer = "https://login.bank.example"
///     audience = "cvv2"
///     algorithms = ["ES256"]
///     jwks = { url = "https://login.bank.example/jwks", ca_file = "ca.pem" }
///     scopes = { "cards.generate" = "cvv2:generate" }
///     "#,
/// )?;
/// settings.check()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AuthSettings {
    /// Tokens of our own, for the clients of a file. None if left out.
    pub own: Option<OwnSettings>,
    /// Identity providers whose tokens count as well. None if left out.
    #[serde(default)]
    pub provider: Vec<ProviderSettings>,
    /// The most verified tokens that are remembered, so that their signatures need not be verified
    /// again. Default: 10 000; 2 to 1 000 000.
    #[serde(default = "verified_tokens_max")]
    pub verified_tokens_max: usize,
}

/// The table `[auth.own]`: tokens that we sign.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OwnSettings {
    /// The file of clients, mode 0600.
    pub clients: PathBuf,
    /// The folder of the signing keys.
    pub signing_keys: PathBuf,
    /// `iss` of our tokens: the service's address, 1 to 256 printable ASCII characters without
    /// spaces. No provider has the same.
    pub issuer: String,
    /// `aud` of our tokens, as `issuer`. Default: `cvv2`.
    #[serde(default = "audience")]
    pub audience: String,
    /// How long tokens count, in seconds; 60 to 86400. A client's entry may say otherwise. Default:
    /// 900.
    #[serde(default = "token_lifetime_seconds")]
    pub token_lifetime_seconds: u64,
    /// How far the clocks of replicas may differ, in seconds; 0 to 60. Default: 5.
    #[serde(default = "own_leeway_seconds")]
    pub leeway_seconds: u64,
    /// How many secrets are hashed at once, 19 MiB of memory each; 1 to 64. Default: 2.
    #[serde(default = "hashes_at_once")]
    pub hashes_at_once: usize,
    /// How many more requests may wait for that; others get 503. 0 to 1024. Default: 32.
    #[serde(default = "hashes_waiting_max")]
    pub hashes_waiting_max: usize,
}

/// A table `[[auth.provider]]`: an outside identity provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ProviderSettings {
    /// Its name in callers' names and in errors: a-z, 0-9, `-`, `_` and `.`, and unique.
    pub name: String,
    /// `iss` of its tokens, to the letter.
    pub issuer: String,
    /// What `aud` of its tokens has to be or to have.
    pub audience: String,
    /// The algorithms with which it signs; any other is refused, whatever a token or a key says.
    pub algorithms: Vec<Algorithm>,
    /// Where its public keys come from.
    pub jwks: JwksSettings,
    /// How far its clock may be from ours, in seconds; 0 to 60. Default: 30.
    #[serde(default = "leeway_seconds")]
    pub leeway_seconds: u64,
    /// The claim that names the caller. Default: `sub`.
    #[serde(default = "subject_claim")]
    pub subject_claim: String,
    /// The claim with the codes of the caller's banks: a list, or one text with spaces between them.
    /// Default: `banks`.
    #[serde(default = "banks_claim")]
    pub banks_claim: String,
    /// The claim with the caller's scopes, likewise. Default: `scope`.
    #[serde(default = "scopes_claim")]
    pub scopes_claim: String,
    /// Which of our scopes is meant by which of its. Default: each has our name.
    #[serde(default)]
    pub scopes: BTreeMap<String, ScopeName>,
    /// Whether a token has to be bound to the client's certificate (RFC 8705); one that is bound
    /// counts with that certificate only, in any case. Default: false.
    #[serde(default)]
    pub require_certificate: bool,
}

/// Where a provider's JSON Web Key Set comes from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", untagged)]
#[non_exhaustive]
pub enum JwksSettings {
    /// A file, read when the service starts and when it reloads.
    File {
        /// The file.
        file: PathBuf,
    },
    /// An address, asked in the background.
    Url {
        /// An `https:` address. No redirect is followed, no proxy used.
        url: String,
        /// The certificates, in PEM, of those who may vouch for the address.
        ca_file: PathBuf,
        /// How often it is asked, in seconds; 60 to 86400. Default: 300.
        #[serde(default = "refresh_seconds")]
        refresh_seconds: u64,
        /// How long keys count after they were fetched, where the address does not answer any more,
        /// in seconds; at least `refresh_seconds`, at most 604800. Default: 86400.
        #[serde(default = "stale_seconds")]
        stale_seconds: u64,
    },
}

/// One of our scopes, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a scope, for serde")]
pub struct ScopeName(pub Scope);

impl<'de> Deserialize<'de> for ScopeName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let known = "one of the scopes cvv2:generate, cvv2:verify, cvv2:administer";
        Scope::by_name(&name).map(Self).ok_or_else(|| serde::de::Error::custom(known))
    }
}

impl AuthSettings {
    /// Refuses what is out of range or contradicts itself.
    ///
    /// # Errors
    ///
    /// [`AuthSettingsError`] with the first key that is wrong.
    pub fn check(&self) -> Result<(), AuthSettingsError> {
        let wrong = |key, must| Err(AuthSettingsError { provider: None, key, must });
        if self.own.is_none() && self.provider.is_empty() {
            return wrong("auth", "have a table `own`, or one or more `provider`");
        }
        if !(2..=1_000_000).contains(&self.verified_tokens_max) {
            return wrong("verified_tokens_max", "be 2 to 1000000");
        }
        if let Some(own) = &self.own {
            own.check()?;
        }
        if self.provider.len() > PROVIDERS_MAX {
            return wrong("provider", "be at most 16 tables");
        }
        for (index, provider) in self.provider.iter().enumerate() {
            let wrong = |key, must| Err(AuthSettingsError { provider: Some(index + 1), key, must });
            if let Err((key, must)) = provider.check() {
                return wrong(key, must);
            }
            let before = &self.provider[..index];
            let own = self.own.as_ref().map(|own| &own.issuer);
            if own
                .into_iter()
                .chain(before.iter().map(|it| &it.issuer))
                .any(|it| *it == provider.issuer)
            {
                return wrong("issuer", "differ from every other issuer");
            }
            if before.iter().any(|it| it.name == provider.name) {
                return wrong("name", "differ from every other provider's");
            }
        }
        Ok(())
    }

    /// The same, with relative paths counted from a folder: that of the configuration.
    #[must_use]
    pub fn relative_to(mut self, folder: &Path) -> Self {
        let join = |path: &mut PathBuf| *path = folder.join(&*path);
        if let Some(own) = &mut self.own {
            join(&mut own.clients);
            join(&mut own.signing_keys);
        }
        for provider in &mut self.provider {
            match &mut provider.jwks {
                JwksSettings::File { file } => join(file),
                JwksSettings::Url { ca_file, .. } => join(ca_file),
            }
        }
        self
    }
}

impl OwnSettings {
    fn check(&self) -> Result<(), AuthSettingsError> {
        let wrong = |key, must| Err(AuthSettingsError { provider: None, key, must });
        if !is_name(&self.issuer) {
            return wrong("own.issuer", NAME);
        }
        if !is_name(&self.audience) {
            return wrong("own.audience", NAME);
        }
        if !LIFETIME_SECONDS.contains(&self.token_lifetime_seconds) {
            return wrong("own.token_lifetime_seconds", "be 60 to 86400");
        }
        if self.leeway_seconds > LEEWAY_SECONDS_MAX {
            return wrong("own.leeway_seconds", "be 0 to 60");
        }
        if !(1..=64).contains(&self.hashes_at_once) {
            return wrong("own.hashes_at_once", "be 1 to 64");
        }
        if self.hashes_waiting_max > 1024 {
            return wrong("own.hashes_waiting_max", "be 0 to 1024");
        }
        Ok(())
    }
}

impl ProviderSettings {
    fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if cvv2_keyring::Token::parse(&self.name).is_err() {
            return Err(("name", "be 1 to 64 characters of a-z, 0-9, '-', '_' and '.'"));
        }
        for (key, text) in [
            ("issuer", &self.issuer),
            ("audience", &self.audience),
            ("subject_claim", &self.subject_claim),
            ("banks_claim", &self.banks_claim),
            ("scopes_claim", &self.scopes_claim),
        ] {
            if !is_name(text) {
                return Err((key, NAME));
            }
        }
        if self.algorithms.is_empty() {
            return Err(("algorithms", "name at least one algorithm"));
        }
        if self.leeway_seconds > LEEWAY_SECONDS_MAX {
            return Err(("leeway_seconds", "be 0 to 60"));
        }
        if self.scopes.len() > 64 || !self.scopes.keys().all(|name| is_name(name)) {
            return Err(("scopes", "be at most 64 names of 1 to 256 printable ASCII characters"));
        }
        match &self.jwks {
            JwksSettings::Url { url, .. } if !url.starts_with("https://") || !is_name(url) => {
                Err(("jwks.url", "be an https: address of at most 256 characters"))
            }
            JwksSettings::Url { refresh_seconds, .. }
                if !(60..=86_400).contains(refresh_seconds) =>
            {
                Err(("jwks.refresh_seconds", "be 60 to 86400"))
            }
            JwksSettings::Url { refresh_seconds, stale_seconds, .. }
                if !(*refresh_seconds..=604_800).contains(stale_seconds) =>
            {
                Err(("jwks.stale_seconds", "be at least refresh_seconds and at most 604800"))
            }
            _ => Ok(()),
        }
    }
}

/// Why settings were refused: which key, and what it must be. Never what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthSettingsError {
    /// The provider's number in the file, from 1, where it is a provider's key.
    pub provider: Option<usize>,
    /// The key.
    pub key: &'static str,
    /// What it must be.
    pub must: &'static str,
}

impl fmt::Display for AuthSettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provider, key, must } = self;
        match provider {
            Some(number) => write!(f, "[auth] provider {number}: {key} must {must}"),
            None => write!(f, "[auth] {key} must {must}"),
        }
    }
}

impl std::error::Error for AuthSettingsError {}

const NAME: &str = "be 1 to 256 printable ASCII characters without spaces";

fn is_name(text: &str) -> bool {
    (1..=256).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

const fn verified_tokens_max() -> usize {
    10_000
}

fn audience() -> String {
    "cvv2".to_owned()
}

const fn token_lifetime_seconds() -> u64 {
    900
}

const fn own_leeway_seconds() -> u64 {
    5
}

const fn leeway_seconds() -> u64 {
    30
}

const fn hashes_at_once() -> usize {
    2
}

const fn hashes_waiting_max() -> usize {
    32
}

fn subject_claim() -> String {
    "sub".to_owned()
}

fn banks_claim() -> String {
    "banks".to_owned()
}

fn scopes_claim() -> String {
    "scope".to_owned()
}

const fn refresh_seconds() -> u64 {
    300
}

const fn stale_seconds() -> u64 {
    86_400
}
