//! Versions, suites, client certificates, and files that change.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cvv2_service::CertificateFingerprint;
use cvv2_service::transport::{
    ClientAuth, ConnectionLimits, TlsConfig, TlsError, TlsSettings, TransportEvent,
};
use tokio::io::AsyncWriteExt;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::{HandshakeKind, ProtocolVersion, version};

use crate::client::{Client, GET, client_config, connect};
use crate::pki::{Authority, Files, Identity, write_key};
use crate::server::{Server, wait_for};

#[tokio::test]
async fn tls12_is_refused_unless_it_is_set() {
    let (files, certificate) = Files::new();
    let server = Server::tls(ConnectionLimits::default(), files.settings());
    let old = || client_config(&certificate, None, &version::TLS12);
    assert!(connect(&server, old()).await.is_err());
    wait_for(|| server.count(TransportEvent::HandshakeFailed) == 1).await;

    let settings = TlsSettings { tls12: true, ..files.settings() };
    let server = Server::tls(ConnectionLimits::default(), settings);
    let mut client = Client(connect(&server, old()).await.unwrap());
    assert_eq!(client.get("/peer").await.body, "Some(Tls12) nobody");
    let session = client.0.get_ref().1;
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    // Whatever it may be: rustls has no other than these, and this is what says so.
    for suite in aws_lc_rs::ALL_CIPHER_SUITES {
        let name = format!("{:?}", suite.suite());
        assert!(name.contains("GCM") || name.contains("POLY1305"), "{name}");
        assert!(name.starts_with("TLS13_") || name.starts_with("TLS_ECDHE_"), "{name}");
    }
    let mut client = Client::tls(&server, &certificate).await;
    assert_eq!(client.get("/peer").await.body, "Some(Tls13) nobody");
}

/// What a client with this identity is told that it is; none if it is not let in.
async fn peer(
    server: &Server,
    certificate: &rustls_pki_types::CertificateDer<'static>,
    identity: Option<Identity>,
) -> Option<String> {
    let config = client_config(certificate, identity, &version::TLS13);
    // In TLS 1.3 a client is ready before the server has seen its certificate.
    let mut client = Client(connect(server, config).await.ok()?);
    let _ = client.0.write_all(GET.replace("/ ", "/peer ").as_bytes()).await;
    client.answer().await.map(|answer| answer.body)
}

#[tokio::test]
async fn client_certificates_off_optional_and_required() {
    let (files, certificate) = Files::new();
    let (ours, foreign) = (Authority::new("ours"), Authority::new("foreign"));
    for (client_auth, without) in
        [(ClientAuth::Off, true), (ClientAuth::Optional, true), (ClientAuth::Required, false)]
    {
        let settings = match client_auth {
            ClientAuth::Off => files.settings(),
            _ => files.settings_for(client_auth, &ours),
        };
        let asked = client_auth != ClientAuth::Off;
        let server = Server::tls(ConnectionLimits::default(), settings);
        let nobody = || Some("Some(Tls13) nobody".to_owned());
        let good = ours.client(1, 4000);
        let name = CertificateFingerprint::of_der(&good.certificate);
        let expected = if asked { Some(format!("Some(Tls13) {name}")) } else { nobody() };
        assert_eq!(peer(&server, &certificate, Some(good)).await, expected, "{client_auth:?}");
        let expected = if without { nobody() } else { None };
        assert_eq!(peer(&server, &certificate, None).await, expected, "{client_auth:?}");
        let expected = if asked { None } else { nobody() };
        for (bad, why) in [(foreign.client(2, 4000), "foreign"), (ours.client(3, 2020), "expired")]
        {
            let told = peer(&server, &certificate, Some(bad)).await;
            assert_eq!(told, expected, "{client_auth:?} {why}");
        }
    }
}

#[tokio::test]
async fn a_revoked_client_is_out_and_everybody_when_the_list_is_old() {
    let (files, certificate) = Files::new();
    let ca = Authority::new("ours");
    fs::write(files.path("crl.pem"), ca.revoke(7, 4000)).unwrap();
    let settings = TlsSettings {
        client_crl: Some(files.path("crl.pem")),
        ..files.settings_for(ClientAuth::Required, &ca)
    };
    let server = Server::tls(ConnectionLimits::default(), settings);
    assert!(peer(&server, &certificate, Some(ca.client(6, 4000))).await.is_some());
    assert!(peer(&server, &certificate, Some(ca.client(7, 4000))).await.is_none());
    fs::write(files.path("crl.pem"), ca.revoke(7, 2020)).unwrap();
    server.tls.as_ref().unwrap().reload().unwrap();
    assert!(peer(&server, &certificate, Some(ca.client(6, 4000))).await.is_none());
}

