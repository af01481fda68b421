//! Clients, keys and tokens for tests.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

use base64ct::{Base64UrlUnpadded, Encoding};
use cvv2_keyring::Token;
use cvv2_resolver::BankId;
use cvv2_service::CertificateFingerprint;
use cvv2_service::auth::{
    Auth, AuthError, AuthSettings, Authenticated, Client, ClientSecret, ClientsDraft, SecretHash,
    SigningKeys, TokenAnswer, TokenRequest,
};
use cvv2_service::{Clock, Scope};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

pub(crate) const NOW: OffsetDateTime = datetime!(2026-11-26 12:00 UTC);
pub(crate) const ISSUER: &str = "https://cvv2.bank.example";

/// A service with a file of clients and one signing key.
pub(crate) struct Setup {
    pub(crate) folder: TempDir,
    pub(crate) auth: Auth,
    pub(crate) clock: TestClock,
}

/// A clock that stands still until it is set.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicI64>);

impl TestClock {
    pub(crate) fn at(now: OffsetDateTime) -> Self {
        Self(Arc::new(AtomicI64::new(now.unix_timestamp())))
    }

    pub(crate) fn set(&self, now: OffsetDateTime) {
        self.0.store(now.unix_timestamp(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// The one secret of the clients of tests, and its hash: hashing takes its time.
pub(crate) fn secret() -> &'static (ClientSecret, SecretHash) {
    static SECRET: OnceLock<(ClientSecret, SecretHash)> = OnceLock::new();
    SECRET.get_or_init(|| {
        let secret = ClientSecret::generate().unwrap();
        let hash = SecretHash::of(&secret).unwrap();
        (secret, hash)
    })
}

pub(crate) fn client(id: &str, scopes: &[Scope], banks: &[&str]) -> Client {
    Client {
        id: Token::parse(id).unwrap(),
        secrets: vec![secret().1.clone()],
        scopes: scopes.iter().copied().collect(),
        banks: banks.iter().map(|code| BankId::parse(code).unwrap()).collect(),
        certificates: Vec::new(),
        token_lifetime: None,
        disabled: false,
    }
}

pub(crate) fn certificate(name: &str) -> CertificateFingerprint {
    CertificateFingerprint::of_der(name.as_bytes())
}

impl Setup {
    pub(crate) fn new(clients: Vec<Client>) -> Self {
        Self::with(clients, "")
    }

    /// With more of the configuration, in which `FOLDER` is the folder of the test.
    pub(crate) fn with(clients: Vec<Client>, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("keys")).unwrap();
        SigningKeys::generate(&folder.path().join("keys"), NOW).unwrap();
        write_clients(&folder.path().join("clients.toml"), clients);
        Self::in_folder(folder, more)
    }

    pub(crate) fn in_folder(folder: TempDir, more: &str) -> Self {
        let own = format!(
            "[own]\nclients = \"clients.toml\"\nsigning_keys = \"keys\"\nissuer = \"{ISSUER}\"\n{more}"
        );
        let settings: AuthSettings = toml::from_str(&own).unwrap();
        let clock = TestClock::at(NOW);
        let auth = Auth::open(&settings.relative_to(folder.path()), clock.clone()).unwrap();
        Self { folder, auth, clock }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut ClientsDraft)) {
        let mut draft = ClientsDraft::open(&self.path("clients.toml")).unwrap();
        change(&mut draft);
        draft.commit().unwrap();
        self.auth.reload().unwrap();
    }

    /// What the endpoint answers to a form.
    pub(crate) fn ask(
        &self,
        id: &str,
        secret: &str,
        peer: Option<CertificateFingerprint>,
    ) -> TokenAnswer {
        let body = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
        self.send(&body, peer)
    }

    pub(crate) fn send(&self, form: &str, peer: Option<CertificateFingerprint>) -> TokenAnswer {
        let request = TokenRequest {
            content_type: Some(b"application/x-www-form-urlencoded"),
            authorization: None,
            body: form.as_bytes(),
            origin: None,
        };
        self.auth.token_endpoint().unwrap().token(request, peer, self.clock.now())
    }

    /// A token of a client whose secret is that of all tests.
    pub(crate) fn token(&self, id: &str, peer: Option<CertificateFingerprint>) -> String {
        let answer = self.ask(id, secret().0.expose(), peer);
        assert_eq!(answer.http_status, 200, "{answer:?}");
        let json: Value = serde_json::from_slice(&answer.json).unwrap();
        json["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn who(&self, token: &str) -> Result<Arc<Authenticated>, AuthError> {
        self.who_over(token, None)
    }

    pub(crate) fn who_over(
        &self,
        token: &str,
        peer: Option<CertificateFingerprint>,
    ) -> Result<Arc<Authenticated>, AuthError> {
        let header = format!("Bearer {token}");
        let authenticator = self.auth.authenticator();
        authenticator.authenticate(Some(header.as_bytes()), peer, self.clock.now())
    }

    /// The key that signs the service's tokens, as whoever stole it would have it.
    pub(crate) fn own_key(&self) -> (EncodingKey, Jwk) {
        let file = fs::read_dir(self.path("keys")).unwrap().next().unwrap().unwrap().path();
        let pem = fs::read_to_string(file).unwrap();
        let base64 = pem.lines().nth(1).unwrap();
        let key = EncodingKey::from_ed_der(&base64ct::Base64::decode_vec(base64).unwrap());
        let jwk = Jwk::from_encoding_key(&key, Algorithm::EdDSA).unwrap();
        (key, jwk)
    }
}

pub(crate) fn write_clients(path: &Path, clients: Vec<Client>) {
    ClientsDraft::create(path).unwrap();
    let mut draft = ClientsDraft::open(path).unwrap();
    for client in clients {
        draft.add(client).unwrap();
    }
    draft.commit().unwrap();
}

pub(crate) fn private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A key of a provider.
pub(crate) struct ProviderKey {
    pub(crate) id: &'static str,
    pub(crate) algorithm: Algorithm,
    pub(crate) key: EncodingKey,
    pub(crate) jwk: Value,
}

impl ProviderKey {
    pub(crate) fn new(id: &'static str) -> Self {
        Self::of(id, Algorithm::ES256)
    }

    pub(crate) fn of(id: &'static str, algorithm: Algorithm) -> Self {
        let kind = match algorithm {
            Algorithm::ES384 => &PKCS_ECDSA_P384_SHA384,
            _ => &PKCS_ECDSA_P256_SHA256,
        };
        let pair = KeyPair::generate_for(kind).unwrap();
        let key = EncodingKey::from_ec_der(&pair.serialize_der());
        let mut jwk =
            serde_json::to_value(Jwk::from_encoding_key(&key, algorithm).unwrap()).unwrap();
        jwk["kid"] = id.into();
        Self { id, algorithm, key, jwk }
    }

    pub(crate) fn token(&self, claims: &Value) -> String {
        let name = serde_json::to_value(self.algorithm).unwrap();
        sign(&json!({ "alg": name, "kid": self.id }), claims, &self.key, self.algorithm)
    }
}

pub(crate) fn key_set(keys: &[&ProviderKey]) -> String {
    json!({ "keys": keys.iter().map(|key| &key.jwk).collect::<Vec<_>>() }).to_string()
}

/// A token of any header and claims.
pub(crate) fn sign(header: &Value, claims: &Value, key: &EncodingKey, with: Algorithm) -> String {
    sign_text(&header.to_string(), &claims.to_string(), key, with)
}

pub(crate) fn sign_text(header: &str, claims: &str, key: &EncodingKey, with: Algorithm) -> String {
    let message = format!("{}.{}", base64(header), base64(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, with).unwrap();
    format!("{message}.{signature}")
}

pub(crate) fn base64(text: &str) -> String {
    Base64UrlUnpadded::encode_string(text.as_bytes())
}

/// What a part of a token says.
pub(crate) fn part(token: &str, at: usize) -> Value {
    let part = token.split('.').nth(at).unwrap();
    serde_json::from_slice(&Base64UrlUnpadded::decode_vec(part).unwrap()).unwrap()
}

pub(crate) fn seconds(seconds: i64) -> Duration {
    Duration::seconds(seconds)
}
