//! Cards and limits in PostgreSQL, as an operator has them: by a configuration.
#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

#[path = "../../cvv2-resolver/tests/postgres_server/mod.rs"]
mod postgres_server;
mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use age::secrecy::ExposeSecret;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use postgres_server::Server;
use support::{CVV2, Ran, cvv2, private_file};

const KEY: &str = "0123456789ABCDEFFEDCBA9876543210";
const PAN: &str = "4123456789012345";
const EXID: &str = "99984100148297467162";
/// The published card's expires in 2027, and the service has the time of day.
const EXPIRY: &str = "4912";

/// A server that waits for its disk: no other is accepted.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start(""))
}

/// What a service needs, but for cards: those are to be in a schema of the server.
struct Home {
    folder: TempDir,
    /// The secret of the client `demo`.
    secret: String,
}

impl Home {
    /// What `serve --dev` prepares, copied while it is there.
    fn new(server: &Server, schema: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut dev = Command::new(CVV2)
            .args(["serve", "--dev", "--dev-listen", "127.0.0.1:0"])
            .env("TMPDIR", folder.path())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut err = BufReader::new(dev.stderr.take().unwrap());
        let told = reads(&mut err, "The configuration is ");
        let prepared = told.split_once("The configuration is ").unwrap().1;
        let prepared = prepared.split_once("/cvv2.toml").unwrap().0;
        let secret = told.split_once("-u demo:").unwrap().1.split_once(' ').unwrap().0.to_owned();
        let home = Self { folder, secret };
        let copied = Command::new("cp").args(["-a", prepared]).arg(home.path("bank")).status();
        assert!(copied.unwrap().success());
        kill_process(Pid::from_child(&dev), Signal::TERM).unwrap();
        err.read_to_string(&mut String::new()).unwrap();
        assert!(dev.wait().unwrap().success());

        for name in ["cards", "limits", "audit"] {
            fs::remove_dir_all(home.path("bank").join(name)).unwrap();
        }
        for name in ["keyring/store-keys.toml", "audit.anchor"] {
            fs::remove_file(home.path("bank").join(name)).unwrap();
        }
        let socket = server.directory().display();
        let postgres = format!(
            "postgres = {{ socket = '{socket}', database = 'postgres', user = 'cvv2', schema = \
             '{schema}' }}"
        );
        let config = fs::read_to_string(home.config()).unwrap();
        for line in ["path = \"cards\"", "directory = \"limits\""] {
            assert!(config.contains(line), "{config}");
        }
        let config = config.replacen("path = \"cards\"", &postgres, 1);
        let config = config.replacen("directory = \"limits\"", "postgres = true", 1);
        fs::write(home.config(), config).unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self) -> String {
        self.path("bank/cvv2.toml").to_str().unwrap().to_owned()
    }

    fn cards(&self, words: &[&str], input: &str) -> Ran {
        cvv2(&[&["cards", "--config", &self.config()], words].concat(), input)
    }

    /// The published request, for a card that has not expired.
    fn request(&self) -> String {
        fs::read_to_string(self.path("bank/request.json")).unwrap().replace("2701", EXPIRY)
    }

    /// Makes the store with the card of the request.
    fn fill(&self) {
        self.cards(&["init"], "").done();
        let rows = format!("bank,exid,pan,expiry\nNIC,{EXID},{PAN},{EXPIRY}\n");
        self.cards(&["import", "-"], &rows).done();
    }

    /// Starts a service with an audit log of its own.
    fn serve(&self, name: &str) -> Service {
        let mut child = Command::new(CVV2)
            .args(["serve", "--config", &self.config()])
            .env("CVV2__SERVE__LISTEN", "127.0.0.1:0")
            .env("CVV2__SERVE__AUDIT__DIRECTORY", format!("audit-{name}"))
            .env("CVV2__SERVE__AUDIT__ANCHOR", format!("anchor-{name}"))
            .env("CVV2__SERVE__LIMITS__POLICY__CARD_GENERATES_PER_DAY", "2")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut err = BufReader::new(child.stderr.take().unwrap());
        let told = reads(&mut err, " listening ");
        let port = told.rsplit_once(':').unwrap().1.split_whitespace().next().unwrap();
        Service { child, url: format!("https://localhost:{port}"), err }
    }

    /// Asks a service, and gives the status and the document.
    fn asks(&self, service: &Service, path: &str, words: &[&str]) -> (String, Value) {
        let output = Command::new("curl")
            .args(["-sS", "-w", "\n%{http_code}", "--cacert"])
            .arg(self.path("bank/tls/certificate.pem"))
            .args(words)
            .arg(format!("{}{path}", service.url))
            .output()
            .unwrap();
        let ran = Ran::from(output).done();
        let (document, status) = ran.out.rsplit_once('\n').unwrap();
        (status.to_owned(), serde_json::from_str(document).unwrap())
    }

