//! From a client's id and secret to a bearer token.

mod answer;
mod backoff;
mod gate;
mod request;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use subtle::Choice;
use time::OffsetDateTime;

pub use self::answer::{TokenAnswer, TokenOutcome, TokenRefusal};
use self::backoff::{Attempt, Backoff};
use self::gate::Gate;
use self::request::Grant;
pub use self::request::TokenRequest;
use super::client_secret::{GeneratorError, Presented, Salt};
use super::clients::Client;
use super::own::{Issued, Loaded, Own};
use crate::certificate_fingerprint::CertificateFingerprint;
use crate::scope::{Scope, Scopes};

/// Answers requests for tokens: the client-credentials grant of OAuth 2.0 (RFC 6749, 4.4).
///
/// # What callers cannot tell apart
///
/// An unknown client, a disabled one, a wrong secret and a wrong certificate get the same bytes for
/// the same work: one run of Argon2id, with a salt that nobody has if there is no such client.
///
/// # What wrong secrets cost
///
/// After [`FAILURES_FREE`](Self::FAILURES_FREE) failures in a row, an id has to wait 1 second, then
/// 2, 4 and so on up to [`ID_DELAY_SECONDS_MAX`](Self::ID_DELAY_SECONDS_MAX), whether there is such a
/// client or not; and so has an origin, up to
/// [`ORIGIN_DELAY_SECONDS_MAX`](Self::ORIGIN_DELAY_SECONDS_MAX). A secret has 256 random bits, so
/// this is not what keeps it from being found: it keeps those who try from using the processor up.
/// An id waits only briefly, as others could else lock a client out. Both are kept in memory: a
/// restart forgets them, and replicas count each for itself.
pub struct TokenEndpoint {
    own: Arc<Own>,
    gate: Gate,
    ids: Backoff,
    origins: Backoff,
    /// Of no client.
    salt: Salt,
    hashes: AtomicU64,
}

impl TokenEndpoint {
    /// The longest body of a request, in bytes.
    pub const BODY_BYTES_MAX: usize = 8 << 10;
    /// How many failures in a row cost nothing.
    pub const FAILURES_FREE: u32 = 5;
    /// The longest that an id has to wait.
    pub const ID_DELAY_SECONDS_MAX: u32 = 10;
    /// The longest that an origin has to wait.
    pub const ORIGIN_DELAY_SECONDS_MAX: u32 = 300;
    /// How long a request waits for its turn to hash before it is refused.
    pub const WAIT_MAX: Duration = Duration::from_secs(5);
    /// The most ids, and the most origins, whose failures are remembered.
    pub const REMEMBERED_MAX: usize = 4096;

    pub(super) fn new(
        own: Arc<Own>,
        hashes_at_once: usize,
        hashes_waiting_max: usize,
    ) -> Result<Self, GeneratorError> {
        Ok(Self {
            own,
            gate: Gate::new(hashes_at_once, hashes_waiting_max),
            ids: Backoff::new(Self::ID_DELAY_SECONDS_MAX),
            origins: Backoff::new(Self::ORIGIN_DELAY_SECONDS_MAX),
            salt: Salt::generate()?,
            hashes: AtomicU64::new(0),
        })
    }

    /// Answers one request, over a connection with this client certificate, at this moment.
    ///
    /// **It blocks**: for tens of milliseconds while it hashes, and for up to
    /// [`WAIT_MAX`](Self::WAIT_MAX) before, while others do. Call it where that is allowed, such as
    /// in `tokio::task::spawn_blocking`. The body stays the caller's to wipe.
    #[must_use]
    pub fn token(
        &self,
        request: TokenRequest<'_>,
        peer: Option<CertificateFingerprint>,
        now: OffsetDateTime,
    ) -> TokenAnswer {
        match self.serve(request, peer, now) {
            Ok((client, issued, scopes)) => TokenAnswer::granted(client, &issued, scopes),
            Err((client, refusal)) => TokenAnswer::refused(client, refusal),
        }
    }

    /// How many secrets were hashed since the start: work that whoever asks can cause.
    #[must_use]
    pub fn hashes(&self) -> u64 {
        self.hashes.load(Ordering::Relaxed)
    }

