//! `cvv2 serve --dev`: the service with nothing prepared.
//!
//! What the demo prepares, and besides it what an operator would: a certificate, a client, keys. The
//! card services' clock begins at the time of the published request and goes on from there, so that
//! its card has not expired; tokens, records and certificates have the time of day.

use std::fs::{self, DirBuilder};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Instant;

use cvv2_keyring::{Token, secret_file};
use cvv2_resolver::BankId;
use cvv2_service::Scope;
use cvv2_service::auth::{
    Client, ClientSecret, ClientsDraft, SecretHash, SigningKeys, TokenRequest,
};
use rcgen::{Certificate, CertificateParams, DnType, KeyPair};
use serde_json::Value;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::assembly::Assembly;
use super::run::serve_with;
use crate::config::Config;
use crate::failure::{Answer, Failure};
use crate::{demo, service_key};

/// The configuration, behind that of the demo.
const CONFIG: &str = include_str!("serve.toml");
/// Where it listens by that configuration.
const LISTEN: &str = "127.0.0.1:8443";
/// For how long its certificate is good, and was: clocks differ.
const CERTIFICATE_LIFE: Duration = Duration::days(14);
/// The client's id.
const CLIENT: &str = "demo";

/// Prepares a directory, serves until it is told to stop, and takes the directory away.
pub(super) fn run(listen: SocketAddr) -> Result<Answer, Failure> {
    let directory = demo::directory(false)?;
    let place = directory.path();
    eprintln!("Preparing {} …", place.display());
    let config = demo::prepare(place, &CONFIG.replace(LISTEN, &listen.to_string()))?;
    let secret = prepare(place, &config)?;
    let begun = Instant::now();
    let assembly = Assembly::build_with(&config, move || demo::NOW + begun.elapsed())?;
    let answer = serve_with(assembly, |assembly, address| tell(place, address, assembly, &secret));
    directory.close().map_err(|e| Failure::System(format!("the demo's directory: {e}")))?;
    answer
}

/// Makes what the demo does not need, and gives the client's secret.
fn prepare(place: &Path, config: &Config) -> Result<ClientSecret, Failure> {
    for folder in ["tls", "auth", "auth/signing-keys"] {
        let folder = place.join(folder);
        let made = DirBuilder::new().mode(0o700).create(&folder);
        made.map_err(|e| Failure::file(&folder, &e))?;
    }
    let (cert, signing_key) = certificate().map_err(Failure::system)?;
    let certificate = place.join("tls/certificate.pem");
    fs::write(&certificate, cert.pem()).map_err(|e| Failure::file(&certificate, &e))?;
    let pem = Zeroizing::new(signing_key.serialize_pem());
    secret_file::create(&place.join("tls/key.pem"), &pem).map_err(|e| Failure::key_file(&e))?;

    let keyring = crate::keyring::Place::configured(config)?;
    service_key::create(&place.join("keyring/service.key"), &keyring.kbpk()?)?;
    SigningKeys::generate(&place.join("auth/signing-keys"), OffsetDateTime::now_utc())
        .map_err(Failure::system)?;

    let secret = ClientSecret::generate().map_err(Failure::system)?;
    let client = Client {
        id: Token::parse(CLIENT).map_err(Failure::system)?,
        secrets: vec![SecretHash::of(&secret).map_err(Failure::system)?],
        scopes: Scope::ALL.into_iter().collect(),
        banks: vec![BankId::parse(demo::BANK).map_err(Failure::system)?],
        certificates: Vec::new(),
        token_lifetime: None,
        disabled: false,
    };
    let clients = place.join("auth/clients.toml");
    let added = || {
        ClientsDraft::create(&clients)?;
        let mut draft = ClientsDraft::open(&clients)?;
        draft.add(client)?;
        draft.commit()
    };
    added().map_err(Failure::system)?;
    Ok(secret)
}

/// A certificate for this machine by its local names, and its key.
fn certificate() -> Result<(Certificate, KeyPair), rcgen::Error> {
    let names = ["localhost", "127.0.0.1", "::1"].map(String::from);
    let mut certificate = CertificateParams::new(names)?;
    certificate.distinguished_name.push(DnType::CommonName, "cvv2 serve --dev");
    let now = OffsetDateTime::now_utc();
    certificate.not_before = now - CERTIFICATE_LIFE;
    certificate.not_after = now + CERTIFICATE_LIFE;
    let key = KeyPair::generate()?;
    Ok((certificate.self_signed(&key)?, key))
}

/// Says what can be done now.
fn tell(place: &Path, address: SocketAddr, assembly: &Assembly, secret: &ClientSecret) {
    let place = place.display();
    let https = format!("https://localhost:{}", address.port());
    let ca = format!("--cacert {place}/tls/certificate.pem");
    eprintln!("\nAsk for the CVV2 of the published request:");
    let token = token(assembly, secret);
    eprintln!(
        "  curl {ca} -H 'Content-Type: application/json' \\\n    -H 'Authorization: Bearer {}' \
         \\\n    --data @{place}/request.json {https}/CardServices/Transaction/V2/GetCVV2",
        token.as_ref().map_or("TOKEN", |token| token.as_str())
    );
    eprintln!("\nGet another token, after a quarter of an hour:");
    eprintln!(
        "  curl {ca} -u {CLIENT}:{} -d grant_type=client_credentials {https}/v1/tokenkc/generate",
        secret.expose()
    );
    eprintln!("\nSee what was recorded:\n  cat {place}/audit/*.jsonl");
    eprintln!("\nThe configuration is {place}/cvv2.toml. Ctrl-C ends this and deletes all of it.");
}

/// A token of the demo's client.
fn token(assembly: &Assembly, secret: &ClientSecret) -> Option<Zeroizing<String>> {
    let body = Zeroizing::new(format!(
        "grant_type=client_credentials&client_id={CLIENT}&client_secret={}",
        secret.expose()
    ));
    let request = TokenRequest {
        content_type: Some(b"application/x-www-form-urlencoded"),
        authorization: None,
        body: body.as_bytes(),
        origin: None,
    };
    let endpoint = assembly.http.auth.token_endpoint()?;
    let answer = endpoint.token(request, None, OffsetDateTime::now_utc());
    let document: Value = serde_json::from_slice(&answer.json).ok()?;
    Some(Zeroizing::new(document["access_token"].as_str()?.to_owned()))
}