    /// A token of the client.
    fn token(&self, service: &Service) -> String {
        let client = format!("demo:{}", self.secret);
        let words = ["-u", &client, "-d", "grant_type=client_credentials"];
        let (status, token) = self.asks(service, "/v1/tokenkc/generate", &words);
        assert_eq!(status, "200", "{token}");
        token["access_token"].as_str().unwrap().to_owned()
    }

    /// The status and the document of an answer to the request.
    fn get(&self, service: &Service, token: &str) -> (String, Value) {
        let (authorization, request) = (format!("Authorization: Bearer {token}"), self.request());
        let json = "Content-Type: application/json";
        let words = ["-H", &authorization, "-H", json, "--data", &request];
        self.asks(service, "/CardServices/Transaction/V2/GetCVV2", &words)
    }
}

/// A service that ends with the test.
struct Service {
    child: Child,
    url: String,
    err: BufReader<std::process::ChildStderr>,
}

impl Service {
    /// Tells it to stop, and gives what it said.
    fn stopped(mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let mut told = String::new();
        self.err.read_to_string(&mut told).unwrap();
        assert!(self.child.wait().unwrap().success(), "{told}");
        told
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is said, up to a line with this text.
fn reads(err: &mut impl BufRead, until: &str) -> String {
    let mut told = String::new();
    while !told.lines().last().is_some_and(|line| line.contains(until)) {
        assert_ne!(err.read_line(&mut told).unwrap(), 0, "it ended: {told}");
    }
    told
}

/// The value of the card, computed by the test key itself.
fn value() -> String {
    let key = ["generate", "--test-key", KEY, "--expiry-order", "yymm"];
    let ran = cvv2(&[&key[..], &["--pan", PAN, "--expiry", EXPIRY]].concat(), "");
    ran.done().out.trim().to_owned()
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn every_command_of_cards_works_on_a_database() {
    let home = Home::new(server(), "commands");
    home.cards(&["check"], "").failed(2, "store-keys.toml");
    let made = home.cards(&["init"], "").done().out;
    assert!(made.starts_with("created the schema commands of the database postgres"), "{made}");
    home.cards(&["init"], "").failed(2, "in the schema commands of the database already");

    let rows = format!(
        "bank,exid,contract_number,pan,expiry,sequence\nNIC,{EXID},C-1,{PAN},{EXPIRY},1\n\
         NIC,,C-2,41234567890,{EXPIRY},1\nNIC,,C-3,4123456789012346,{EXPIRY},1\n"
    );
    let imported = home.cards(&["import", "-"], &rows);
    assert_eq!(imported.code, 1, "{}", imported.err);
    assert_eq!(imported.out, "2 cards stored: 2 new, 0 replaced; 1 rows refused\n");
    assert!(imported.err.contains("row 3, pan") && !imported.err.contains("41234567890"));

    let by_number = ["--bank", "NIC", "--contract-number", "-"];
    let shown = home.cards(&[&["show"], &by_number[..]].concat(), "C-1\n").done().out;
    assert!(shown.starts_with("412345XXXXXX2345 of bank NIC: active"), "{shown}");
    let missing = home.cards(&[&["show"], &by_number[..]].concat(), "C-9\n");
    assert_eq!(missing.code, 1, "{}", missing.err);
    let card = format!(
        r#"{{"bank": "NIC", "pan": "4123456789012347", "plastics": [{{"expiry": "{EXPIRY}"}}]}}"#
    );
    home.cards(&["add", "--mint-exid", "1"], &card).done();
    home.cards(&["check"], "").done();

    let config = home.config();
    let get = || cvv2(&["get", "-", "--config", &config], &home.request());
    let response = get().done().json();
    assert_eq!(response["NISrvResponse"]["response_get_cvv2"]["body"]["cvv2"], value());
    home.cards(&[&["status", "lost"], &by_number[..]].concat(), "C-1\n").done();
    assert_eq!(get().code, 1);

    let rotated = home.cards(&["rotate", "--json"], "").done().json();
    assert_eq!((&rotated["version"], &rotated["dropped"][0]), (&2.into(), &1.into()));
    let sound = home.cards(&["check"], "").done().out;
    assert_eq!(sound, "3 cards under 4 references, all sound\n");
    let keys = home.cards(&["keys", "list", "--json"], "").done().json();
    assert_eq!(keys["keys"][1]["version"], 2);

    let export = home.path("export.age");
    let export = export.to_str().unwrap();
    home.cards(&["export", export], "").failed(2, "--recipient");
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    home.cards(&["export", export, "--recipient", &recipient], "").done();
    let identity = identity.to_string();
    let identity = private_file(home.folder.path(), "identity", identity.expose_secret());
    let again = home.cards(&["import", export, "--identity", &identity], "").done().out;
    assert_eq!(again, "3 cards stored: 0 new, 3 replaced; 0 rows refused\n");
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn a_database_that_is_not_there_is_told() {
    let home = Home::new(server(), "nowhere");
    home.fill();
    let config = home.config();
    let check = |variables: &[(&str, &str)]| -> Ran {
        let mut command = Command::new(CVV2);
        command.args(["cards", "check", "--config", &config]).envs(variables.iter().copied());
        command.output().unwrap().into()
    };
    check(&[]).done();
    check(&[("CVV2__STORE__POSTGRES__SCHEMA", "other")]).failed(2, "no card store in the schema");
    check(&[("CVV2__STORE__POSTGRES__PORT", "5433")]).failed(3, "the card store failed: ");
    check(&[("CVV2__STORE__POSTGRES__HOST", "localhost")]).failed(2, "either socket");
    check(&[("CVV2__STORE__PATH", "cards")]).failed(2, "[store]: give either path");
    let zero = [("CVV2__STORE__POSTGRES__LOCK_TIMEOUT_MS", "0")];
    check(&zero).failed(2, "postgres.lock_timeout_ms: give a millisecond");
    let file = [("CVV2__STORE__POSTGRES__PASSWORD_FILE", "nothing")];
    check(&file).failed(2, "postgres.password_file: ");
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
#[cfg_attr(not(has_curl), ignore = "curl is not installed")]
fn replicas_answer_from_one_database_and_share_the_limits() {
    let home = Home::new(server(), "replicas");
    home.fill();
    let checked = cvv2(&["serve", "--check", "--config", &home.config()], "").done();
    assert_eq!(checked.out, "the configuration is in order\n");

    let (one, two) = (home.serve("1"), home.serve("2"));
    let token = &home.token(&one);
    for service in [&one, &two] {
        let (status, document) = home.get(service, token);
        assert_eq!(status, "200", "{document}");
        let response = &document["NISrvResponse"]["response_get_cvv2"];
        assert_eq!(response["body"]["cvv2"], value(), "{document}");
    }
    // Two a day, whoever was asked.
    for service in [&one, &two] {
        let (_, document) = home.get(service, token);
        let response = &document["NISrvResponse"]["response_get_cvv2"];
        assert_eq!(response["exception_details"]["error_code"], "204", "{document}");
    }
    // What the first has charged is there for an administrator of the second.
    let authorization = format!("Authorization: Bearer {token}");
    let (status, listed) = home.asks(&two, "/v1/limits", &["-H", &authorization]);
    assert_eq!((status.as_str(), listed["cards"].as_array().map(Vec::len)), ("200", Some(1)));

    // Who lacks the key that has become the current one says so.
    assert_eq!(home.asks(&one, "/readyz", &[]).0, "200");
    home.cards(&["rotate"], "").done();
    let (status, ready) = home.asks(&one, "/readyz", &[]);
    assert_eq!((status.as_str(), &ready["store"]), ("503", &false.into()), "{ready}");
    let three = home.serve("3");
    assert_eq!(home.asks(&three, "/readyz", &[]).0, "200");
    for told in [one.stopped(), two.stopped(), three.stopped()] {
        assert!(told.contains("stopped connections_cut=0"), "{told}");
        assert!(!told.contains("panic"), "{told}");
    }
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
#[cfg_attr(not(has_curl), ignore = "curl is not installed")]
fn a_service_without_its_database_answers_nothing_and_goes_on_when_it_is_back() {
    let server = Server::start("");
    let home = Home::new(&server, "cards");
    home.fill();
    let service = home.serve("1");
    let token = home.token(&service);
    assert_eq!(home.get(&service, &token).0, "200");

    server.stop_immediately();
    let (status, document) = home.get(&service, &token);
    assert_eq!(status, "503", "{document}");
    assert!(document["NISrvResponse"]["response_get_cvv2"]["body"].is_null(), "{document}");
    assert_eq!(home.asks(&service, "/readyz", &[]).0, "503");
    server.start_again();
    assert_eq!(home.asks(&service, "/readyz", &[]).0, "200");
    assert_eq!(home.get(&service, &token).0, "200");
    service.stopped();
}
