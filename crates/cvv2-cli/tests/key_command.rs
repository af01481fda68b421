//! `cvv2 key`, and the commands that take keys from a keyring.
#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::terminal::{Answer, run_at_terminal};
use support::{CVV2, Ran, cvv2, ended, private_file, start};
use tempfile::TempDir;

/// A published test key, and its check value.
const KEY: &str = "0123456789ABCDEFFEDCBA9876543210";
const KCV: &str = "08D7B4";
/// Components of a payShield's documentation, with the key that they are the sum of.
const COMPONENTS: [(&str, &str); 2] = [
    ("137A2C25C198E3EAA76161B99BA4C267", "38EECD"),
    ("D5BFAD649E4CC43D023151DFC2791CE5", "09A2B8"),
];
const SUM: &str = "C7C480405ED526D6A451316758DCDF83";
const SUM_KCV: &str = "D5BE96";
/// The AES-256 KBPK of TR-31:2018, A.7.4, as a file holds it, and that key in a block under it.
const TRANSPORT: &str =
    "cvv2-kbpk-1 aes-256 88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6 233155";
const VERIFY_BLOCK: &str = "D0112C0TV00E0000564FB8739FD753638B66CBA3D58E0CBE3B4792AA43F9430D\
                            713867CC12014BBFE52417E0C5B303469139831390248672";
/// A card of published test vectors, its CVV2 under the test key, and that under the other.
const CARD: &str = r#"{"pan": "4123456789012345", "expiry": "2701"}"#;
const CVV2_OF_CARD: &str = "878";

/// What `import` needs to know of a key besides its name, its BINs and where it comes from.
const ENTRY: [&str; 8] =
    ["--scheme", "visa", "--kind", "cvv2", "--expiry-order", "yymm", "--from", "2026-01-01"];

/// A keyring in a throw-away folder.
struct Ring {
    folder: TempDir,
}

impl Ring {
    /// Folders, and no keyring yet.
    fn nothing() -> Self {
        let ring = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(ring.path("keyring")).unwrap();
        fs::set_permissions(ring.path("keyring"), fs::Permissions::from_mode(0o700)).unwrap();
        ring
    }

    /// An empty keyring.
    fn new() -> Self {
        let ring = Self::nothing();
        ring.key(&["init"]).done();
        ring
    }

    /// A keyring with the published test key, active, under the name `visa`.
    fn with_test_key() -> Self {
        let ring = Self::new();
        let clear = ring.file("clear", KEY);
        ring.import("visa", &["--clear", &clear, "--kcv", KCV, "--state", "active"]).done();
        ring
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn file(&self, name: &str, content: &str) -> String {
        private_file(self.folder.path(), name, content)
    }

    fn place(&self) -> [String; 4] {
        let path = |name: &str| self.path(name).to_str().unwrap().to_owned();
        [
            "--keyring".to_owned(),
            path("keyring/keyring.toml"),
            "--kbpk-file".to_owned(),
            path("kbpk"),
        ]
    }

    fn key(&self, words: &[&str]) -> Ran {
        self.run(&[&["key"], words].concat(), "")
    }

    fn run(&self, words: &[&str], input: &str) -> Ran {
        let place = self.place();
        cvv2(&[words, &place.each_ref().map(String::as_str)].concat(), input)
    }

    /// Imports a key for the BIN 412345.
    fn import(&self, name: &str, source: &[&str]) -> Ran {
        self.import_for("412345", name, source)
    }

    fn import_for(&self, bins: &str, name: &str, source: &[&str]) -> Ran {
        let words = ["import", "--name", name, "--bins", bins];
        self.key(&[&words, &ENTRY[..], source].concat())
    }

    fn list(&self) -> Value {
        self.key(&["list", "--json"]).done().json()
    }

    fn at_terminal(&self, words: &[&str], answers: &[Answer<'_>]) -> (Ran, String) {
        let place = self.place();
        let place = place.each_ref().map(String::as_str);
        run_at_terminal(&[&[CVV2, "key"], words, &place].concat(), self.folder.path(), answers)
    }

    /// Every file of the folder, as text.
    fn everything(&self) -> String {
        fn texts(folder: &Path, all: &mut String) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    texts(&path, all);
                } else {
                    *all += &fs::read_to_string(path).unwrap();
                }
            }
        }
        let mut all = String::new();
        texts(self.folder.path(), &mut all);
        all
    }
}

mod keyring {
    use super::*;

