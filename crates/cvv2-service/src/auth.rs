//! Who asks: bearer tokens, and how they are had. No transport is in here.
//!
//! ```text
//! id, secret ──► TokenEndpoint ──► token ──► Authenticator ──► Caller
//!                clients' file     ours, or an identity        banks, scopes
//!                signing keys      provider's (JWKS)
//! ```
//!
//! [`Auth::open`] makes both of one table of the configuration. Whoever has the sockets calls
//! [`TokenEndpoint::token`] for `POST /v1/tokenkc/generate`, on a thread that may block, and
//! [`Authenticator::authenticate`] for every other request, and [`Auth::reload`] when the operator
//! says so.
//!
//! # What is promised
//!
//! - A token counts for the banks and scopes that it names, and, if it is one of ours, that the file
//!   of clients still names: what is taken away there is gone with the reload.
//! - Signatures are asymmetric, by algorithms that the issuer is known to use, under keys of that
//!   issuer only; `none` and the HMACs cannot be configured.
//! - A token that is bound to a certificate (RFC 8705) counts over connections of that certificate
//!   only, and a client for which the file names certificates gets no other tokens.
//! - Nothing of a secret or a token is in an error, a log line or a `Debug`.
//!
//! # What is not
//!
//! Keys that sign are wiped when they are dropped, but are in ordinary memory, as the library that
//! signs has them. A bearer token that is not bound is good for whoever has it until it expires.

mod algorithm;
mod authenticator;
mod cache;
mod client_secret;
mod clients;
mod error;
mod jwks_source;
mod jwks_store;
mod jws;
mod key_set;
mod object;
mod own;
mod provider;
mod refresher;
mod settings;
mod signing_keys;
mod token_endpoint;
mod verified;

use std::fmt;
use std::sync::Arc;

pub use self::algorithm::Algorithm;
pub use self::authenticator::{Authenticated, Authenticator};
pub use self::client_secret::{ClientSecret, GeneratorError, SecretHash, SecretHashError};
pub use self::clients::{Client, Clients, ClientsCause, ClientsDraft, ClientsError};
pub use self::error::AuthError;
pub use self::jwks_source::JwksSourceError;
pub use self::jwks_store::JwksStatus;
pub use self::key_set::JwksError;
use self::own::Own;
pub use self::own::OwnError;
use self::provider::Provider;
pub use self::provider::{ProviderError, ProviderStatus};
pub use self::settings::{
    AuthSettings, AuthSettingsError, JwksSettings, LEEWAY_SECONDS_MAX, LIFETIME_SECONDS,
    OwnSettings, PROVIDERS_MAX, ProviderSettings, ScopeName,
};
pub use self::signing_keys::{SigningKeys, SigningKeysError};
pub use self::token_endpoint::{
    TokenAnswer, TokenEndpoint, TokenOutcome, TokenRefusal, TokenRequest,
};
use crate::clock::Clock;

/// All of it, as the configuration says.
pub struct Auth {
    own: Option<Arc<Own>>,
    clock: Arc<dyn Clock>,
    token_endpoint: Option<TokenEndpoint>,
    authenticator: Authenticator,
}

impl Auth {
    /// Reads clients, keys and certificates, and starts to ask providers for their keys: until one
    /// has answered, its tokens are refused. The clock tells how old fetched keys are.
    ///
    /// # Errors
    ///
    /// [`AuthSetupError`] for settings and files that are not in order. A provider that does not
    /// answer is no error: see [`Authenticator::providers`].
    pub fn open(
        settings: &AuthSettings,
        clock: impl Clock + 'static,
    ) -> Result<Self, AuthSetupError> {
        settings.check()?;
        let clock: Arc<dyn Clock> = Arc::new(clock);
        let own = settings.own.as_ref().map(Own::open).transpose()?.map(Arc::new);
        let token_endpoint = match (&own, &settings.own) {
            (Some(own), Some(settings)) => Some(TokenEndpoint::new(
                Arc::clone(own),
                settings.hashes_at_once,
                settings.hashes_waiting_max,
            )?),
            _ => None,
        };
        let providers = settings.provider.iter().enumerate();
        let providers = providers
            .map(|(number, settings)| Provider::open(number, settings, Arc::clone(&clock)))
            .collect::<Result<_, _>>()?;
        let authenticator =
            Authenticator::new(own.clone(), providers, settings.verified_tokens_max);
        Ok(Self { own, clock, token_endpoint, authenticator })
    }

    /// What issues tokens, if we do.
    #[must_use]
    pub fn token_endpoint(&self) -> Option<&TokenEndpoint> {
        self.token_endpoint.as_ref()
    }

    /// What reads them.
    #[must_use]
    pub fn authenticator(&self) -> &Authenticator {
        &self.authenticator
    }

    /// Reads the files of clients and keys again. Requests go on meanwhile, and none is judged by a
    /// part of the new files and a part of the old.
    ///
    /// # Errors
    ///
    /// [`AuthSetupError`] for a file that is not in order: what was read of it before goes on to
    /// count. The others are taken in any case, and the first error is told.
    pub fn reload(&self) -> Result<(), AuthSetupError> {
        let now = self.clock.now();
        let own = self.own.as_ref().map_or(Ok(()), |own| own.reload());
        let mut reloaded = own.map_err(AuthSetupError::from);
        for provider in self.authenticator.each_provider() {
            reloaded = reloaded.and(provider.reload(now).map_err(AuthSetupError::from));
        }
        self.authenticator.forget();
        reloaded
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").finish_non_exhaustive()
    }
}

/// Why nobody can be authenticated.
#[derive(Debug)]
#[non_exhaustive]
pub enum AuthSetupError {
    /// The system has no random bytes.
    Generator(GeneratorError),
    /// The files for our own tokens.
    Own(OwnError),
    /// A provider.
    Provider(ProviderError),
    /// The settings.
    Settings(AuthSettingsError),
}

impl fmt::Display for AuthSetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Generator(error) => error.fmt(f),
            Self::Own(error) => error.fmt(f),
            Self::Provider(error) => error.fmt(f),
            Self::Settings(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AuthSetupError {}

impl From<GeneratorError> for AuthSetupError {
    fn from(error: GeneratorError) -> Self {
        Self::Generator(error)
    }
}

impl From<OwnError> for AuthSetupError {
    fn from(error: OwnError) -> Self {
        Self::Own(error)
    }
}

impl From<ProviderError> for AuthSetupError {
    fn from(error: ProviderError) -> Self {
        Self::Provider(error)
    }
}

impl From<AuthSettingsError> for AuthSetupError {
    fn from(error: AuthSettingsError) -> Self {
        Self::Settings(error)
    }
}
