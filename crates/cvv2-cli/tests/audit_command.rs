//! `cvv2 audit verify`, as auditors use it.
#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cvv2::key::{Kbpk, KbpkAlgorithm};
use cvv2::secret::{Protection, Secret};
use cvv2_keyring::Token;
use cvv2_keyring::wrapped::{self, FIRST, KeyUse, NamedKey};
use cvv2_service::audit::{AnchorOptions, AuditLog, AuditOptions, Event, EventRecord, Head};
use cvv2_service::{CardKey, ServiceKey};
use support::{Ran, cvv2, private_file};
use tempfile::TempDir;
use time::macros::datetime;

/// A log of two files, its anchor, and the key's file.
struct Home {
    folder: TempDir,
    head: Head,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now = datetime!(2026-01-02 03:04:05 UTC);
        let key = service_key(folder.path());
        let options = AuditOptions {
            file_bytes_max: 4 << 10,
            anchor: Some(AnchorOptions::new(folder.path().join("anchor"))),
            ..AuditOptions::new(folder.path().join("log"))
        };
        let log = AuditLog::open(&options, &key, move || now).unwrap();
        let start =
            EventRecord { detail: Some("né\n\"x\""), ..EventRecord::new(now, Event::Start) };
        log.append(&start.into()).wait().unwrap();
        for _ in 0..10 {
            let shown = EventRecord {
                caller: Some("operator"),
                card_key: Some(CardKey::from_bytes([7; 16])),
                detail: Some(&format!("429 {}", "so that a few lines fill a file ".repeat(7))),
                ..EventRecord::new(now, Event::LimitsShown)
            };
            log.append(&shown.into()).wait().unwrap();
        }
        Self { head: log.close().unwrap(), folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// A file of the log, the first or the second.
    fn file(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("log/audit-20260102-{number:08}.jsonl"))
    }

    /// Runs `verify` on these paths, with the key.
    fn verify(&self, words: &[&str]) -> Ran {
        let (key, kbpk) = (self.path("keys/service"), self.path("kbpk"));
        let mut all = vec!["audit", "verify", "--service-key", &key, "--kbpk-file", &kbpk];
        all.extend(words);
        cvv2(&all, "")
    }
}

/// The key of a service, in its file, under a KBPK in another.
fn service_key(folder: &Path) -> ServiceKey {
    fs::create_dir(folder.join("keys")).unwrap();
    wrap(folder, 7);
    ServiceKey::new(Secret::new([7; 32], Protection::Wiped).unwrap())
}

/// Makes the file of a service's key that has this byte only.
fn wrap(folder: &Path, byte: u8) {
    let hex = "0F1E2D3C".repeat(8);
    let kbpk = Kbpk::from_hex(KbpkAlgorithm::Aes256, &hex, Protection::Wiped).unwrap();
    private_file(folder, "kbpk", &format!("cvv2-kbpk-1 aes-256 {hex} {}\n", kbpk.kcv()));
    let name = Token::parse("root").unwrap();
    let key = NamedKey::copied(name, FIRST, KeyUse::Hmac, &[byte; 32], &kbpk).unwrap();
    wrapped::create(&folder.join("keys/service"), "service", &[key], &kbpk).unwrap();
}