    #[test]
    fn a_new_keyring_is_empty_and_private_and_its_kbpk_elsewhere() {
        let ring = Ring::nothing();
        let made = ring.key(&["init", "--json"]).done().json();
        assert_eq!(made["kbpk"]["algorithm"], "aes-256");
        let kcv = made["kbpk"]["kcv"].as_str().unwrap();
        assert!(ring.text("keyring/keyring.toml").contains(&format!("kbpk_kcv = \"{kcv}\"")));
        assert!(ring.text("kbpk").ends_with(&format!(" {kcv}\n")));
        for file in ["kbpk", "keyring/keyring.toml"] {
            let mode = fs::metadata(ring.path(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o600, "{file}");
        }
        assert_eq!(ring.list()["keys"], json!([]));

        let before = ring.everything();
        ring.key(&["init"]).failed(2, "there is such a file");
        assert_eq!(ring.everything(), before);
    }

    #[test]
    fn a_kbpk_does_not_lie_beside_its_keyring() {
        let ring = Ring::nothing();
        let [keyring, kbpk] =
            ["keyring/keyring.toml", "keyring/kbpk"].map(|p| ring.path(p).display().to_string());
        let init = ["key", "init", "--keyring", &keyring, "--kbpk-file", &kbpk];
        cvv2(&init, "").failed(2, "whoever copies the folder has both");
        assert!(!Path::new(&kbpk).exists());
    }

    #[test]
    fn another_keyring_may_be_under_a_kbpk_that_is_there() {
        let ring = Ring::new();
        let other = ring.path("keyring/other.toml").display().to_string();
        let kbpk = ring.path("kbpk").display().to_string();
        let words = ["key", "init", "--keyring", &other, "--kbpk-file", &kbpk];
        cvv2(&words, "").failed(2, "exists");
        cvv2(&[&words[..], &["--existing-kbpk"]].concat(), "").done();
        let missing = ring.path("missing").display().to_string();
        let words = ["key", "list", "--keyring", &other, "--kbpk-file", &missing];
        cvv2(&words, "").failed(2, "missing");
    }

    #[test]
    fn a_list_says_what_there_is_and_what_is_in_force() {
        let ring = Ring::with_test_key();
        let list = ring.list();
        let expected = json!({
            "name": "visa", "scheme": "visa", "kinds": ["cvv2"], "bins": ["412345"],
            "expiry_order": "YYMM", "state": "active", "from": "2026-01-01", "until": null,
            "cards_expiring_from": null, "predecessor": null, "kcv": KCV, "block_version": "D",
            "mode_of_use": "C", "exportability": "E",
        });
        assert_eq!(list["keys"], json!([expected]));
        let in_force = json!([{
            "kind": "cvv2", "bins": "412345", "cards_expiring_from": null,
            "cards_expiring_before": null, "generates": "visa", "verify": ["visa"],
        }]);
        assert_eq!(list["in_force"], in_force);

        let text = ring.key(&["list"]).done().out;
        for word in ["visa", KCV, "active", "412345", "In force on"] {
            assert!(text.contains(word), "{word}: {text}");
        }
        let before = ring.key(&["list", "--on", "2025-12-31"]).done().out;
        assert!(before.contains("No key is in force on 2025-12-31."), "{before}");
    }

    #[test]
    fn a_key_is_activated_ended_retired_and_removed() {
        let ring = Ring::new();
        ring.import("a", &["--new"]).done();
        let state = || ring.list()["keys"][0]["state"].as_str().unwrap().to_owned();
        assert_eq!(state(), "pending");
        ring.key(&["set", "a"]).failed(2, "--until");
        ring.key(&["set", "b", "--state", "active"]).failed(2, "no key of this name");
        ring.key(&["set", "a", "--state", "verify-only"]).failed(2, "does not become");
        let set = ring.key(&["set", "a", "--state", "active", "--until", "2030-12-31"]).done();
        assert_eq!(set.out, "a is active, until 2030-12-31\n");
        ring.key(&["remove", "a"]).failed(2, "retire it first");
        ring.key(&["set", "a", "--state", "verify-only"]).done();
        ring.key(&["retire", "a"]).done();
        assert_eq!(state(), "retired");
        ring.key(&["set", "a", "--state", "active"]).failed(2, "does not become");
        ring.key(&["remove", "a"]).done();
        assert_eq!(ring.list()["keys"], json!([]));
    }

    #[test]
    fn a_change_leaves_the_file_as_it_was_before_beside_it() {
        let ring = Ring::with_test_key();
        let before = ring.text("keyring/keyring.toml");
        ring.key(&["retire", "visa"]).done();
        assert_eq!(ring.text("keyring/keyring.toml.previous"), before);
        assert_ne!(ring.text("keyring/keyring.toml"), before);
    }

    #[test]
    fn a_successor_takes_over_on_its_day_for_its_cards() {
        let ring = Ring::with_test_key();
        let rotated = ring
            .key(&["rotate", "visa", "--name", "visa-2", "--from", "2030-01-01", "--new"])
            .done();
        assert!(rotated.err.contains("--cards-expiring-from"), "{}", rotated.err);
        ring.key(&["remove", "visa-2"]).failed(2, "retire it first");

        let words = ["rotate", "visa-2", "--name", "visa-3", "--from", "2031-01-01", "--new"];
        let words = [&words[..], &["--cards-expiring-from", "2034-02", "--json"]].concat();
        let rotated = ring.key(&words).done();
        assert!(rotated.err.is_empty(), "{}", rotated.err);
        let key = &rotated.json()["key"];
        assert_eq!((&key["predecessor"], &key["state"]), (&"visa-2".into(), &"active".into()));

        let words = ["list", "--on", "2031-06-01", "--json"];
        let rows = ring.key(&words).done().json()["in_force"].clone();
        let row = |i: usize, field: &str| rows[i][field].clone();
        assert_eq!(row(0, "cards_expiring_before"), "2034-02");
        assert_eq!(row(0, "generates"), "visa-2");
        assert_eq!(row(1, "cards_expiring_from"), "2034-02");
        assert_eq!(row(1, "generates"), "visa-3");
        assert_eq!(row(1, "verify"), json!(["visa-3", "visa-2", "visa"]));

        let words = ["rotate", "visa-3", "--name", "visa-4", "--from", "2030-06-01", "--new"];
        ring.key(&words).failed(2, "a successor comes after");
        ring.key(&["rotate", "b", "--name", "c", "--from", "2030-01-01", "--new"])
            .failed(2, "no key of this name");
    }
}

mod import {
    use super::*;

