//! `cvv2 client`: the file of API clients, and the keys that sign their tokens.
#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use cvv2_service::SystemClock;
use cvv2_service::auth::{Auth, AuthSettings, TokenRequest};
use serde_json::{Value, json};
use support::{Ran, cvv2};
use tempfile::TempDir;
use time::OffsetDateTime;

/// A folder in which a service finds clients and keys.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(place.folder.path().join("keys")).unwrap();
        place
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("clients.toml")
    }

    /// Runs a subcommand on the file.
    fn client(&self, command: &str, words: &[&str]) -> Ran {
        cvv2(&[&["client", command, self.file().to_str().unwrap()], words].concat(), "")
    }

    fn add(&self, id: &str, more: &[&str]) -> Ran {
        let words = ["--id", id, "--scope", "cvv2:generate", "--bank", "IBTF"];
        self.client("add", &[&words, more].concat())
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    /// The status with which a service answers this id and secret.
    fn status(&self, id: &str, secret: &str) -> u16 {
        let own = "[own]\nclients = \"clients.toml\"\nsigning_keys = \"keys\"\nissuer = \"i\"\n";
        let settings: AuthSettings = toml::from_str(own).unwrap();
        let auth = Auth::open(&settings.relative_to(self.folder.path()), SystemClock).unwrap();
        let body = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
        let request = TokenRequest {
            content_type: Some(b"application/x-www-form-urlencoded"),
            authorization: None,
            body: body.as_bytes(),
            origin: None,
        };
        auth.token_endpoint().unwrap().token(request, None, OffsetDateTime::now_utc()).http_status
    }

    fn signing_key(&self) -> Ran {
        cvv2(&["client", "signing-key", self.folder.path().join("keys").to_str().unwrap()], "")
    }
}

#[test]
fn a_client_that_is_added_gets_tokens_and_its_secret_is_nowhere_else() {
    let place = Place::new();
    let key = place.signing_key().done();
    assert!(key.out.contains("a service that reloads signs with it"), "{key:?}");
    let added = place.add("acme-ivr", &[]).done();
    let secret = added.out.strip_suffix('\n').unwrap();
    assert_eq!(secret.len(), 43);
    assert_eq!(added.err, "cvv2: acme-ivr is in the file; its secret is shown this once\n");
    assert!(!place.text().contains(secret));
    assert_eq!(fs::metadata(place.file()).unwrap().mode() & 0o777, 0o600);
    assert_eq!(place.status("acme-ivr", secret), 200);
    assert_eq!(place.status("acme-ivr", &secret[1..]), 401);

    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let more = ["--certificate", digest, "--token-lifetime", "60", "--json"];
    let added = place.add("bound", &more).done().json();
    let client = json!({
        "id": "bound", "disabled": false, "secrets": 1, "scopes": ["cvv2:generate"],
        "banks": ["IBTF"], "certificates": [digest], "token_lifetime_seconds": 60,
    });
    assert_eq!(added["client"], client);
    assert_eq!(added["secret"].as_str().unwrap().len(), 43);
    let listed = place.client("list", &["--json"]).done().json();
    assert_eq!(listed["clients"].as_array().unwrap()[1], client);
    let listed = place.client("list", &[]).done().out;
    assert_eq!(
        listed,
        "acme-ivr  cvv2:generate  banks IBTF\n\
         bound  cvv2:generate  banks IBTF  bound to a certificate\n"
    );
}

#[test]
fn a_secret_is_exchanged_in_two_steps() {
    let place = Place::new();
    place.signing_key().done();
    let first = place.add("acme-ivr", &[]).done().out.trim().to_owned();
    let id = ["--id", "acme-ivr"];
    let second = place.client("rotate", &id).done().out.trim().to_owned();
    assert_eq!((place.status("acme-ivr", &first), place.status("acme-ivr", &second)), (200, 200));
    place.client("rotate", &id).failed(2, "has two secrets already");
    assert!(place.client("list", &[]).done().out.contains("two secrets"));
    let finished =
        place.client("rotate", &["--id", "acme-ivr", "--finish", "--json"]).done().json();
    assert_eq!(finished["client"]["secrets"], 1);
    assert_eq!((place.status("acme-ivr", &first), place.status("acme-ivr", &second)), (401, 200));
    place.client("rotate", &["--id", "acme-ivr", "--finish"]).failed(2, "but one secret");
}

