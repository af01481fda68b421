//! A bank's directory, prepared as an operator prepares it: by the commands of `cvv2`.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use cvv2::{CvkPair, Expiry, ExpiryOrder, KcvMethod, Pan, Policy};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::Value;
use tempfile::TempDir;

use crate::program::{cvv2, random};

/// Whose cards they are.
pub(crate) const BANK: &str = "NIC";
/// What cards begin with; the key of the keyring is for them.
const BIN: &str = "412345";
/// Cards of this bank have no key.
pub(crate) const BIN_WITHOUT_KEY: &str = "555544";
/// The expiry of every card's one plastic, far enough away.
pub(crate) const EXPIRY: &str = "4912";

const CONFIG: &str = r#"
[service]
application_name = "check"
instance_id = "check"
[store]
path = "cards"
keys_file = "keyring/store-keys.toml"
[keyring]
path = "keyring/keyring.toml"
kbpk = { file = "kbpk/kbpk" }
[serve]
listen = "127.0.0.1:0"
metrics_listen = "127.0.0.1:0"
service_key = "keyring/service.key"
[serve.tls]
certificate = "tls/certificate.pem"
key = "tls/key.pem"
[serve.auth.own]
clients = "auth/clients.toml"
signing_keys = "auth/signing-keys"
issuer = "https://localhost"
[serve.limits]
directory = "limits"
[serve.audit]
directory = "audit"
anchor = "anchor"
file_bytes_max = 1_048_576
"#;

/// A card as the bank knows it.
pub(crate) struct Card {
    pub(crate) pan: String,
    pub(crate) contract: String,
    pub(crate) expiry: &'static str,
    pub(crate) cvv2: String,
}

/// A client of the service.
pub(crate) struct Client {
    pub(crate) id: &'static str,
    pub(crate) secret: String,
}

/// The directory, which is deleted when this is dropped.
pub(crate) struct Bank {
    folder: TempDir,
    pub(crate) cvk: [u8; CvkPair::LEN],
    pub(crate) cards: Vec<Card>,
    pub(crate) clients: Vec<Client>,
    /// The service's certificate, DER.
    pub(crate) certificate: Vec<u8>,
}

impl Bank {
    /// Prepares it with so many cards and these clients, with the scopes of each.
    pub(crate) fn new(cards: usize, clients: &[(&'static str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("cvv2-check-").tempdir().unwrap();
        let home = folder.path();
        for part in ["keyring", "kbpk", "auth", "auth/signing-keys", "tls"] {
            DirBuilder::new().mode(0o700).create(home.join(part)).unwrap();
        }
        fs::write(home.join("cvv2.toml"), CONFIG).unwrap();
        let certificate = certificate(home);
        let cvk = cvk(home);
        let cards: Vec<_> = (0..cards).map(|_| Card::random(BIN, EXPIRY, Some(&cvk))).collect();
        cvv2(home, &["cards", "init", "--config", "cvv2.toml"], "");
        let clients = clients.iter().map(|(id, scopes)| client(home, id, scopes)).collect();
        cvv2(home, &["client", "signing-key", "auth/signing-keys"], "");
        cvv2(home, &["serve", "init-key", "keyring/service.key", "--config", "cvv2.toml"], "");
        let bank = Self { folder, cvk, cards, clients, certificate };
        bank.import(bank.cards.iter().map(|card| (card, "active")));
        bank
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Puts cards into the store, each with its status.
    pub(crate) fn import<'a>(&self, cards: impl Iterator<Item = (&'a Card, &'a str)>) {
        let mut rows = "bank,pan,expiry,contract_number,status\n".to_owned();
        for (Card { pan, contract, expiry, .. }, status) in cards {
            writeln!(rows, "{BANK},{pan},{expiry},{contract},{status}").expect("a text takes it");
        }
        cvv2(self.path(), &["cards", "import", "-", "--config", "cvv2.toml"], &rows);
    }

    /// What `cvv2 audit verify` says, which must be that the log is whole.
    pub(crate) fn verified(&self) -> Value {
        let words =
            ["audit", "verify", "audit", "--anchor", "anchor", "--config", "cvv2.toml", "--json"];
        let report: Value = serde_json::from_str(&cvv2(self.path(), &words, "")).unwrap();
        assert_eq!(report["whole"], true, "{report}");
        report
    }

    /// The audit files, oldest first.
    pub(crate) fn audit_files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path().join("audit")).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|it| it == "jsonl"));
        files.sort();
        files
    }
}

impl Card {
    /// A card with a random PAN and contract number, and its CVV2 under a key.
    pub(crate) fn random(bin: &str, expiry: &'static str, cvk: Option<&[u8; 16]>) -> Self {
        let pan = with_luhn(&format!("{bin}{:09}", random(1_000_000_000)));
        let contract = format!("K{:019}", random(10_u64.pow(19)));
        let cvv2 = cvk.map_or(String::new(), |cvk| {
            let cvk = CvkPair::from_bytes(cvk, ExpiryOrder::YyMm, Policy::Strict).unwrap();
            let expiry = Expiry::parse_yymm(expiry).unwrap();
            let cvv2 = cvk.cvv2(&Pan::parse(&pan).unwrap(), &expiry).unwrap();
            cvv2.expose().as_str().to_owned()
        });
        Self { pan, contract, expiry, cvv2 }
    }
}

/// The digits with their Luhn check digit behind them.
pub(crate) fn with_luhn(digits: &str) -> String {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let doubled = u32::from(digit - b'0') * if at % 2 == 0 { 2 } else { 1 };
            doubled / 10 + doubled % 10
        })
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

/// A random key in the keyring, and nowhere else in the directory.
fn cvk(home: &Path) -> [u8; CvkPair::LEN] {
    let mut key = [0; CvkPair::LEN];
    getrandom::fill(&mut key).unwrap();
    for byte in &mut key {
        *byte ^= u8::from(byte.count_ones().is_multiple_of(2)); // odd parity
    }
    let pair = CvkPair::from_bytes(&key, ExpiryOrder::YyMm, Policy::Strict).unwrap();
    let kcv = hex::encode_upper(pair.kcv(KcvMethod::TdesZeros).bytes());
    private_file(&home.join("clear"), &hex::encode_upper(key));
    cvv2(home, &["key", "init", "--config", "cvv2.toml"], "");
    let words = "key import --config cvv2.toml --name live --scheme visa --kind cvv2 --expiry-order yymm \
                 --from 2020-01-01 --state active --clear clear --bins";
    let words: Vec<_> = words.split_whitespace().chain([BIN, "--kcv", &kcv]).collect();
    cvv2(home, &words, "");
    fs::remove_file(home.join("clear")).unwrap();
    key
}

fn client(home: &Path, id: &'static str, scopes: &str) -> Client {
    let words =
        ["client", "add", "auth/clients.toml", "--id", id, "--scope", scopes, "--bank", BANK];
    Client { id, secret: cvv2(home, &words, "").trim_end().to_owned() }
}

fn certificate(home: &Path) -> Vec<u8> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(home.join("tls/certificate.pem"), cert.pem()).unwrap();
    private_file(&home.join("tls/key.pem"), &signing_key.serialize_pem());
    cert.der().to_vec()
}

fn private_file(path: &Path, content: &str) {
    let mut options = OpenOptions::new();
    let mut file: File = options.write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(content.as_bytes()).unwrap();
}
