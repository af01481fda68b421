//! A service in a directory of its own, with its clients.

use std::fs::{self, DirBuilder};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use cvv2::secret::{Protection, Secret};
use cvv2_keyring::Token;
use cvv2_resolver::{BankId, CardStatus, CardStore};
use cvv2_service::audit::{AuditLog, AuditOptions, Event, EventRecord, Verifier, log_files};
use cvv2_service::auth::{
    Auth, AuthSettings, Client, ClientSecret, ClientsDraft, SecretHash, SigningKeys,
};
use cvv2_service::http::{HttpService, router, substitute};
use cvv2_service::limits::{LimitPolicy, Limits};
use cvv2_service::metrics::Metrics;
use cvv2_service::transport::{
    ConnectionLimits, Listener, TlsConfig, TlsSettings, TransportCounters, listen, serve,
};
use cvv2_service::{CardHasher, CardServices, Guard, Replays, Scope, ServiceKey, SystemClock};
use hyper_util::service::TowerToHyperService;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::Value;
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::sync::oneshot;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig as ClientTls};

use crate::bank::{BANK, EXID, NOW, card, exid, keys, plastic, settings, store};

pub(crate) const GET: &str = "/CardServices/Transaction/V2/GetCVV2";
pub(crate) const VERIFY: &str = "/CardServices/Transaction/V2/VerifyCVV2";

/// What a test may want otherwise.
pub(crate) struct Setup {
    pub(crate) store: Arc<dyn CardStore>,
    pub(crate) services_block: bool,
    pub(crate) policy: LimitPolicy,
    pub(crate) replays: Replays,
    pub(crate) connections: ConnectionLimits,
    pub(crate) audit_file_bytes_max: u64,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            store: Arc::new(store()),
            services_block: false,
            policy: LimitPolicy::default(),
            replays: Replays::default(),
            connections: ConnectionLimits::default(),
            audit_file_bytes_max: 64 << 20,
        }
    }
}

/// A service that runs until this is dropped.
pub(crate) struct Service {
    folder: TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) http: Arc<HttpService>,
    agent: Agent,
    secrets: Vec<(String, ClientSecret)>,
    stop: Option<oneshot::Sender<()>>,
    served: Option<JoinHandle<()>>,
}

/// An answer, read.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// The clients: a name, its banks and its scopes.
const CLIENTS: [(&str, &[&str], &[Scope]); 5] = [
    ("ivr", &[BANK], &[Scope::Generate, Scope::Verify]),
    ("generates", &[BANK], &[Scope::Generate]),
    ("verifies", &[BANK], &[Scope::Verify]),
    ("foreign", &["OTHR"], &Scope::ALL),
    ("operator", &[BANK], &[Scope::Administer]),
];

impl Service {
    pub(crate) fn start() -> Self {
        Self::start_with(Setup::default())
    }