    #[test]
    fn a_block_under_the_keyrings_own_kbpk_is_kept_as_it_is() {
        let ring = Ring::nothing();
        ring.file("kbpk", TRANSPORT);
        ring.key(&["init", "--existing-kbpk"]).done();
        let block = ring.file("block", &format!("{VERIFY_BLOCK}\n"));
        ring.import("visa", &["--block", &block, "--kcv", KCV]).done();
        assert!(ring.text("keyring/keyring.toml").contains(VERIFY_BLOCK));
        assert_eq!(ring.list()["keys"][0]["mode_of_use"], "V");

        // Also from standard input, but for its name.
        let words = ["key", "import", "--name", "a", "--bins", "412345", "--block", "-"];
        let words = [&words[..], &ENTRY, &["--kcv", KCV]].concat();
        ring.run(&words, VERIFY_BLOCK).failed(2, "if one key takes over from the other");
    }

    #[test]
    fn a_block_under_a_shared_kbpk_comes_under_the_keyrings() {
        let ring = Ring::new();
        let (shared, block) = (ring.file("shared", TRANSPORT), ring.file("block", VERIFY_BLOCK));
        let words = ["--block", &block, "--kcv", KCV];
        ring.import("visa", &words).failed(2, "block: ");
        ring.import("visa", &[&words[..], &["--under", &shared]].concat()).done();
        assert!(!ring.everything().replace(&ring.text("block"), "").contains(VERIFY_BLOCK));
        let key = &ring.list()["keys"][0];
        assert_eq!((&key["kcv"], &key["mode_of_use"]), (&KCV.into(), &"V".into()));
    }

    #[test]
    fn a_block_that_must_not_be_passed_on_may_be_stored() {
        let ring = Ring::with_test_key();
        let shared = ring.file("shared", TRANSPORT);
        let words = ["export", "visa", "--under", &shared, "--exportability", "N"];
        let block = ring.key(&words).done().out;
        assert!(block.starts_with("D0112C0TC00N0000"), "{block}");

        let other = Ring::new();
        let (shared, block) = (other.file("shared", TRANSPORT), other.file("block", &block));
        let words = ["--block", &block, "--under", &shared, "--kcv", KCV];
        other.import("visa", &words).done();
        other.key(&["export", "visa"]).failed(2, "not exportable");
        other.key(&["export", "visa", "--under", &shared]).failed(2, "not exportable");
    }

    #[test]
    fn what_is_no_key_for_cards_is_refused() {
        let ring = Ring::nothing();
        ring.file("kbpk", TRANSPORT);
        ring.key(&["init", "--existing-kbpk"]).done();
        // TR-31:2018, A.7.4: a key for PINs under the same KBPK.
        let pin_key = "D0112P0AE00E0000B82679114F470F540165EDFBF7E250FCEA43F810D215F8D2\
                       07E2E417C07156A27E8E31DA05F7425509593D03A457DC34";
        let changed = VERIFY_BLOCK.replace("C0TV", "C0TC");
        for (content, kcv, told) in [
            (pin_key, KCV, "C0"),
            (&changed, KCV, "block: "),
            (VERIFY_BLOCK, "08D7B5", "the check value 08D7B4, and 08D7B5 was stated"),
            (&VERIFY_BLOCK[1..], KCV, "block: "),
            ("", KCV, "block: "),
            (VERIFY_BLOCK, "08D7B", "--kcv: give six hexadecimal digits"),
        ] {
            let block = ring.file("block", content);
            ring.import("visa", &["--block", &block, "--kcv", kcv]).failed(2, told);
        }
        let block = ring.file("block", VERIFY_BLOCK);
        ring.import("visa", &["--block", &block]).failed(2, "--kcv");
        let words = ["--block", &block, "--kcv", KCV, "--mode", "C"];
        ring.import("visa", &words).failed(2, "leave --mode and --exportability out");
        assert_eq!(ring.list()["keys"], json!([]));
    }

