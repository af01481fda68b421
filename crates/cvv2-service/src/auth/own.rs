//! Tokens of our own: for the clients of a file, under keys of a folder.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use cvv2_resolver::BankId;
use jsonwebtoken::{Algorithm as LibraryAlgorithm, Header as LibraryHeader};
use serde::Serialize;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::algorithm::Algorithm;
use super::clients::{Client, Clients, ClientsError};
use super::error::AuthError;
use super::jws::Jws;
use super::settings::OwnSettings;
use super::signing_keys::{SigningKeys, SigningKeysError};
use super::verified::{Bearer, Validity, token_id};
use crate::caller::Caller;
use crate::certificate_fingerprint::CertificateFingerprint;
use crate::scope::{Scope, Scopes};

/// What issues our tokens and reads them again.
pub(super) struct Own {
    issuer: String,
    audience: String,
    lifetime: Duration,
    leeway: Duration,
    clients: PathBuf,
    signing_keys: PathBuf,
    loaded: RwLock<Arc<Loaded>>,
}

/// The files as they were when they were last read.
pub(super) struct Loaded {
    pub(super) clients: Clients,
    keys: SigningKeys,
    /// Another number whenever the files were read.
    pub(super) epoch: u64,
}

/// A token that was just signed.
pub(super) struct Issued {
    pub(super) token: Zeroizing<String>,
    pub(super) id: String,
    pub(super) lifetime: Duration,
}

impl Own {
    pub(super) fn open(settings: &OwnSettings) -> Result<Self, OwnError> {
        let (clients, signing_keys) = (settings.clients.clone(), settings.signing_keys.clone());
        let loaded = Loaded {
            clients: Clients::read(&clients).map_err(OwnError::Clients)?,
            keys: SigningKeys::read(&signing_keys).map_err(OwnError::SigningKeys)?,
            epoch: 0,
        };
        Ok(Self {
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
            lifetime: Duration::from_secs(settings.token_lifetime_seconds),
            leeway: Duration::from_secs(settings.leeway_seconds),
            clients,
            signing_keys,
            loaded: RwLock::new(Arc::new(loaded)),
        })
    }

    /// Reads the files again, both or none.
    pub(super) fn reload(&self) -> Result<(), OwnError> {
        let clients = Clients::read(&self.clients).map_err(OwnError::Clients)?;
        let keys = SigningKeys::read(&self.signing_keys).map_err(OwnError::SigningKeys)?;
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        let epoch = loaded.epoch + 1;
        *loaded = Arc::new(Loaded { clients, keys, epoch });
        Ok(())
    }

    pub(super) fn loaded(&self) -> Arc<Loaded> {
        Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Signs a token for a client with these of its scopes.
    pub(super) fn issue(
        &self,
        loaded: &Loaded,
        client: &Client,
        scopes: Scopes,
        certificate: Option<CertificateFingerprint>,
        now: OffsetDateTime,
    ) -> Option<Issued> {
        let mut id = [0; ID_BYTES];
        getrandom::fill(&mut id).ok()?;
        let id = Base64UrlUnpadded::encode_string(&id);
        let lifetime = client.token_lifetime.unwrap_or(self.lifetime);
        let iat = now.unix_timestamp();
        let claims = OwnClaims {
            iss: &self.issuer,
            aud: &self.audience,
            sub: &client.id,
            client_id: &client.id,
            iat,
            nbf: iat,
            exp: iat.checked_add_unsigned(lifetime.as_secs())?,
            jti: &id,
            scope: names(scopes),
            banks: client.banks.iter().map(BankId::as_str).collect(),
            cnf: certificate.map(|it| Confirmation { thumbprint: it.to_thumbprint() }),
        };
        let (key_id, key) = loaded.keys.newest();
        let mut header = LibraryHeader::new(LibraryAlgorithm::EdDSA);
        header.typ = Some(KIND.to_owned());
        header.kid = Some(key_id.to_owned());
        let token = Zeroizing::new(jsonwebtoken::encode(&header, &claims, key).ok()?);
        Some(Issued { token, id, lifetime })
    }

    /// The bearer of a token that names us as its issuer.
    pub(super) fn verify(&self, jws: &Jws<'_>) -> Result<Bearer, AuthError> {
        let (header, claims) = (&jws.header, &jws.claims);
        if header.kind.as_deref() != Some(KIND) {
            return Err(AuthError::Header);
        }
        if Algorithm::by_name(&header.algorithm) != Some(Algorithm::EdDsa) {
            return Err(AuthError::Algorithm);
        }
        let key_id = header.key_id.as_deref().ok_or(AuthError::UnknownKey)?;
        let loaded = self.loaded();
        let keys = loaded.keys.public();
        keys.verify(Algorithm::EdDsa, Some(key_id), jws.message, jws.signature)?;
        if !claims.is_for(&self.audience) {
            return Err(AuthError::Audience);
        }
        let validity = Validity::of(claims, self.leeway)?;
        let certificate = claims.certificate()?;
        let id = claims.text("sub").ok_or(AuthError::Claims)?;
        let client = loaded.clients.get(id).filter(|client| !client.disabled);
        let client = client.ok_or(AuthError::Client)?;
        match certificate {
            None if client.certificates.is_empty() => {}
            None => return Err(AuthError::NotBound),
            // One that was taken out of the file, or tokens of a time before the client had any.
            Some(bound)
                if !client.certificates.is_empty() && !client.certificates.contains(&bound) =>
            {
                return Err(AuthError::Certificate);
            }
            Some(_) => {}
        }
        // What the token says and the file still says.
        let scopes = claims.words("scope")?.into_iter().filter_map(Scope::by_name);
        let scopes = scopes.collect::<Scopes>().and(client.scopes);
        let banks: HashSet<&str> = claims.words("banks")?.into_iter().collect();
        let banks = client.banks.iter().filter(|bank| banks.contains(bank.as_str()));
        Ok(Bearer {
            caller: Caller::new(&*client.id, banks.copied(), scopes),
            token_id: token_id(claims, jws),
            provider: None,
            validity,
            certificate,
            epoch: loaded.epoch,
        })
    }
}

/// Why our own tokens cannot be issued and read.
#[derive(Debug)]
#[non_exhaustive]
pub enum OwnError {
    /// The file of clients.
    Clients(ClientsError),
    /// The folder of signing keys.
    SigningKeys(SigningKeysError),
}

impl fmt::Display for OwnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clients(error) => error.fmt(f),
            Self::SigningKeys(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OwnError {}

/// The names of scopes as OAuth writes them (RFC 6749, 3.3).
pub(super) fn names(scopes: Scopes) -> String {
    scopes.iter().map(Scope::name).collect::<Vec<_>>().join(" ")
}

/// The claims of RFC 9068, 2.2, and the client's banks.
#[derive(Serialize)]
struct OwnClaims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    client_id: &'a str,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: &'a str,
    scope: String,
    banks: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
}

#[derive(Serialize)]
struct Confirmation {
    #[serde(rename = "x5t#S256")]
    thumbprint: String,
}

/// The type of our tokens, so that no other JWT of ours could be taken for one (RFC 9068, 2.1).
const KIND: &str = "at+jwt";
const ID_BYTES: usize = 16;