#[test]
fn a_whole_log_is_whole() {
    let home = Home::new();
    let (log, anchor) = (home.path("log"), home.path("anchor"));
    let ran = home.verify(&[&log, "--anchor", &anchor]).done();
    assert!(ran.out.ends_with("\nwhole\n"), "{}", ran.out);
    assert!(ran.out.contains("files   2, with 11 records\n"), "{}", ran.out);
    assert!(ran.out.contains(&home.head.mac.to_string()), "{}", ran.out);
    assert!(!ran.out.contains("without an anchor"), "{}", ran.out);
    assert!(home.verify(&[&log]).done().out.contains("without an anchor"));

    // Files in any order.
    let files = [2, 1].map(|number| home.file(number).to_str().unwrap().to_owned());
    let json = home.verify(&[&files[0], &files[1], "--anchor", &anchor, "--json"]).done().json();
    assert_eq!(json["whole"], true);
    assert_eq!(json["records"], 11);
    assert_eq!(json["last"], home.head.sequence);
    assert_eq!(json["closed"], true);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let home = Home::new();
    let (log, anchor) = (home.path("log"), home.path("anchor"));
    let text = fs::read_to_string(home.file(1)).unwrap();
    fs::write(home.file(1), text.replacen("429", "200", 1)).unwrap();
    let ran = home.verify(&[&log]);
    assert_eq!(ran.code, 1);
    let told = format!("WRONG   {}: line 3: altered\n", home.file(1).display());
    assert_eq!((ran.out, ran.err), (told, String::new()));
    let ran = home.verify(&[&log, "--json"]);
    assert_eq!(
        (ran.code, &ran.json()["fault"], &ran.json()["line"]),
        (1, &"altered".into(), &3.into())
    );
    fs::write(home.file(1), &text).unwrap();

    let second = home.file(2);
    let ran = home.verify(&[second.to_str().unwrap()]);
    assert!(ran.code == 1 && ran.out.contains("--partial"), "{ran:?}");
    let ran = home.verify(&[second.to_str().unwrap(), "--partial", "--anchor", &anchor]).done();
    assert!(ran.out.contains("are in files that were not given"), "{}", ran.out);

    fs::remove_file(second).unwrap();
    home.verify(&[&log]).done();
    let ran = home.verify(&[&log, "--anchor", &anchor]);
    assert!(ran.code == 1 && ran.out.contains("its end is missing"), "{ran:?}");
}

#[test]
fn wrong_use_is_told() {
    let home = Home::new();
    let log = home.path("log");
    let absent = home.path("absent");
    home.verify(&[&absent]).failed(2, "absent");
    home.verify(&[&log, "--anchor", &absent]).failed(2, "absent");
    fs::create_dir(home.path("empty")).unwrap();
    home.verify(&[&home.path("empty")]).failed(2, "no audit file");

    let key = home.path("keys/service");
    let of_service = fs::read_to_string(&key).unwrap();
    fs::write(&key, of_service.replace("\"service\"", "\"card store\"")).unwrap();
    home.verify(&[&log]).failed(2, "keys/service");
    fs::remove_file(&key).unwrap();
    wrap(home.folder.path(), 8);
    let ran = home.verify(&[&log]);
    assert!(ran.code == 1 && ran.out.contains("under another service key"), "{ran:?}");
    fs::write(&key, of_service).unwrap();
    fs::write(home.path("anchor"), "\nnothing\n").unwrap();
    let ran = home.verify(&[&log, "--anchor", &home.path("anchor")]).done();
    assert!(ran.out.contains("1 lines of the anchor cannot be read"), "{}", ran.out);
}

/// The program in `docs/AUDIT.md`, which is nothing of ours, agrees.
#[test]
#[cfg_attr(not(has_python3), ignore = "needs python3")]
fn the_documented_program_verifies_the_log() {
    let home = Home::new();
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/AUDIT.md");
    let docs = fs::read_to_string(docs).unwrap();
    let program = docs.split_once("```python\n").unwrap().1.split_once("```").unwrap().0;
    // It wants the key itself: whoever verifies without `cvv2` has it out of its block.
    private_file(home.folder.path(), "clear", &"07".repeat(32));
    let run = || {
        Command::new("python3")
            .args(["-c", program, &home.path("clear")])
            .args([home.file(1), home.file(2)])
            .output()
            .unwrap()
    };
    let said = String::from_utf8(run().stdout).unwrap();
    assert_eq!(said, format!("{} {}\n", home.head.sequence, home.head.mac));
    let text = fs::read_to_string(home.file(1)).unwrap();
    fs::write(home.file(1), text.replacen("429", "200", 1)).unwrap();
    assert!(!run().status.success());
}
