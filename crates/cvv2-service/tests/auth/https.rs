//! Keys that are fetched over HTTPS, from a server that does as it likes.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use cvv2_service::Scope;
use cvv2_service::auth::{Auth, AuthError, AuthSettings, JwksStatus, SigningKeys};
use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::setup::{
    NOW, ProviderKey, Setup, TestClock, client, key_set, private, seconds, write_clients,
};

/// A server that answers every request with the same bytes, until it is given others.
struct Server {
    port: u16,
    certificate: String,
    answer: Arc<Mutex<Vec<u8>>>,
    asked: Arc<AtomicUsize>,
}

impl Server {
    fn start(answer: Vec<u8>) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], der)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            certificate: certificate.pem(),
            answer: Arc::new(Mutex::new(answer)),
            asked: Arc::new(AtomicUsize::new(0)),
        };
        let (answer, asked) = (Arc::clone(&server.answer), Arc::clone(&server.asked));
        let config = Arc::new(config);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = StreamOwned::new(connection, stream);
                let mut request = [0; 4096];
                // Whoever does not trust the certificate hangs up.
                if stream.read(&mut request).is_ok_and(|length| length > 0) {
                    let bytes = answer.lock().unwrap().clone();
                    let _ = stream.write_all(&bytes);
                    stream.conn.send_close_notify();
                    let _ = stream.flush();
                }
                asked.fetch_add(1, Ordering::SeqCst);
            }
        });
        server
    }

    fn answers(&self, answer: Vec<u8>) {
        *self.answer.lock().unwrap() = answer;
    }
}

fn ok(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").into()
}

fn with_provider(server: &Server, certificate: &str, host: &str) -> Setup {
    let folder = tempfile::tempdir().unwrap();
    private(&folder.path().join("ca.pem"), certificate);
    std::fs::create_dir(folder.path().join("keys")).unwrap();
    SigningKeys::generate(&folder.path().join("keys"), NOW).unwrap();
    let clients = vec![client("acme-ivr", &[Scope::Generate], &["IBTF"])];
    write_clients(&folder.path().join("clients.toml"), clients);
    Setup::in_folder(
        folder,
        &format!(
            "[[provider]]\nname = \"idp\"\nissuer = \"https://idp\"\naudience = \"cvv2\"\n\
             algorithms = [\"ES256\"]\n[provider.jwks]\nurl = \"https://{host}:{}/jwks\"\n\
             ca_file = \"ca.pem\"\nstale_seconds = 3600\n",
            server.port
        ),
    )
}

/// The status of the provider's keys, as soon as there was an answer of any kind.
fn status(auth: &Auth) -> JwksStatus {
    let start = Instant::now();
    loop {
        let status = auth.authenticator().providers(NOW).remove(0).keys;
        if status.usable || status.failure.is_some() {
            return status;
        }
        assert!(start.elapsed() < Duration::from_mins(1), "no answer");
        thread::sleep(Duration::from_millis(5));
    }
}

fn token(key: &ProviderKey) -> String {
    let exp = NOW.unix_timestamp() + 1_000_000;
    key.token(&json!({ "iss": "https://idp", "aud": "cvv2", "sub": "a", "exp": exp }))
}

#[test]
fn keys_are_fetched_and_count_until_they_are_stale() {
    let key = ProviderKey::new("one");
    let server = Server::start(ok(&key_set(&[&key])));
    let setup = with_provider(&server, &server.certificate, "localhost");
    let fetched = status(&setup.auth);
    assert_eq!((fetched.keys, fetched.failure), (1, None));
    assert_eq!(fetched.age, Some(Duration::ZERO));
    let token = token(&key);
    setup.who(&token).unwrap();

    // The provider is away.
    server.answers(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_vec());
    setup.clock.set(NOW + seconds(3600));
    setup.who(&token).unwrap();
    setup.clock.set(NOW + seconds(3601));
    assert_eq!(setup.who(&token).unwrap_err(), AuthError::NoKeys, "remembered or not");
    let later = setup.auth.authenticator().providers(NOW + seconds(3601)).remove(0).keys;
    assert_eq!((later.keys, later.usable, later.age), (1, false, Some(Duration::from_secs(3601))));
}