#[tokio::test]
async fn sessions_are_resumed_where_no_certificate_is_shown_and_nothing_has_changed() {
    let (files, certificate) = Files::new();
    let ca = Authority::new("ours");
    let required = files.settings_for(ClientAuth::Required, &ca);
    for (settings, again) in
        [(files.settings(), HandshakeKind::Resumed), (required, HandshakeKind::Full)]
    {
        let server = Server::tls(ConnectionLimits::default(), settings);
        let config = client_config(&certificate, Some(ca.client(1, 4000)), &version::TLS13);
        let handshake = async || {
            let mut client = Client(connect(&server, config.clone()).await.unwrap());
            // Tickets come with the first answer.
            assert_eq!(client.ask(GET).await.status, 200);
            client.0.get_ref().1.handshake_kind().unwrap()
        };
        assert_eq!(handshake().await, HandshakeKind::Full);
        assert_eq!(handshake().await, again);
        server.tls.as_ref().unwrap().reload().unwrap();
        assert_eq!(handshake().await, HandshakeKind::Full);
    }
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections_and_none_is_dropped() {
    let (files, old) = Files::new();
    let server = Server::tls(ConnectionLimits::default(), files.settings());
    let tls = server.tls.clone().unwrap();
    let mut before = Client::tls(&server, &old).await;
    assert_eq!(before.ask(GET).await.status, 200);

    let new = files.exchange();
    tls.reload().unwrap();
    assert_eq!(tls.certificate(), CertificateFingerprint::of_der(&new));
    assert_eq!(before.ask(GET).await.status, 200, "the old connection goes on");
    assert_eq!(Client::tls(&server, &new).await.ask(GET).await.status, 200);
    let config = client_config(&old, None, &version::TLS13);
    assert!(connect(&server, config).await.is_err(), "the old certificate is not shown any more");

    fs::write(files.path("certificate.pem"), "damaged").unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Pem { expected: "certificate", .. })));
    assert_eq!(Client::tls(&server, &new).await.ask(GET).await.status, 200, "what was good stays");
}

#[tokio::test]
async fn changed_files_are_noticed() {
    let (files, _) = Files::new();
    let tls = Arc::new(TlsConfig::load(files.settings()).unwrap());
    let reports = Arc::new(Mutex::new(Vec::new()));
    let watch = {
        let (tls, reports) = (Arc::clone(&tls), Arc::clone(&reports));
        tokio::spawn(async move {
            let report =
                |result: Result<(), TlsError>| reports.lock().unwrap().push(result.is_ok());
            tls.watch(Duration::from_millis(10), report).await;
        })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(reports.lock().unwrap().is_empty(), "nothing has changed");
    let new = CertificateFingerprint::of_der(&files.exchange());
    wait_for(|| tls.certificate() == new).await;
    fs::remove_file(files.path("key.pem")).unwrap();
    wait_for(|| reports.lock().unwrap().last() == Some(&false)).await;
    assert_eq!(tls.certificate(), new);
    let told = reports.lock().unwrap().len();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(reports.lock().unwrap().len(), told, "a failure is reported once");
    watch.abort();
}

#[tokio::test]
async fn files_that_do_not_do() {
    let (files, _) = Files::new();
    let load = || TlsConfig::load(files.settings()).map(drop);
    let key = fs::read_to_string(files.path("key.pem")).unwrap();

    // Exchanged with its key missing.
    let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
    write_key(&files.path("key.pem"), &other);
    let error = load().unwrap_err();
    assert!(error.to_string().contains("not that of the certificate"), "{error}");

    write_key(&files.path("key.pem"), &key.replace("PRIVATE KEY", "SECRET"));
    let error = load().unwrap_err();
    assert!(matches!(error, TlsError::Pem { expected: "private key", .. }), "{error}");
    assert!(!error.to_string().contains(&key[40..60]), "no part of a key is quoted");

    write_key(&files.path("key.pem"), &key);
    load().unwrap();
    fs::set_permissions(files.path("key.pem"), fs::Permissions::from_mode(0o640)).unwrap();
    let error = load().unwrap_err();
    assert!(error.to_string().contains("chmod 600"), "{error}");

    // As certificates that are renewed are kept.
    write_key(&files.path("key-1.pem"), &key);
    fs::remove_file(files.path("key.pem")).unwrap();
    symlink("key-1.pem", files.path("key.pem")).unwrap();
    load().unwrap();

    fs::write(files.path("certificate.pem"), "").unwrap();
    let error = load().unwrap_err();
    assert!(matches!(error, TlsError::Pem { expected: "certificate", .. }), "{error}");
    fs::remove_file(files.path("certificate.pem")).unwrap();
    let error = load().unwrap_err();
    assert!(matches!(error, TlsError::File { .. }), "{error}");
}