    #[test]
    fn clear_halves_come_from_a_private_file() {
        let ring = Ring::new();
        for (name, bins, content) in [
            ("a", "412345", "0123456789abcdef\nFEDCBA9876543210\n"),
            ("b", "512345", "0123 4567 89AB CDEF FEDC BA98 7654 3210"),
        ] {
            let file = ring.file(name, content);
            ring.import_for(bins, name, &["--clear", &file, "--kcv", KCV]).done();
        }
        let import = |file: &str, kcv: &str| {
            ring.import_for("612345", "c", &["--clear", file, "--kcv", kcv])
        };
        let clear = ring.file("clear", KEY);
        import(&clear, "123456").failed(2, "123456 was stated");
        fs::set_permissions(&clear, fs::Permissions::from_mode(0o640)).unwrap();
        import(&clear, KCV).failed(2, "chmod 600");
        let weak = ring.file("weak", &"0101010101010101".repeat(2));
        import(&weak, "8CA64D").failed(2, "weak");
        let typing_error = ring.file("error", &KEY.replace("FE", "FF"));
        import(&typing_error, KCV).failed(2, "parity");
        assert_eq!(ring.list()["keys"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn components_come_from_private_files() {
        let ring = Ring::new();
        let [first, second] =
            COMPONENTS.map(|(hex, kcv)| ring.file(kcv, &format!("{hex} {kcv}\n")));
        let words = ["--component-file", &first, "--component-file", &second];
        let wrong = [&words[..], &["--kcv", KCV]].concat();
        ring.import("visa", &wrong).failed(2, "D5BE96, and 08D7B4 was expected");
        let right = [&words[..], &["--kcv", SUM_KCV, "--mode", "G"]].concat();
        ring.import("visa", &right).done();
        let key = &ring.list()["keys"][0];
        assert_eq!((&key["kcv"], &key["mode_of_use"]), (&SUM_KCV.into(), &"G".into()));
        let one = ["--component-file", &first, "--kcv", SUM_KCV];
        ring.import_for("512345", "b", &one).failed(2, "a key has 2 or 3");
    }

    #[test]
    fn what_the_keyring_says_of_a_key_is_tried_before_anybody_brings_it() {
        let ring = Ring::with_test_key();
        // There is no such file: it is not asked for.
        let source = ["--clear", "/nowhere", "--kcv", KCV];
        ring.import("visa", &source).failed(2, "the same as at line");
        ring.import("visa-2", &source).failed(2, "shares cards");
    }

    #[test]
    fn a_key_or_pan_in_the_wrong_place_is_not_repeated() {
        let ring = Ring::with_test_key();
        let entry = |change: fn(&mut Vec<&'static str>)| {
            let mut words = vec!["import", "--name", "a", "--bins", "512345", "--new"];
            words.extend(ENTRY);
            change(&mut words);
            ring.key(&words)
        };
        for ran in [
            entry(|words| words[2] = KEY),
            entry(|words| words[4] = "4123456789012345"),
            entry(|words| words[7] = KEY),
            entry(|words| words.extend(["--kcv", KEY])),
            ring.key(&["export", KEY]),
            ring.key(&["retire", KEY]),
            ring.run(&["generate", "--key", KEY], CARD),
        ] {
            assert!(ran.code == 2 && !ran.err.is_empty());
            for part in [KEY, &KEY[..16], "4123456789012345"] {
                assert!(!ran.err.contains(part), "{}", ran.err);
            }
        }
    }
}

mod ceremony {
    use super::*;

    const CONFIRM: &str = "(yes/no) ";

    fn answers() -> Vec<Answer<'static>> {
        vec![
            ("Component 1 of 2 (hidden): ", COMPONENTS[0].0),
            (CONFIRM, "yes"),
            ("Component 2 of 2 (hidden): ", COMPONENTS[1].0),
            (CONFIRM, "yes"),
            ("Take it? (yes/no) ", "yes"),
        ]
    }

    fn words<'a>(more: &[&'a str]) -> Vec<&'a str> {
        let words = ["ceremony", "cvk", "--name", "visa", "--bins", "412345"];
        [&words, &ENTRY[..], more].concat()
    }

