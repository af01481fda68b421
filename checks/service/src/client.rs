//! A client of the service, over HTTPS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::bank::{BANK, Bank, Card};

pub(crate) const GET: &str = "/CardServices/Transaction/V2/GetCVV2";
pub(crate) const VERIFY: &str = "/CardServices/Transaction/V2/VerifyCVV2";

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// A client that keeps its connections.
pub(crate) struct Client {
    agent: Agent,
    base: String,
}

impl Reply {
    /// The code of the envelope, if it is one.
    pub(crate) fn code(&self) -> Option<String> {
        Some(self.node()?["exception_details"]["error_code"].as_str()?.to_owned())
    }

    /// A field of the body, if there is one.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        Some(self.node()?["body"][name].as_str()?.to_owned())
    }

    fn node(&self) -> Option<Value> {
        let document: Value = serde_json::from_str(&self.body).ok()?;
        document["NISrvResponse"].as_object()?.values().next().cloned()
    }
}

impl Client {
    pub(crate) fn new(bank: &Bank, address: SocketAddr) -> Self {
        let certificate = Certificate::from_der(&bank.certificate).to_owned();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&[certificate]))
            .unversioned_rustls_crypto_provider(Arc::new(default_provider()))
            .build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .tls_config(tls)
            .build();
        Self { agent: config.new_agent(), base: format!("https://localhost:{}", address.port()) }
    }

    /// Sends a request; nothing if it got no whole answer.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Option<Reply> {
        let mut request =
            ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answered = if method == "GET" {
            self.agent.run(request.body(()).unwrap())
        } else {
            self.agent.run(request.body(body).unwrap())
        };
        let mut answer = answered.ok()?;
        let status = answer.status().as_u16();
        Some(Reply { status, body: answer.body_mut().read_to_string().ok()? })
    }

    /// Posts JSON with a token.
    pub(crate) fn post(&self, path: &str, token: &str, body: &str) -> Option<Reply> {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", &*bearer), ("content-type", "application/json")];
        self.send("POST", path, &headers, body)
    }

    /// A token of one of the bank's clients.
    pub(crate) fn token(&self, bank: &Bank, id: &str) -> String {
        let client = bank.clients.iter().find(|client| client.id == id).unwrap();
        let body = json!({
            "grant_type": "client_credentials", "client_id": id, "client_secret": client.secret,
        });
        let headers = [("content-type", "application/json")];
        let reply = self.send("POST", "/v1/tokenkc/generate", &headers, &body.to_string()).unwrap();
        let answer: Value = serde_json::from_str(&reply.body).unwrap();
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{}", reply.body)).to_owned()
    }
}

/// A request about a card, by its contract number; to verify a value, if there is one.
pub(crate) fn request(msg_id: &str, card: &Card, expiry: &str, cvv2: Option<&str>) -> Value {
    let function = if cvv2.is_some() { "VERIFY" } else { "GET" };
    let mut body = json!({
        "card_identifier_id": card.contract,
        "card_identifier_type": "CONTRACT_NUMBER",
        "expiry_date": expiry,
    });
    if let Some(cvv2) = cvv2 {
        body["cvv2"] = cvv2.into();
    }
    let node = format!("request_{}_cvv2", function.to_lowercase());
    json!({ "NISrvRequest": { node: {
        "header": {
            "msg_id": msg_id,
            "msg_type": "TRANSACTION",
            "msg_function": format!("REQ_{function}_CVV2"),
            "src_application": "CHECK",
            "target_application": "WAY4",
            "timestamp": "2020-07-20T10:49:02.366+04:00",
            "bank_id": BANK,
        },
        "body": body,
    }}})
}

/// Sends bytes that need not be HTTP, and gives what comes back until the service closes.
pub(crate) fn send_raw(bank: &Bank, address: SocketAddr, name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(bank.certificate.clone())).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, socket);
    let mut answer = Vec::new();
    // How far it gets is the service's business.
    if stream.write_all(bytes).is_ok() {
        let _ = stream.read_to_end(&mut answer);
    }
    answer
}