    fn serve(
        &self,
        request: TokenRequest<'_>,
        peer: Option<CertificateFingerprint>,
        now: OffsetDateTime,
    ) -> Result<(String, Issued, Scopes), (Option<String>, TokenRefusal)> {
        let anonymous = |refusal| (None, refusal);
        let grant = Grant::parse(&request).map_err(anonymous)?;
        let loaded = self.own.loaded();
        let client = loaded.clients.get(&grant.client_id);
        let name = || client.map(|client| client.id.to_string());
        let attempt = Attempt { id: &grant.client_id, origin: request.origin, now };
        if let Some(seconds) = self.delay(&attempt) {
            return Err((name(), TokenRefusal::Delayed { seconds }));
        }
        let Some(turn) = self.gate.enter() else {
            return Err((name(), TokenRefusal::Busy));
        };
        let authenticated = self.authenticate(client, &grant, peer);
        drop(turn);
        let client = match authenticated {
            Ok(client) => client,
            Err(refusal) => {
                self.ids.failed(&attempt.id_key(), now);
                if let Some(origin) = attempt.origin_key() {
                    self.origins.failed(&origin, now);
                }
                return Err((name(), refusal));
            }
        };
        self.ids.succeeded(&attempt.id_key());
        let refused = |refusal| (Some(client.id.to_string()), refusal);
        let scopes = scopes(&grant, client).map_err(refused)?;
        let issued = self.issue(&loaded, client, scopes, peer, now).map_err(refused)?;
        Ok((client.id.to_string(), issued, scopes))
    }

    fn delay(&self, attempt: &Attempt<'_>) -> Option<u32> {
        let origin = attempt.origin_key().and_then(|key| self.origins.delay(&key, attempt.now));
        self.ids.delay(&attempt.id_key(), attempt.now).max(origin)
    }

    /// The client, if it is one and may have tokens. The work is the same whatever comes out.
    fn authenticate<'a>(
        &self,
        client: Option<&'a Client>,
        grant: &Grant,
        peer: Option<CertificateFingerprint>,
    ) -> Result<&'a Client, TokenRefusal> {
        let salt = client.map_or(&self.salt, |client| client.secrets[0].salt());
        let presented = Presented::hash(grant.client_secret.as_bytes(), salt);
        self.hashes.fetch_add(1, Ordering::Relaxed);
        let client = client.ok_or(TokenRefusal::UnknownClient)?;
        let secret_fits =
            client.secrets.iter().fold(Choice::from(0), |fits, hash| fits | presented.is_of(hash));
        if !bool::from(secret_fits) {
            return Err(TokenRefusal::Secret);
        }
        let bound = &client.certificates;
        if !bound.is_empty() && !peer.is_some_and(|peer| bound.contains(&peer)) {
            return Err(TokenRefusal::Certificate);
        }
        if client.disabled { Err(TokenRefusal::Disabled) } else { Ok(client) }
    }

    fn issue(
        &self,
        loaded: &Loaded,
        client: &Client,
        scopes: Scopes,
        peer: Option<CertificateFingerprint>,
        now: OffsetDateTime,
    ) -> Result<Issued, TokenRefusal> {
        let certificate = peer.filter(|_| !client.certificates.is_empty());
        let issued = self.own.issue(loaded, client, scopes, certificate, now);
        issued.ok_or(TokenRefusal::Signing)
    }
}

impl fmt::Debug for TokenEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenEndpoint").finish_non_exhaustive()
    }
}

/// The scopes that were asked for, all of the client's if none were.
fn scopes(grant: &Grant, client: &Client) -> Result<Scopes, TokenRefusal> {
    let Some(asked) = &grant.scope else { return Ok(client.scopes) };
    let asked: Option<Scopes> = asked.split_ascii_whitespace().map(Scope::by_name).collect();
    let asked = asked.ok_or(TokenRefusal::Scope)?;
    if asked == Scopes::NONE {
        return Ok(client.scopes);
    }
    if client.scopes.contains(asked) { Ok(asked) } else { Err(TokenRefusal::Scope) }
}