    /// Nothing of the components or the key, in groups of digits or without.
    #[track_caller]
    fn assert_nothing_of_a_key(text: &str) {
        let text = text.replace(' ', "").to_uppercase();
        for key in [COMPONENTS[0].0, COMPONENTS[1].0, SUM] {
            for at in (0..=24).step_by(4) {
                assert!(!text.contains(&key[at..at + 8]), "{text}");
            }
        }
    }

    #[test]
    #[cfg_attr(not(has_setsid), ignore = "setsid is not installed")]
    fn custodians_type_a_key_and_sign_for_it() {
        let ring = Ring::new();
        let names = ["--custodian", "Alice", "--custodian", "Bob"];
        let files = ["--transcript", "ceremony.txt", "--transcript", "ceremony.json"];
        let (ran, screen) = ring.at_terminal(&words(&[&names[..], &files].concat()), &answers());
        let ran = ran.done();
        let text = ring.text("ceremony.txt");
        for (_, kcv) in COMPONENTS {
            assert!(screen.contains(kcv) && text.contains(kcv), "{screen} {text}");
        }
        for word in ["Alice", "Bob", SUM_KCV, "visa", "keyring.toml"] {
            assert!(text.contains(word), "{word}: {text}");
        }
        let json: Value = serde_json::from_str(&ring.text("ceremony.json")).unwrap();
        assert_eq!(json["custodians"][1], json!({ "name": "Bob", "kcv": COMPONENTS[1].1 }));
        assert_eq!((&json["kcv"], &json["key"]), (&SUM_KCV.into(), &"visa".into()));
        assert_eq!(ring.list()["keys"][0]["kcv"], SUM_KCV);

        for text in [screen, ring.everything(), ran.out, ran.err] {
            assert_nothing_of_a_key(&text);
        }
    }

    #[test]
    #[cfg_attr(not(has_setsid), ignore = "setsid is not installed")]
    fn a_ceremony_that_is_aborted_leaves_nothing() {
        let ring = Ring::new();
        let before = ring.everything();
        let words = words(&["--custodian", "A", "--custodian", "B", "--transcript", "t.txt"]);
        for (at, instead) in [(0, "\u{3}"), (2, "\u{3}"), (4, "no")] {
            let mut answers = answers();
            answers.truncate(at + 1);
            answers[at].1 = instead;
            let (ran, _) = ring.at_terminal(&words, &answers);
            assert_eq!(ran.code, 2, "{ran:?}");
            assert_eq!(ring.everything(), before);
            assert!(!ring.path("t.txt").exists());
        }
    }

    #[test]
    #[cfg_attr(not(has_setsid), ignore = "setsid is not installed")]
    fn a_successor_may_come_of_a_ceremony() {
        let ring = Ring::with_test_key();
        let words = ["rotate", "visa", "--name", "visa-2", "--from", "2030-01-01"];
        let words = [&words[..], &["--custodians", "2", "--kcv", SUM_KCV]].concat();
        let (ran, screen) = ring.at_terminal(&words, &answers()[..4]);
        ran.done();
        assert!(screen.contains("as expected"), "{screen}");
        assert_eq!(ring.list()["keys"][1]["kcv"], SUM_KCV);
    }

    #[test]
    #[cfg_attr(not(has_setsid), ignore = "setsid is not installed")]
    fn custodians_make_a_kbpk_that_opens_what_is_under_it() {
        // The sum is the published KBPK.
        const FIRST: &str = "0F1E2D3C4B5A69788796A5B4C3D2E1F00F1E2D3C4B5A69788796A5B4C3D2E1F0";
        const SECOND: &str = "87FF86166567BAF498369C11F582ED38A76494EA669345798219022B87B79C16";
        let ring = Ring::nothing();
        let answers = [
            ("Custodian 1 of 2, your name: ", "Alice"),
            ("Component 1 of 2 (hidden): ", FIRST),
            (CONFIRM, "yes"),
            ("Custodian 2 of 2, your name: ", "Bob"),
            ("Component 2 of 2 (hidden): ", SECOND),
            (CONFIRM, "yes"),
            ("Take it? (yes/no) ", "yes"),
        ];
        let words = [CVV2, "key", "ceremony", "kbpk", "kbpk", "--transcript", "kbpk.txt"];
        let (ran, screen) = run_at_terminal(&words, ring.folder.path(), &answers);
        let ran = ran.done();
        assert_eq!(ring.text("kbpk").trim_end(), TRANSPORT);
        assert!(ring.text("kbpk.txt").contains("Alice"));
        for text in [screen, ring.text("kbpk.txt"), ran.out] {
            assert!(!text.contains(&FIRST[..16]) && !text.contains(&SECOND[48..]), "{text}");
        }
        ring.key(&["init", "--existing-kbpk"]).done();
        let block = ring.file("block", VERIFY_BLOCK);
        ring.import("visa", &["--block", &block, "--kcv", KCV]).done();

        let (ran, _) = run_at_terminal(&words[..5], ring.folder.path(), &[]);
        ran.failed(2, "exists");
    }