    pub(crate) fn start_with(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        let secrets = clients(home);
        let (tls, certificate) = certificate(home);
        let service_key = service_key();
        let limits = Limits::open(home.join("limits"), setup.policy).unwrap();
        let card_hasher = CardHasher::new(&service_key).unwrap();
        let guard = Guard { limits: limits.clone(), card_hasher, replays: setup.replays };
        let services = CardServices::new(settings(), setup.store, Arc::new(keys()), || NOW)
            .unwrap()
            .guarded_by(guard);
        let audit = AuditOptions {
            file_bytes_max: setup.audit_file_bytes_max,
            retry_interval: Duration::from_millis(10),
            ..AuditOptions::new(home.join("audit"))
        };
        let counters = Arc::new(TransportCounters::new());
        let http = Arc::new(HttpService {
            services,
            services_block: setup.services_block,
            auth: Auth::open(&auth_settings(home), SystemClock).unwrap(),
            audit: AuditLog::open(&audit, &service_key, SystemClock).unwrap(),
            limits,
            clock: Box::new(SystemClock),
            connection_limits: setup.connections.clone(),
            transport_counters: Arc::clone(&counters),
            metrics: Metrics::new(),
        });
        let (stop, stopped) = oneshot::channel();
        let (started, address) = std::sync::mpsc::channel();
        let served = {
            let (http, tls) = (Arc::clone(&http), Arc::new(TlsConfig::load(tls).unwrap()));
            let limits = setup.connections;
            thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(async move {
                    let socket = listen("127.0.0.1:0".parse().unwrap()).unwrap();
                    started.send(socket.local_addr().unwrap()).unwrap();
                    let listener = Listener { socket, tls: Some(tls), limits, counters };
                    let service = TowerToHyperService::new(router(Arc::clone(&http)));
                    let instead = move |path: &_, why| substitute(&http, path, why);
                    serve(listener, service, instead, async {
                        let _ = stopped.await;
                    })
                    .await;
                });
            })
        };
        let address = address.recv().unwrap();
        let (stop, served) = (Some(stop), Some(served));
        Self { folder, address, http, agent: agent(&certificate), secrets, stop, served }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sends a request, with these headers and no others.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        self.try_to_send(method, path, headers, body).unwrap()
    }

    /// Sends a body that is refused before it is read. The connection is closed then, and a client
    /// that is still writing may find that out before it sees the answer.
    pub(crate) fn send_too_much(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut tries = (0..100).map(|_| self.try_to_send("POST", path, headers, body));
        tries.find_map(Result::ok).expect("an answer that arrives")
    }

    fn try_to_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Reply, ureq::Error> {
        let url = format!("https://localhost:{}{path}", self.address.port());
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut reply = if body.is_empty() && method == "GET" {
            self.agent.run(request.body(()).unwrap())?
        } else {
            self.agent.run(request.body(body).unwrap())?
        };
        let headers = reply.headers().iter();
        Ok(Reply {
            status: reply.status().as_u16(),
            headers: headers
                .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
                .collect(),
            body: reply.body_mut().read_to_string()?,
        })
    }

    /// Posts JSON with a client's token.
    pub(crate) fn post(&self, client: &str, path: &str, body: &str) -> Reply {
        let bearer = format!("Bearer {}", self.token(client));
        let headers = [("authorization", &*bearer), ("content-type", "application/json")];
        self.send("POST", path, &headers, body.as_bytes())
    }

    /// A token of a client, straight from the endpoint.
    pub(crate) fn token(&self, client: &str) -> String {
        let (_, secret) = self.secrets.iter().find(|(id, _)| id == client).unwrap();
        let body = format!(
            "grant_type=client_credentials&client_id={client}&client_secret={}",
            secret.expose()
        );
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let reply = self.send("POST", "/v1/tokenkc/generate", &form, body.as_bytes());
        reply.json()["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn secret(&self, client: &str) -> &str {
        self.secrets.iter().find(|(id, _)| id == client).unwrap().1.expose()
    }

    /// Ends the service and gives its audit records, verified as a chain.
    pub(crate) fn records(mut self) -> Vec<Value> {
        self.stop();
        // Whatever still waits for the disk is there behind this one.
        let last = EventRecord::new(OffsetDateTime::now_utc(), Event::Stop);
        self.http.audit.append(&last.into()).wait().unwrap();
        let folder = self.folder.path().join("audit");
        let files = log_files(&folder).unwrap();
        let readers = files
            .iter()
            .map(|path| (path.clone(), fs::File::open(path).map(std::io::BufReader::new)));
        Verifier::new(&service_key()).unwrap().run(readers).unwrap();
        let lines: Vec<Value> = files
            .iter()
            .flat_map(|path| {
                let text = fs::read_to_string(path).unwrap();
                text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>()
            })
            .collect();
        lines
    }

    fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(served) = self.served.take() {
            served.join().unwrap();
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The response node of a function's envelope.
    pub(crate) fn response(&self) -> Value {
        let document = self.json();
        let envelope = document["NISrvResponse"].as_object().unwrap();
        envelope.values().next().unwrap().clone()
    }

    pub(crate) fn code(&self) -> String {
        self.response()["exception_details"]["error_code"].as_str().unwrap().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// The published request to verify a value.
pub(crate) fn verify_request(cvv2: &str) -> String {
    let mut request: Value = serde_json::from_str(crate::bank::REQUEST).unwrap();
    let envelope = request["NISrvRequest"].as_object_mut().unwrap();
    let mut node = envelope.remove("request_get_cvv2").unwrap();
    node["header"]["msg_function"] = "REQ_VERIFY_CVV2".into();
    node["body"]["cvv2"] = cvv2.into();
    envelope.insert("request_verify_cvv2".to_owned(), node);
    request.to_string()
}

/// A store with the published card of one bank, and another bank's card of the same identifier.
pub(crate) fn two_banks() -> Arc<dyn CardStore> {
    let store = store();
    let record = card(CardStatus::Active, vec![plastic("2701", CardStatus::Active)]);
    store.put(&BankId::parse("OTHR").unwrap(), &[exid(EXID)], &record).unwrap();
    Arc::new(store)
}

fn clients(home: &Path) -> Vec<(String, ClientSecret)> {
    DirBuilder::new().mode(0o700).create(home.join("keys")).unwrap();
    SigningKeys::generate(&home.join("keys"), OffsetDateTime::now_utc()).unwrap();
    let path = home.join("clients.toml");
    ClientsDraft::create(&path).unwrap();
    let mut draft = ClientsDraft::open(&path).unwrap();
    let mut secrets = Vec::new();
    for (id, banks, scopes) in CLIENTS {
        let secret = ClientSecret::generate().unwrap();
        draft
            .add(Client {
                id: Token::parse(id).unwrap(),
                secrets: vec![SecretHash::of(&secret).unwrap()],
                scopes: scopes.iter().copied().collect(),
                banks: banks.iter().map(|bank| BankId::parse(bank).unwrap()).collect(),
                certificates: Vec::new(),
                token_lifetime: None,
                disabled: false,
            })
            .unwrap();
        secrets.push((id.to_owned(), secret));
    }
    draft.commit().unwrap();
    secrets
}

fn auth_settings(home: &Path) -> AuthSettings {
    let home = home.display();
    toml::from_str(&format!(
        "[own]\nclients = '{home}/clients.toml'\nsigning_keys = '{home}/keys'\n\
         issuer = 'https://localhost'\nhashes_waiting_max = 64\n"
    ))
    .unwrap()
}

fn certificate(home: &Path) -> (TlsSettings, Vec<u8>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let paths: [PathBuf; 2] = ["certificate.pem", "key.pem"].map(|name| home.join(name));
    fs::write(&paths[0], cert.pem()).unwrap();
    cvv2_keyring::secret_file::create(&paths[1], &signing_key.serialize_pem()).unwrap();
    let [certificate, key] = paths;
    (TlsSettings::new(certificate, key), cert.der().to_vec())
}

fn agent(certificate: &[u8]) -> Agent {
    let roots = RootCerts::new_with_certs(&[Certificate::from_der(certificate).to_owned()]);
    let provider = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider();
    let tls = ClientTls::builder()
        .root_certs(roots)
        .unversioned_rustls_crypto_provider(Arc::new(provider))
        .build();
    let config = Agent::config_builder().http_status_as_error(false).tls_config(tls).build();
    config.new_agent()
}

fn service_key() -> ServiceKey {
    ServiceKey::new(Secret::new([7; 32], Protection::Wiped).unwrap())
}
