//! An outside identity provider whose tokens count.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cvv2_resolver::BankId;
use time::OffsetDateTime;

use super::algorithm::Algorithm;
use super::error::AuthError;
use super::jwks_source::{JwksSource, JwksSourceError};
use super::jwks_store::{JwksStatus, JwksStore};
use super::jws::{Claims, Jws};
use super::refresher::Refresher;
use super::settings::{JwksSettings, ProviderSettings, ScopeName};
use super::verified::{Bearer, Validity, token_id};
use crate::caller::Caller;
use crate::clock::Clock;
use crate::scope::{Scope, Scopes};

/// A provider, and its keys as far as we have them.
pub(super) struct Provider {
    number: usize,
    name: String,
    issuer: String,
    audience: String,
    algorithms: Vec<Algorithm>,
    leeway: Duration,
    subject_claim: String,
    banks_claim: String,
    scopes_claim: String,
    scopes: BTreeMap<String, ScopeName>,
    require_certificate: bool,
    keys: Arc<JwksStore>,
    /// The file, to be read again; an address has a thread that asks it.
    source: Option<JwksSource>,
    _refresher: Option<Refresher>,
}

impl Provider {
    /// Reads the keys of a file; starts to ask for those of an address, without waiting for them.
    pub(super) fn open(
        number: usize,
        settings: &ProviderSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ProviderError> {
        let wrong = |cause| ProviderError { provider: settings.name.clone(), cause };
        let source = JwksSource::open(&settings.jwks).map_err(wrong)?;
        let (keys, source, refresher) = match settings.jwks {
            JwksSettings::File { .. } => {
                let keys = source.read().map_err(|e| wrong(JwksSourceError::Keys(e)))?;
                let store = JwksStore::new(None);
                store.put(keys, clock.now());
                (Arc::new(store), Some(source), None)
            }
            JwksSettings::Url { refresh_seconds, stale_seconds, .. } => {
                let store = Arc::new(JwksStore::new(Some(Duration::from_secs(stale_seconds))));
                let refresh = Duration::from_secs(refresh_seconds);
                let refresher = Refresher::start(source, Arc::clone(&store), refresh, clock)
                    .map_err(|e| wrong(JwksSourceError::Thread(e)))?;
                (store, None, Some(refresher))
            }
        };
        Ok(Self {
            number,
            name: settings.name.clone(),
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
            algorithms: settings.algorithms.clone(),
            leeway: Duration::from_secs(settings.leeway_seconds),
            subject_claim: settings.subject_claim.clone(),
            banks_claim: settings.banks_claim.clone(),
            scopes_claim: settings.scopes_claim.clone(),
            scopes: settings.scopes.clone(),
            require_certificate: settings.require_certificate,
            keys,
            source,
            _refresher: refresher,
        })
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Reads the file of keys again, if they are in a file; asks the address, if not, soon.
    pub(super) fn reload(&self, now: OffsetDateTime) -> Result<(), ProviderError> {
        let Some(source) = &self.source else {
            self.keys.want();
            return Ok(());
        };
        let keys = source.read().map_err(|error| ProviderError {
            provider: self.name.clone(),
            cause: JwksSourceError::Keys(error),
        })?;
        self.keys.put(keys, now);
        Ok(())
    }

    /// The number of the keys by which tokens are verified now, if there are any that still count.
    pub(super) fn epoch(&self, now: OffsetDateTime) -> Result<u64, AuthError> {
        self.keys.current(now).map(|(_, epoch)| epoch)
    }

    pub(super) fn status(&self, now: OffsetDateTime) -> ProviderStatus {
        ProviderStatus { provider: self.name.clone(), keys: self.keys.status(now) }
    }

    /// The bearer of a token that names this provider as its issuer.
    pub(super) fn verify(&self, jws: &Jws<'_>, now: OffsetDateTime) -> Result<Bearer, AuthError> {
        let (header, claims) = (&jws.header, &jws.claims);
        if !matches!(header.kind.as_deref(), None | Some("jwt" | "at+jwt")) {
            return Err(AuthError::Header);
        }
        let algorithm = Algorithm::by_name(&header.algorithm)
            .filter(|algorithm| self.algorithms.contains(algorithm))
            .ok_or(AuthError::Algorithm)?;
        let (keys, epoch) = self.keys.current(now)?;
        let verified = keys.verify(algorithm, header.key_id.as_deref(), jws.message, jws.signature);
        if verified == Err(AuthError::UnknownKey) {
            // Perhaps it has a new one.
            self.keys.want();
        }
        verified?;
        if !claims.is_for(&self.audience) {
            return Err(AuthError::Audience);
        }
        let validity = Validity::of(claims, self.leeway)?;
        let certificate = claims.certificate()?;
        if self.require_certificate && certificate.is_none() {
            return Err(AuthError::NotBound);
        }
        Ok(Bearer {
            caller: self.caller(claims)?,
            token_id: token_id(claims, jws),
            provider: Some(self.number),
            validity,
            certificate,
            epoch,
        })
    }

    fn caller(&self, claims: &Claims) -> Result<Caller, AuthError> {
        let subject = claims.text(&self.subject_claim).filter(|subject| is_name(subject));
        // No client of ours has a slash in its id, nor has a provider in its name.
        let name = format!("{}/{}", self.name, subject.ok_or(AuthError::Claims)?);
        // Codes and scopes of other services are left out.
        let banks = claims.words(&self.banks_claim)?.into_iter();
        let banks = banks.filter_map(|code| BankId::parse(code).ok());
        let scopes = claims.words(&self.scopes_claim)?.into_iter();
        let scopes: Scopes = scopes.filter_map(|scope| self.scope(scope)).collect();
        Ok(Caller::new(name, banks, scopes))
    }

    fn scope(&self, name: &str) -> Option<Scope> {
        if self.scopes.is_empty() {
            Scope::by_name(name)
        } else {
            self.scopes.get(name).map(|ScopeName(scope)| *scope)
        }
    }
}

/// What an operator wants to know of a provider.
#[derive(Debug)]
#[non_exhaustive]
pub struct ProviderStatus {
    /// Its name in the configuration.
    pub provider: String,
    /// What is known of its keys.
    pub keys: JwksStatus,
}

/// Why a provider cannot be asked for its keys at all.
#[derive(Debug)]
#[non_exhaustive]
pub struct ProviderError {
    /// Its name in the configuration.
    pub provider: String,
    /// What is wrong.
    pub cause: JwksSourceError,
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[auth] provider {}: {}", self.provider, self.cause)
    }
}

impl std::error::Error for ProviderError {}

/// Whether a subject may stand in an audit record.
fn is_name(subject: &str) -> bool {
    (1..=SUBJECT_BYTES_MAX).contains(&subject.len())
        && subject.bytes().all(|b| b.is_ascii_graphic())
}

const SUBJECT_BYTES_MAX: usize = 128;