#[test]
fn tokens_with_unknown_keys_do_not_make_us_ask_more_often_than_once_a_minute() {
    let (key, unknown) = (ProviderKey::new("one"), ProviderKey::new("two"));
    let server = Server::start(ok(&key_set(&[&key])));
    let setup = with_provider(&server, &server.certificate, "localhost");
    status(&setup.auth);
    for _ in 0..100 {
        assert_eq!(setup.who(&token(&unknown)).unwrap_err(), AuthError::UnknownKey);
    }
    thread::sleep(Duration::from_millis(100));
    assert_eq!(server.asked.load(Ordering::SeqCst), 1);
}

#[test]
fn whoever_the_ca_does_not_vouch_for_is_not_believed() {
    let key = ProviderKey::new("one");
    let server = Server::start(ok(&key_set(&[&key])));
    let other = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let other = params.self_signed(&other).unwrap().pem();
    for (certificate, host) in [(&*other, "localhost"), (&server.certificate, "127.0.0.1")] {
        let setup = with_provider(&server, certificate, host);
        let refused = status(&setup.auth);
        assert_eq!((refused.keys, refused.usable), (0, false));
        assert!(refused.failure.unwrap().contains("could not be fetched"));
        assert_eq!(setup.who(&token(&key)).unwrap_err(), AuthError::NoKeys);
        // Our own clients are not concerned.
        setup.who(&setup.token("acme-ivr", None)).unwrap();
    }
}

#[test]
fn answers_that_are_no_keys_are_refused_and_none_follows_a_redirect() {
    let key = ProviderKey::new("one");
    let set = key_set(&[&key]);
    let huge = ok(&format!("{set}{}", " ".repeat(300 << 10)));
    let away = b"HTTP/1.1 302 Found\r\nLocation: https://localhost:1/\r\nContent-Length: 0\r\n\r\n";
    for (answer, why) in [
        (ok("{}"), "no JSON Web Key Set"),
        (ok(r#"{"keys":[]}"#), "no public key"),
        (ok(r#"{"keys":[{"kty":"oct","k":"AA"}]}"#), "no public key"),
        (ok("<html>"), "no JSON Web Key Set"),
        (huge, "could not be fetched"),
        (away.to_vec(), "answered with 302"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".to_vec(), "answered with 500"),
        (b"nonsense".to_vec(), "could not be fetched"),
        (Vec::new(), "could not be fetched"),
    ] {
        let server = Server::start(answer);
        let setup = with_provider(&server, &server.certificate, "localhost");
        let status = status(&setup.auth);
        assert!(status.failure.as_ref().unwrap().contains(why), "{why}: {status:?}");
        assert_eq!(setup.who(&token(&key)).unwrap_err(), AuthError::NoKeys);
    }
}

#[test]
fn a_provider_that_is_away_does_not_keep_the_service_from_starting() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Server::start(Vec::new());
    // Nobody listens there any more; or somebody does, and says nothing.
    drop(listener);
    let away = Server { port, ..server };
    let setup = with_provider(&away, &away.certificate, "localhost");
    assert!(!status(&setup.auth).usable);
}

#[test]
fn a_ca_file_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for text in ["", "no certificate"] {
        private(&folder.path().join("ca.pem"), text);
        let settings: AuthSettings = toml::from_str(
            "[[provider]]\nname = \"idp\"\nissuer = \"i\"\naudience = \"a\"\nalgorithms = [\"ES256\"]\n\
             jwks = { url = \"https://localhost/\", ca_file = \"ca.pem\" }\n",
        )
        .unwrap();
        let opened = Auth::open(&settings.relative_to(folder.path()), TestClock::at(NOW));
        assert!(opened.unwrap_err().to_string().contains("ca.pem: no certificates"));
    }
}
