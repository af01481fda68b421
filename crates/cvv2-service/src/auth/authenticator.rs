//! From the `Authorization` header of a request to its caller.

use std::fmt;
use std::sync::Arc;

use time::OffsetDateTime;

use super::cache::{Cache, TokenHash};
use super::error::AuthError;
use super::jws::Jws;
use super::own::Own;
use super::provider::{Provider, ProviderStatus};
use super::verified::Bearer;
use crate::caller::Caller;
use crate::certificate_fingerprint::CertificateFingerprint;

/// Tells who a request is from by its bearer token.
///
/// A token is one of ours, or one of a configured provider: its `iss` says whose, and it is then
/// judged by that issuer's keys, algorithms and rules only. What a token's header says of keys
/// (`jku`, `jwk`, `x5u`) is never followed; `kid` is only looked up among the keys that are known.
///
/// A verified signature is remembered for a bounded number of tokens, by the hash of the token. All
/// else is looked at on each use: the time, the certificate, and whether the keys and the clients
/// are still those by which the token was judged. So whoever is disabled, or loses a bank or a
/// scope, loses it with the reload of the file, whatever tokens it has.
pub struct Authenticator {
    own: Option<Arc<Own>>,
    providers: Vec<Provider>,
    verified: Cache<(Bearer, Arc<Authenticated>)>,
}

/// A caller, and by which token it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Authenticated {
    /// Who asks, and what it may do. One of a provider is named `PROVIDER/SUBJECT`.
    pub caller: Caller,
    /// The token's id, for the audit record.
    pub token_id: String,
    /// Whether the token is bound to the certificate that the client came with.
    pub bound: bool,
}

impl Authenticator {
    /// The longest token, in bytes.
    pub const TOKEN_BYTES_MAX: usize = 8 << 10;

    pub(super) fn new(
        own: Option<Arc<Own>>,
        providers: Vec<Provider>,
        verified_tokens_max: usize,
    ) -> Self {
        Self { own, providers, verified: Cache::new(verified_tokens_max) }
    }

    /// The caller of a request with this `Authorization` header, over a connection with this client
    /// certificate, at this moment.
    ///
    /// It never waits: not for a provider, nor for a disk.
    ///
    /// # Errors
    ///
    /// [`AuthError`], for which there is one answer.
    pub fn authenticate(
        &self,
        authorization: Option<&[u8]>,
        peer: Option<CertificateFingerprint>,
        now: OffsetDateTime,
    ) -> Result<Arc<Authenticated>, AuthError> {
        let token = bearer_token(authorization.ok_or(AuthError::Missing)?)?;
        let hash = TokenHash::of(token);
        if let Some(known) = self.verified.get(hash) {
            if self.epoch(&known.0, now) == Some(known.0.epoch) {
                known.0.check(peer, now)?;
                return Ok(Arc::clone(&known.1));
            }
            self.verified.remove(hash);
        }
        let bearer = self.verify(token, now)?;
        bearer.check(peer, now)?;
        let authenticated = Arc::new(Authenticated {
            caller: bearer.caller.clone(),
            token_id: bearer.token_id.clone(),
            bound: bearer.certificate.is_some(),
        });
        self.verified.put(hash, Arc::new((bearer, Arc::clone(&authenticated))));
        Ok(authenticated)
    }

    /// What is known of the providers' keys, for readiness and metrics.
    #[must_use]
    pub fn providers(&self, now: OffsetDateTime) -> Vec<ProviderStatus> {
        self.providers.iter().map(|provider| provider.status(now)).collect()
    }

    /// The providers, for whoever reloads them.
    pub(super) fn each_provider(&self) -> impl Iterator<Item = &Provider> {
        self.providers.iter()
    }

    /// Forgets every token.
    pub(super) fn forget(&self) {
        self.verified.clear();
    }

    fn verify(&self, token: &str, now: OffsetDateTime) -> Result<Bearer, AuthError> {
        let jws = Jws::parse(token)?;
        // Not verified yet: it only says by whose keys to verify.
        let issuer = jws.claims.text("iss").ok_or(AuthError::Issuer)?;
        if let Some(own) = self.own.as_ref().filter(|own| own.issuer() == issuer) {
            return own.verify(&jws);
        }
        let provider = self.providers.iter().find(|provider| provider.issuer() == issuer);
        provider.ok_or(AuthError::Issuer)?.verify(&jws, now)
    }

    /// The number of the keys and clients by which this bearer would be judged now.
    fn epoch(&self, bearer: &Bearer, now: OffsetDateTime) -> Option<u64> {
        match bearer.provider {
            None => Some(self.own.as_ref()?.loaded().epoch),
            Some(number) => self.providers.get(number)?.epoch(now).ok(),
        }
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").finish_non_exhaustive()
    }
}

/// The token of the header (RFC 6750, 2.1).
fn bearer_token(header: &[u8]) -> Result<&str, AuthError> {
    let (scheme, token) = header.split_at_checked(SCHEME.len()).ok_or(AuthError::NotBearer)?;
    if !scheme.eq_ignore_ascii_case(SCHEME) || token.first() != Some(&b' ') {
        return Err(AuthError::NotBearer);
    }
    let token = token.trim_ascii();
    if token.len() > Authenticator::TOKEN_BYTES_MAX {
        return Err(AuthError::TooLong);
    }
    let token = str::from_utf8(token).map_err(|_| AuthError::NotBearer)?;
    if token.is_empty() { Err(AuthError::NotBearer) } else { Ok(token) }
}

const SCHEME: &[u8] = b"Bearer";