    #[test]
    fn a_transcript_is_filed_though_nobody_reads_the_output() {
        let ring = Ring::new();
        let [first, second] =
            COMPONENTS.map(|(hex, kcv)| ring.file(kcv, &format!("{hex} {kcv}\n")));
        let transcript = ring.path("t.txt").display().to_string();
        let words = ["key", "import", "--name", "visa", "--bins", "412345", "--kcv", SUM_KCV];
        let source = ["--component-file", &first, "--component-file", &second];
        let place = ring.place();
        let place = place.each_ref().map(String::as_str);
        let words = [&words, &ENTRY[..], &source, &["--transcript", &transcript], &place].concat();
        let mut child = start(&words);
        drop(child.stdout.take());
        assert_eq!(ended(child, "").code, 0);
        assert!(ring.text("t.txt").contains(SUM_KCV));
    }

    #[test]
    fn there_is_no_ceremony_without_a_terminal() {
        let ring = Ring::new();
        let place = ring.place();
        let words = [&["key"], &words(&[])[..], &place.each_ref().map(String::as_str)].concat();
        // A session of its own has no terminal.
        let ran = Command::new("setsid").arg("--wait").arg(CVV2).args(words).output().unwrap();
        Ran::from(ran).failed(2, "there is no terminal to ask at");
        let words = ["--new", "--transcript", "t.txt"];
        ring.import("visa", &words).failed(2, "--transcript are for components");
        let (first, second) = (ring.file("1", "-"), ring.file("2", "-"));
        let files = ["--component-file", &first, "--component-file", &second, "--kcv", KCV];
        let words = [&files[..], &["--custodian", "Alice"]].concat();
        ring.import("visa", &words).failed(2, "names 1 of 2 custodians");
    }
}

mod export {
    use super::*;

    #[test]
    fn a_block_is_what_the_keyring_has_or_one_under_another_kbpk() {
        let ring = Ring::with_test_key();
        let own = ring.key(&["export", "visa"]).done().out;
        assert!(ring.text("keyring/keyring.toml").contains(own.trim_end()));
        let shared = ring.file("shared", TRANSPORT);
        let words = ["export", "visa", "--under", &shared, "--mode", "V", "--json"];
        let exported = ring.key(&words).done().json();
        assert_eq!(exported["kcv"], KCV);
        let block = exported["block"].as_str().unwrap();
        assert!(block.starts_with("D0112C0TV00E0000") && block != own, "{block}");

        let other = Ring::nothing();
        other.file("kbpk", TRANSPORT);
        other.key(&["init", "--existing-kbpk"]).done();
        let file = other.file("block", block);
        other.import("visa", &["--block", &file, "--kcv", KCV]).done();
        let words = ["export", "visa", "--mode", "C"];
        assert_eq!(other.key(&words).code, 2, "a key does not get to do more");
        ring.key(&["export", "other"]).failed(2, "no key of this name");
    }

    #[test]
    fn a_kbpk_of_triple_des_has_blocks_of_version_b() {
        let ring = Ring::with_test_key();
        // A KBPK of published key blocks; its check value by OpenSSL.
        let hex = "89E88CF7931444F334BD7547FC3F380C";
        let shared = ring.file("shared", &format!("cvv2-kbpk-1 tdes-double {hex} D1D812"));
        let exported = ring.key(&["export", "visa", "--under", &shared]).done();
        assert!(exported.out.starts_with("B0096C0TC00E0000"), "{}", exported.out);

        let other = Ring::new();
        let (shared, block) =
            (other.file("shared", &ring.text("shared")), other.file("block", &exported.out));
        let words = ["--block", &block, "--under", &shared, "--kcv", KCV];
        other.import("visa", &words).done();
        assert_eq!(other.list()["keys"][0]["block_version"], "D");
    }
}

mod check {
    use super::*;

    #[test]
    fn a_sound_keyring_is_reported_with_its_memory_and_file_modes() {
        let ring = Ring::with_test_key();
        let report = ring.key(&["check", "--json"]).done().json();
        assert_eq!((&report["sound"], &report["wrong"]), (&true.into(), &Value::Null));
        assert_eq!(report["keys"]["opened"], 1);
        assert_eq!(report["files"][0]["mode"], "0600");
        assert_eq!(report["memory"]["core_dumps"], false);
        let protection = report["memory"]["protection"].as_str().unwrap();
        assert!(["wiped", "locked", "memfd_secret"].contains(&protection));
        let text = ring.key(&["check"]).done().out;
        assert!(text.ends_with("sound\n") && text.contains(protection), "{text}");
    }