#[test]
fn a_client_is_disabled_enabled_and_removed() {
    let place = Place::new();
    place.signing_key().done();
    let secret = place.add("acme-ivr", &[]).done().out.trim().to_owned();
    let id = ["--id", "acme-ivr"];
    assert_eq!(place.client("disable", &id).done().out, "acme-ivr is disabled\n");
    assert_eq!(place.status("acme-ivr", &secret), 401);
    assert!(place.client("list", &[]).done().out.ends_with("  disabled\n"));
    assert_eq!(place.client("enable", &id).done().out, "acme-ivr is enabled\n");
    assert_eq!(place.status("acme-ivr", &secret), 200);
    let removed = place.client("remove", &["--id", "acme-ivr", "--json"]).done().json();
    assert_eq!(removed["client"], Value::Null);
    assert_eq!(place.status("acme-ivr", &secret), 401);
    for command in ["disable", "enable", "remove", "rotate"] {
        place.client(command, &id).failed(2, "no client of this id");
    }
}

#[test]
fn wrong_words_are_refused_before_anything_is_written_and_not_repeated() {
    let place = Place::new();
    let canary = "0A1B2C3D4E5F60718293A4B5C6D7E8F9";
    let add = |id: &str, scope: &str, bank: &str, more: &[&str]| {
        place.client("add", &[&["--id", id, "--scope", scope, "--bank", bank], more].concat())
    };
    for (ran, told) in [
        (add(canary, "cvv2:generate", "IBTF", &[]), "--id: "),
        (add("a", canary, "IBTF", &[]), "--scope: give cvv2:generate"),
        (add("a", "cvv2:generate", canary, &[]), "--bank: "),
        (add("a", "cvv2:generate", "IBTF", &["--certificate", canary]), "--certificate: give 64"),
        (
            add("a", "cvv2:generate", "IBTF", &["--token-lifetime", "59"]),
            "--token-lifetime: give 60",
        ),
    ] {
        let refused = ran.failed(2, told);
        assert!(!refused.err.contains(canary), "{refused:?}");
    }
    assert!(!place.file().exists());
    place.add("acme-ivr", &[]).done();
    let before = place.text();
    place.add("acme-ivr", &[]).failed(2, "a client of this id");
    place.add("other", &["--bank", "IBTF"]).failed(2, "there is another of this name");
    assert_eq!(place.text(), before);
}

#[test]
fn check_reads_as_the_service_does() {
    let place = Place::new();
    place.client("check", &[]).failed(2, "clients.toml: ");
    place.add("acme-ivr", &[]).done();
    assert_eq!(place.client("check", &[]).done().out, "sound: 1 clients\n");
    let wrong = place.text().replace("cvv2:generate", "cvv2:everything");
    support::private_file(place.folder.path(), "clients.toml", &wrong);
    let checked = place.client("check", &[]);
    assert_eq!(checked.code, 1);
    assert!(checked.out.starts_with("WRONG   ") && checked.out.contains("line 8, column 11"));
    assert!(!checked.out.contains("everything"), "{checked:?}");
    let checked = place.client("check", &["--json"]);
    assert_eq!((checked.code, &checked.json()["sound"]), (1, &json!(false)));
    // A change of it is refused as well.
    place.add("other", &[]).failed(2, "line 8, column 11");
}

#[test]
fn there_is_help_on_every_level() {
    for words in
        [&["client", "--help"][..], &["client", "add", "--help"], &["client", "rotate", "-h"]]
    {
        let help = cvv2(words, "").done();
        assert!(help.out.contains("Usage: cvv2 client"), "{help:?}");
    }
    assert_eq!(cvv2(&["client"], "").code, 2);
}