    #[test]
    fn whatever_is_wrong_is_said_with_exit_code_1() {
        let ring = Ring::with_test_key();
        let good = ring.text("keyring/keyring.toml");
        let check = |told: &str| {
            let ran = ring.key(&["check"]);
            assert!(ran.code == 1 && ran.out.contains(told), "{told}: {ran:?}");
            assert!(ran.out.contains("WRONG"), "{}", ran.out);
        };
        let path = ring.path("keyring/keyring.toml");
        for (from, to, told) in [
            ("2026-01-01", "2026-13-01", "line 14"),
            (KCV, "123456", "not the check value"),
            ("C0TC", "C0TN", "`block`"),
            ("kbpk_kcv = \"", "kbpk_kcv = \"0", "line 5"),
            ("412345", "41", "6 to 12 digits"),
        ] {
            let damaged = good.replacen(from, to, 1);
            assert_ne!(damaged, good, "{from}");
            fs::write(&path, damaged).unwrap();
            check(told);
        }
        fs::write(&path, &good).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o620)).unwrap();
        check("chmod go-w");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        ring.key(&["check"]).done();

        fs::set_permissions(ring.path("kbpk"), fs::Permissions::from_mode(0o644)).unwrap();
        check("chmod 600");
        ring.file("kbpk", TRANSPORT);
        check("another KBPK");
        fs::remove_file(ring.path("kbpk")).unwrap();
        check("kbpk: ");
    }

    #[test]
    fn what_will_need_somebody_is_noted() {
        let ring = Ring::with_test_key();
        let notes = || ring.key(&["check", "--json"]).done().json()["notes"].to_string();
        assert_eq!(notes(), "[]");
        ring.key(&["set", "visa", "--until", "2026-01-02"]).done();
        assert!(notes().contains("ended on 2026-01-02"), "{}", notes());
        ring.import_for("512345", "mc", &["--new"]).done();
        assert!(notes().contains("mc is pending"), "{}", notes());
    }
}

mod calculation {
    use super::*;

    #[test]
    fn a_key_of_a_keyring_computes_for_its_cards() {
        let ring = Ring::with_test_key();
        let value = ring.run(&["generate", "--key", "visa"], CARD).done();
        assert_eq!(value.out, format!("{CVV2_OF_CARD}\n"));
        let typed = CARD.replace('}', r#", "cvv": "878"}"#);
        assert_eq!(ring.run(&["verify", "--key", "visa"], &typed).done().out, "match\n");
        let wrong = ring.run(&["verify", "--key", "visa"], &typed.replace("878", "877"));
        assert_eq!((wrong.code, wrong.out.as_str()), (1, "mismatch\n"));

        let generate = |words: &[&str], card: &str| {
            ring.run(&[&["generate", "--key", "visa"], words].concat(), card)
        };
        generate(&["--pan", "4123456789012345", "--expiry", "2701"], "")
            .failed(2, "visible on the command line");
        generate(&[], &CARD[..20]).failed(2, "not a card object");
        generate(&["--kind", "icvv"], CARD).failed(2, "for the kind icvv");
        let other_bin = CARD.replace("4123456", "5123456");
        let refused = generate(&[], &other_bin).failed(2, "for the card's BIN");
        assert!(!refused.err.contains("512345"), "{}", refused.err);
        ring.run(&["generate", "--key", "none"], CARD).failed(2, "no key of this name");
        ring.run(&["explain", "--key", "visa"], CARD).failed(2, "a published test key");
    }

    #[test]
    fn state_and_mode_of_use_are_obeyed() {
        let ring = Ring::new();
        let clear = ring.file("clear", KEY);
        let words = ["--clear", &clear, "--kcv", KCV, "--mode", "V"];
        ring.import("visa", &words).done();
        let generate = || ring.run(&["generate", "--key", "visa"], CARD);
        let typed = CARD.replace('}', r#", "cvv": "878"}"#);
        let verify = || ring.run(&["verify", "--key", "visa"], &typed);
        // So that a key can be tried before it is activated.
        assert_eq!(verify().done().out, "match\n");
        generate().failed(2, "the key is pending");
        ring.key(&["set", "visa", "--state", "active"]).done();
        generate().failed(2, "for verifying only");
        ring.key(&["retire", "visa"]).done();
        verify().failed(2, "retired");
    }

    #[test]
    fn no_core_file_is_written_while_a_key_is_loaded() {
        let ring = Ring::with_test_key();
        let place = ring.place();
        let words = ["generate", "--key", "visa"];
        let child = start(&[&words[..], &place.each_ref().map(String::as_str)].concat());
        let limits = format!("/proc/{}/limits", child.id());
        let deadline = Instant::now() + Duration::from_mins(1);
        let is_off = || {
            let limits = fs::read_to_string(&limits).unwrap();
            let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
            line.split_whitespace().skip(4).take(2).all(|limit| limit == "0")
        };
        while !is_off() {
            assert!(Instant::now() < deadline, "core files are not switched off");
        }
        // It waits for the card, its key loaded.
        assert_eq!(ended(child, CARD).done().out, format!("{CVV2_OF_CARD}\n"));
    }
}

mod configuration {
    use super::*;

    /// A configuration with this `[keyring]` table, and the keyring that it means.
    fn configured(ring: &Ring, keyring: &str) -> String {
        let text = format!(
            "[store]\npath = 'cards'\nkeys_file = 'store-keys.toml'\n[caller]\nbanks = []\n[keyring]\n\
             path = 'keyring/keyring.toml'\n{keyring}\n"
        );
        ring.file("cvv2.toml", &text)
    }

    #[test]
    fn every_command_takes_keyring_and_kbpk_from_it() {
        let ring = Ring::with_test_key();
        let config = configured(&ring, "kbpk = { file = 'kbpk' }");
        let list = cvv2(&["key", "list", "--config", &config, "--json"], "").done().json();
        assert_eq!(list["keys"][0]["name"], "visa");
        let value = cvv2(&["generate", "--config", &config, "--key", "visa"], CARD).done();
        assert_eq!(value.out, format!("{CVV2_OF_CARD}\n"));
        let both = ring.run(&["key", "list", "--config", &config], "");
        both.failed(2, "cannot be used with");
    }

    #[test]
    fn a_kbpk_may_come_from_the_environment_and_warns() {
        let ring = Ring::with_test_key();
        let config = configured(&ring, "kbpk = { environment = 'CVV2_TEST_KBPK' }");
        let list = ["key", "list", "--config", &config];
        cvv2(&list, "").failed(2, "CVV2_TEST_KBPK is not set");
        let output =
            Command::new(CVV2).args(list).env("CVV2_TEST_KBPK", ring.text("kbpk")).output();
        let ran = Ran::from(output.unwrap()).done();
        assert!(ran.err.contains("cannot be taken back"), "{}", ran.err);
        let init = ["key", "init", "--config", &configured(&ring, "kbpk = { credential = 'k' }")];
        fs::remove_file(ring.path("keyring/keyring.toml")).unwrap();
        cvv2(&init, "").failed(2, "a key is made in a file or in a token");
    }

    #[test]
    #[cfg_attr(not(has_setsid), ignore = "setsid is not installed")]
    fn a_kbpk_may_be_typed_at_every_start() {
        let ring = Ring::new();
        let hex = ring.text("kbpk").split(' ').nth(2).unwrap().to_owned();
        let first = "5A".repeat(32);
        let second: Vec<_> = hex::decode(&hex).unwrap().iter().map(|byte| byte ^ 0x5A).collect();
        let second = hex::encode_upper(second);
        let config = configured(&ring, "kbpk = { custodians = 2 }");
        let answers = [
            ("Component 1 of 2 (hidden): ", &*first),
            ("(yes/no) ", "yes"),
            ("Component 2 of 2 (hidden): ", &second),
            ("(yes/no) ", "yes"),
            ("(yes/no) ", "yes"),
        ];
        let words = [CVV2, "key", "check", "--config", &config];
        let (ran, screen) = run_at_terminal(&words, ring.folder.path(), &answers);
        assert!(ran.done().out.contains("sound"));
        assert!(!screen.contains(&first[..8]) && !screen.contains(&second[..8]));
    }

    #[test]
    fn a_protection_may_be_required() {
        let ring = Ring::with_test_key();
        let kbpk = "kbpk = { file = 'kbpk' }";
        let check = |require: &str| {
            let config = configured(&ring, &format!("{kbpk}\nrequire = '{require}'"));
            cvv2(&["key", "check", "--config", &config, "--json"], "")
        };
        let report = check("wiped").done().json();
        let there_is = report["memory"]["protection"].as_str().unwrap().to_owned();
        let report = check(&there_is).done().json();
        assert_eq!(report["memory"]["required"], there_is.as_str());
        if there_is != "memfd_secret" {
            let report = check("memfd_secret");
            assert!(report.code == 1 && report.out.contains("memfd_secret"), "{report:?}");
        }
        check("much").failed(2, "line 9, column 11");
    }

    #[test]
    fn products_without_a_cvv2_are_bins_as_in_the_keyring() {
        let ring = Ring::with_test_key();
        let list = |bins: &str| {
            let keyring = format!("kbpk = {{ file = 'kbpk' }}\n[service]\nno_cvv2 = [{bins}]");
            cvv2(&["key", "list", "--config", &configured(&ring, &keyring)], "")
        };
        list("'412345', '400000-400099'").done();
        list("'412345', '51'").failed(2, "line 10, column 11");
    }
}
