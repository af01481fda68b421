//! `cvv2 cards`: the store, its keys, and what leaves it.
#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use age::secrecy::ExposeSecret;
use cvv2::key::{Kbpk, KbpkAlgorithm};
use cvv2::secret::Protection;
use cvv2_resolver::{EmbeddedStore, KeyVersion, StoreKeys};
use serde_json::{Value, json};
use support::terminal::run_at_terminal;
use support::{CVV2, Ran, cvv2, private_file, start};
use tempfile::TempDir;

const EXID: &str = "99984100148297467162";
const PAN: &str = "4123456789012345";

/// A store in a throw-away directory, and the words that name it.
struct Store {
    directory: TempDir,
    place: Vec<String>,
}

impl Store {
    /// Folders, and nothing in them.
    fn nothing() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("keys");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        let path = |name| directory.path().join(name).to_str().unwrap().to_owned();
        let place = [
            ("--store", path("cards")),
            ("--store-keys", path("keys/store-keys.toml")),
            ("--kbpk-file", path("kbpk")),
        ];
        let place = place.into_iter().flat_map(|(name, path)| [name.to_owned(), path]).collect();
        Self { directory, place }
    }

    /// A store without cards.
    fn new() -> Self {
        let store = Self::nothing();
        store.cards(&["init", "--new-kbpk"], "").done();
        store
    }

    fn cards(&self, words: &[&str], input: &str) -> Ran {
        let mut all = vec!["cards"];
        all.extend(self.place.iter().map(String::as_str));
        all.extend(words);
        cvv2(&all, input)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn file(&self, name: &str, content: &str) -> String {
        private_file(self.directory.path(), name, content)
    }

    /// The words that name this store with another file of keys, or another KBPK.
    fn cards_with(&self, place: &[(&str, &str)], words: &[&str]) -> Ran {
        let mut all = self.place.clone();
        for (name, value) in place {
            let at = all.iter().position(|word| word == name).unwrap();
            (*value).clone_into(&mut all[at + 1]);
        }
        cvv2(
            &[&["cards"], &all.iter().map(String::as_str).collect::<Vec<_>>()[..], words].concat(),
            "",
        )
    }

    fn status(&self, words: &[&str]) -> Value {
        let show = ["show", "--bank", "NIC", "--exid", EXID, "--json"];
        self.cards(&[&show, words].concat(), "").done().json()
    }

    /// The store's KBPK.
    fn kbpk(&self) -> Kbpk {
        let line = self.text("kbpk");
        let hex = line.split_whitespace().nth(2).unwrap();
        Kbpk::from_hex(KbpkAlgorithm::Aes256, hex, Protection::Wiped).unwrap()
    }

    /// The store's keys, as the resolver has them.
    fn keys(&self) -> StoreKeys {
        use cvv2_keyring::wrapped::{self, KeyUse};
        let file = self.path("keys/store-keys.toml");
        let mut keys = wrapped::read(&file, "card store", &self.kbpk()).unwrap();
        assert_eq!(keys[0].key_use, KeyUse::Hmac);
        let index = keys.remove(0).key;
        let sealing = keys
            .into_iter()
            .map(|key| (KeyVersion::new(key.version.get()).unwrap(), key.key))
            .collect();
        StoreKeys::new(index, sealing).unwrap()
    }

    fn versions(&self) -> Vec<u8> {
        self.keys().versions().map(KeyVersion::number).collect()
    }

    /// Imports so many cards with one contract number each.
    fn fill(&self, cards: u32) {
        let header = "bank,contract_number,pan,expiry\n".to_owned();
        let row = |n| format!("NIC,K-{n},41234567{n:08},2701\n");
        let file = (0..cards).map(row).fold(header, |file, row| file + &row);
        self.cards(&["import", "-"], &file).done();
    }

    /// Every name in the store's folder.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

mod cards {
    use super::*;

    const CARD: &str = r#"{"bank": "NIC", "exid": "99984100148297467162",
        "contract_numbers": ["4123456789012349"], "pan": "4123456789012349",
        "plastics": [{"expiry": "2701", "sequence": 1}, {"expiry": "3001", "sequence": 2}]}"#;

    #[test]
    fn a_card_is_added_shown_masked_and_checked() {
        let store = Store::new();
        let added = store.cards(&["add"], CARD);
        assert_eq!(added.code, 0, "{}", added.err);
        assert!(added.out.contains("412345XXXXXX2349") && !added.out.contains(PAN));

        let shown = store.cards(&["show", "--bank", "NIC", "--exid", "99984100148297467162"], "");
        assert!(shown.code == 0 && shown.out.contains("412345XXXXXX2349"), "{}", shown.err);
        assert!(shown.out.contains("expiry 3001"));
        let words = ["show", "--bank", "NIC", "--contract-number", "-", "--json"];
        let shown = store.cards(&words, "4123456789012349\n").json();
        assert_eq!((&shown["found"], &shown["status"]), (&true.into(), &"active".into()));
        let other = store.cards(&["show", "--bank", "XXX", "--exid", "99984100148297467162"], "");
        assert_eq!(other.code, 1);

        let sound = store.cards(&["check"], "");
        assert_eq!(
            (sound.code, sound.out.as_str()),
            (0, "1 cards under 2 references, all sound\n")
        );
    }

    #[test]
    fn a_pan_is_not_taken_from_the_command_line() {
        let store = Store::new();
        let words = ["show", "--bank", "NIC", "--contract-number", "4111111111111111"];
        let refused = store.cards(&words, "");
        assert!(refused.code == 2 && refused.err.contains("standard input"), "{}", refused.err);
    }

    #[test]
    fn an_exid_is_minted_on_demand() {
        let store = Store::new();
        let card =
            r#"{"bank": "NIC", "pan": "4123456789012345", "plastics": [{"expiry": "2701"}]}"#;
        assert_eq!(store.cards(&["add"], card).code, 2, "nobody could find it");
        let added = store.cards(&["add", "--mint-exid", "1", "--json"], card).json();
        let exid = added["references"][0]["identifier"].as_str().unwrap();
        assert!(exid.starts_with("412345671") && exid.len() == 20);
        assert_eq!(store.cards(&["show", "--bank", "NIC", "--exid", exid], "").code, 0);
        let again = store.cards(&["add", "--mint-exid", "1", "--json"], card).json();
        assert_ne!(again["references"][0]["identifier"], exid, "one more for the same card");
    }

    #[test]
    fn bad_cards_are_refused_by_field_and_never_quoted() {
        let store = Store::new();
        for (change, told) in [
            (("\"2701\"", "\"0127\""), "plastics[0].expiry"),
            (("\"pan\": \"4123456789012349\"", "\"pan\": \"41234567890x\""), "pan: character 12"),
            (("\"NIC\"", "\"TOOLONG\""), "bank"),
            (("\"sequence\"", "\"number\""), "line "),
            (("4123456789012349\"]", "41X\"]"), "contract_numbers[0]"),
        ] {
            let refused = store.cards(&["add"], &CARD.replacen(change.0, change.1, 1));
            assert!(refused.code == 2 && refused.err.contains(told), "{told}: {}", refused.err);
            assert!(!refused.err.contains("4123456"), "{}", refused.err);
        }
        assert_eq!(store.cards(&["check"], "").out, "0 cards under 0 references, all sound\n");
    }

    #[test]
    fn good_rows_are_imported_and_bad_ones_reported_by_row_field_and_reason() {
        let store = Store::new();
        let file = store.file(
            "cards.csv",
            "bank,contract_number,pan,expiry,sequence,status\n\
             NIC,C-1,4123456789012345,2701,,\n\
             NIC,C-2,4123456789012346,2701 3001,1 2,active\n\
             NIC,C-3,412345678901234,1327,,\n\
             NIC,C-4,41234567890,2701,,\n\
             NIC,C-1,4123456789012347,2701,,\n\
             NIC,,4123456789012348,2701,,\n\
             NIC,C-5,4123456789012348,2701,,lots\n\
             NIC,C-6\n\
             NIC,C-7,5123456789012348,3012,,blocked\n",
        );
        let dry = store.cards(&["import", &file, "--dry-run", "--json"], "").json();
        assert_eq!((&dry["added"], &dry["refused"]), (&4.into(), &5.into()));

        let refused = store.directory.path().join("refused.csv");
        let words = ["import", &file, "--refused", refused.to_str().unwrap(), "--json"];
        let ran = store.cards(&words, "");
        assert_eq!(ran.code, 1, "{}", ran.err);
        let sum = ran.json();
        assert_eq!((&sum["added"], &sum["refused"]), (&3.into(), &6.into()), "{}", ran.err);
        let report = fs::read_to_string(&refused).unwrap();
        let starts: Vec<_> =
            report.lines().skip(1).map(|l| l.splitn(3, ',').take(2).collect::<Vec<_>>()).collect();
        for row in [
            ["4", "expiry"],
            ["5", "pan"],
            ["6", "contract_number"],
            ["7", "exid"],
            ["8", "status"],
            ["9", "row"],
        ] {
            assert!(starts.iter().any(|start| start == &row), "{row:?} in {report}");
        }
        assert!(!report.contains("41234567890"), "no card data in the report");
        let twice = store.cards(&words, "");
        assert!(twice.code == 2 && twice.err.contains("refused.csv"), "{}", twice.err);
        assert!(!ran.err.contains("41234567890"), "nor on standard error");
        assert_eq!(store.cards(&["check"], "").out, "3 cards under 3 references, all sound\n");

        let again = store.cards(&["import", &file, "--json"], "").json();
        assert_eq!((&again["added"], &again["replaced"]), (&0.into(), &3.into()));
    }

    #[test]
    fn headers_are_checked_and_standard_input_and_delimiters_taken() {
        let store = Store::new();
        for (text, told) in [
            ("bank,pan,expiry\n", "neither a column exid nor contract_number"),
            ("bank,pan,exid\n", "column expiry is missing"),
            ("bank;pan;expiry;exid\n", "is the delimiter right"),
            ("bank,pan,expiry,exid,pan\n", "twice"),
            ("", "column 1 of the header row"),
        ] {
            let ran = store.cards(&["import", "-"], text);
            assert!(ran.code == 2, "{text:?}");
            assert!(ran.err.contains(told) || text.is_empty(), "{told}: {}", ran.err);
        }
        let utf16: Vec<u8> = "bank,pan\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let file = store.directory.path().join("utf16.csv");
        fs::write(&file, utf16).unwrap();
        let ran = store.cards(&["import", file.to_str().unwrap()], "");
        assert!(ran.code == 2 && ran.err.contains("save it as UTF-8"), "{}", ran.err);
        let text = "\u{FEFF}Bank;PAN;Expiry;EXID\nNIC;4123456789012345;2701;99984100148297467162\n";
        let ran = store.cards(&["import", "-", "--delimiter", ";"], text);
        assert_eq!(ran.code, 0, "{}", ran.err);
    }

    #[test]
    fn a_store_does_not_open_under_other_keys_or_twice_or_where_there_is_none() {
        let store = Store::new();
        store.cards(&["init"], "").failed(2, "already");
        let other = Store::new();
        let (keys, kbpk) = (&other.place[3], &other.place[5]);
        let wrong = [("--store-keys", keys.as_str()), ("--kbpk-file", kbpk)];
        store.cards_with(&wrong, &["check"]).failed(2, "was written under the keys");
        store.cards_with(&wrong[..1], &["check"]).failed(2, "under another KBPK");
        store.cards_with(&wrong[1..], &["check"]).failed(2, "under another KBPK");
        store.cards_with(&[("--store", "/nowhere")], &["check"]).failed(2, "no card store");
        assert_eq!(cvv2(&["cards", "check"], "").code, 2);
    }
}

mod keys {
    use super::*;

    #[test]
    fn a_new_store_has_wrapped_keys_under_a_kbpk_that_lies_elsewhere() {
        let store = Store::nothing();
        store.cards(&["init"], "").failed(2, "kbpk");
        let beside = store.path("keys/kbpk");
        let beside = [("--kbpk-file", beside.to_str().unwrap())];
        store.cards_with(&beside, &["init", "--new-kbpk"]).failed(2, "whoever copies the folder");
        assert!(!store.path("cards").exists() && !store.path("keys/store-keys.toml").exists());

        let made = store.cards(&["init", "--new-kbpk", "--json"], "").done().json();
        assert_eq!((&made["keys_made"], &made["kbpk"]["made"]), (&json!(true), &json!(true)));
        let file = store.path("keys/store-keys.toml");
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o7777, 0o600);
        let text = store.text("keys/store-keys.toml");
        assert_eq!(text.matches("block = \"D0176").count(), 2, "{text}");

        let listed = store.cards(&["keys", "list", "--json"], "").done().json();
        assert_eq!(listed["kbpk_kcv"], made["kbpk"]["kcv"]);
        assert_eq!(listed["keys"][0]["id"], made["key_id"]);
        let of = |n: usize, field: &str| listed["keys"][n][field].clone();
        assert_eq!((of(0, "name"), of(0, "use")), ("index".into(), "hmac".into()));
        assert_eq!((of(1, "name"), of(1, "version")), ("sealing".into(), 1.into()));
        let told = store.cards(&["keys", "list"], "").done().out;
        assert!(told.contains(of(1, "id").as_str().unwrap()), "{told}");
        let clear = store.keys().to_hex();
        for place in [&text, &told] {
            let place = place.to_lowercase();
            assert!((0..112).all(|at| !place.contains(&clear[at..at + 16])));
        }
        // The keys serve another store's directory, too.
        let second = store.path("second");
        let second = [("--store", second.to_str().unwrap())];
        let made = store.cards_with(&second, &["init", "--json"]).done().json();
        assert_eq!(made["keys_made"], json!(false));
    }

    #[test]
    fn clear_keys_of_earlier_versions_are_taken_over_if_they_are_the_stores() {
        let store = Store::nothing();
        let keys = StoreKeys::generate().unwrap();
        drop(EmbeddedStore::create(store.path("cards"), &keys).unwrap());
        store.file(
            "kbpk",
            "cvv2-kbpk-1 aes-256 \
            88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6 233155",
        );
        let clear = store.file("clear", &keys.to_hex());
        let other = store.file("other", &StoreKeys::generate().unwrap().to_hex());
        let words = ["keys", "import", "--clear", &other];
        store.cards(&words, "").failed(2, "was written under the keys");
        assert!(!store.path("keys/store-keys.toml").exists());

        let words = ["keys", "import", "--clear", &clear, "--json"];
        let taken = store.cards(&words, "").done().json();
        let expected = (json!(true), json!([1]), json!(keys.id().to_string()));
        let of = |field: &str| taken[field].clone();
        assert_eq!((of("proved"), of("versions"), of("key_id")), expected);
        store.cards(&["check"], "").done();
        store.cards(&words, "").failed(2, "there is such a file");
        // A file that others may read is not taken.
        fs::set_permissions(&clear, fs::Permissions::from_mode(0o644)).unwrap();
        store.cards(&words, "").failed(2, "chmod 600");
        // In clear they open nothing any more.
        fs::set_permissions(&clear, fs::Permissions::from_mode(0o600)).unwrap();
        let beside = store.path("keys/clear");
        fs::copy(&clear, &beside).unwrap();
        let beside = [("--store-keys", beside.to_str().unwrap())];
        store.cards_with(&beside, &["check"]).failed(2, "line 1");
    }

    #[test]
    fn keys_go_under_another_kbpk_and_open_the_same_store() {
        let store = Store::new();
        store.fill(3);
        let before = store.cards(&["keys", "list", "--json"], "").json();
        let new = store.file(
            "kbpk-2",
            "cvv2-kbpk-1 aes-256 \
            88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6 233155",
        );
        let done = store.cards(&["rewrap", "--to-kbpk-file", &new, "--json"], "").done().json();
        assert_eq!(done["kbpk_kcv"], "233155");
        assert_eq!(done["previous_kbpk_kcv"], before["kbpk_kcv"]);
        store.cards(&["check"], "").failed(2, "under another KBPK");
        let with_new = [("--kbpk-file", new.as_str())];
        assert!(store.cards_with(&with_new, &["check"]).done().out.starts_with("3 cards"));
        let after = store.cards_with(&with_new, &["keys", "list", "--json"]).json();
        assert_eq!(after["keys"], before["keys"]);
        let previous = format!("{}.previous", store.place[3]);
        store.cards_with(&[("--store-keys", &previous)], &["check"]).done();
    }

    #[test]
    fn a_kbpk_of_128_bits_is_too_weak() {
        let store = Store::nothing();
        store.file("kbpk", "cvv2-kbpk-1 aes-128 88E1AB2A2E3DD38C1FA039A536500CC8 4E7037");
        store.cards(&["init"], "").failed(2, "takes a KBPK of aes-256");
        assert!(!store.path("cards").exists());
    }

    #[test]
    fn the_store_has_a_kbpk_of_its_own_or_that_of_the_keyring() {
        let store = Store::nothing();
        let kbpk = "cvv2-kbpk-1 aes-256 \
            88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6 233155";
        store.file("ring-kbpk", kbpk);
        let config = |store_kbpk: &str| {
            let text = format!(
                "[store]\npath = 'cards'\nkeys_file = 'keys/store-keys.toml'\n{store_kbpk}\n\
                 [caller]\nbanks = ['NIC']\n\
                 [keyring]\npath = 'keys/keyring.toml'\nkbpk = {{ file = 'ring-kbpk' }}\n"
            );
            store.file("cvv2.toml", &text)
        };
        let ran = |config: &str, words: &[&str]| {
            cvv2(&[&["cards", "--config", config, "--json"], words].concat(), "")
        };
        let shared = config("");
        assert_eq!(ran(&shared, &["init"]).done().json()["kbpk"]["kcv"], "233155");
        ran(&shared, &["init", "--new-kbpk"]).failed(2, "leave --new-kbpk out");

        // From the one to the other, by the configuration that comes next.
        let own = store.path("next.toml");
        fs::rename(config("kbpk = { file = 'kbpk' }"), &own).unwrap();
        let own = own.to_str().unwrap();
        store.file("kbpk", &format!("cvv2-kbpk-1 aes-256 {} D7899C", "0F1E2D3C".repeat(8)));
        let shared = config("");
        let moved = ran(&shared, &["rewrap", "--to-config", own]).done().json();
        assert_eq!(moved["kbpk_kcv"], "D7899C");
        ran(&shared, &["check"]).failed(2, "under another KBPK");
        ran(own, &["check"]).done();
    }

    #[test]
    #[cfg_attr(not(has_setsid), ignore = "setsid is not installed")]
    fn custodians_type_a_kbpk_once_for_the_store_and_the_keyring() {
        let store = Store::nothing();
        store.file(
            "kbpk",
            "cvv2-kbpk-1 aes-256 \
             88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6 233155",
        );
        store.cards(&["init"], "").done();
        let (keyring, kbpk) = (store.path("keys/keyring.toml"), &store.place[5]);
        let keyring = ["--keyring", keyring.to_str().unwrap(), "--kbpk-file", kbpk];
        cvv2(&[&["key", "init", "--existing-kbpk"], &keyring[..]].concat(), "").done();
        store.file(
            "cvv2.toml",
            "[store]\npath = 'cards'\nkeys_file = 'keys/store-keys.toml'\n\
             [caller]\nbanks = ['NIC']\n\
             [keyring]\npath = 'keys/keyring.toml'\n\
             kbpk = { custodians = 2, kcv = '233155' }\n",
        );
        store.file("request.json", "{}");

        let is_it = "Is it the one on your form? (yes/no)";
        let answers = [
            (
                "Component 1 of 2 (hidden):",
                "0F1E2D3C4B5A69788796A5B4C3D2E1F00F1E2D3C4B5A69788796A5B4C3D2E1F0",
            ),
            (is_it, "yes"),
            (
                "Component 2 of 2 (hidden):",
                "87FF86166567BAF498369C11F582ED38A76494EA669345798219022B87B79C16",
            ),
            (is_it, "yes"),
        ];
        // Where somebody was asked once more, nobody would answer.
        let get = ["timeout", "--foreground", "30", CVV2, "get", "request.json"];
        let get = [&get[..], &["--config", "cvv2.toml"]].concat();
        let (ran, _) = run_at_terminal(&get, store.directory.path(), &answers);
        assert!(ran.code == 2 && ran.out.contains("\"error_code\": \"101\""), "{ran:?}");
    }
}

mod status {
    use super::*;

    const CARD: &str = r#"{"bank": "NIC", "exid": "99984100148297467162",
        "contract_numbers": ["4123456789012345"], "pan": "4123456789012345",
        "plastics": [{"expiry": "2701", "sequence": 1}, {"expiry": "3001", "sequence": 1},
                     {"expiry": "3001", "sequence": 2}]}"#;

    fn store() -> Store {
        let store = Store::new();
        store.cards(&["add"], CARD).done();
        store
    }

    const BY_EXID: [&str; 4] = ["--bank", "NIC", "--exid", EXID];

    #[test]
    fn of_a_card_or_of_one_plastic_is_set() {
        let store = store();
        let set = |words: &[&str]| store.cards(&[&["status"], words, &BY_EXID].concat(), "");
        let told = set(&["lost"]).done().out;
        assert_eq!(told, "412345XXXXXX2345 of bank NIC was active and is lost\n");
        let told = set(&["stolen", "--expiry", "2701"]).done().out;
        let plastic = "plastic 1, expiry 2701 (YYMM), of 412345XXXXXX2345 of bank NIC";
        assert_eq!(told, format!("{plastic} was active and is stolen\n"));
        let told = set(&["blocked", "--expiry", "3001", "--sequence", "2", "--json"]).done().json();
        assert_eq!((&told["before"], &told["status"]), (&"active".into(), &"blocked".into()));
        assert_eq!(told["plastic"], json!({ "expiry": "3001", "sequence": 2 }));

        let shown = store.status(&[]);
        let statuses: Vec<_> =
            shown["plastics"].as_array().unwrap().iter().map(|p| p["status"].clone()).collect();
        assert_eq!(
            (&shown["status"], statuses),
            (&"lost".into(), vec!["stolen".into(), "active".into(), "blocked".into()])
        );
        store.cards(&["check"], "").done();

        set(&["active", "--sequence", "1"]).failed(2, "both --expiry and --sequence");
        set(&["active", "--sequence", "9"]).failed(2, "no such plastic");
        set(&["active", "--expiry", "1327"]).failed(2, "--expiry: ");
        set(&["expired"]).failed(2, "possible values");
        assert_eq!(store.status(&[]), shown);
    }

    #[test]
    fn needs_a_card() {
        let store = store();
        let words = ["status", "blocked", "--bank", "NIC", "--exid", "1", "--json"];
        let nobody = store.cards(&words, "");
        assert_eq!((nobody.code, nobody.json()), (1, json!({ "found": false })));
    }

    #[test]
    fn takes_a_contract_number_that_is_the_pan_from_standard_input_only() {
        let store = store();
        // It fails the Luhn check, so only the card tells that it is a PAN.
        for command in [&["status", "blocked"][..], &["show"]] {
            let words = [command, &["--bank", "NIC", "--contract-number", PAN]].concat();
            let refused = store.cards(&words, "").failed(2, "standard input");
            assert!(!refused.err.contains(PAN));
        }
        assert_eq!(store.status(&[])["status"], "active");
        let words = ["status", "blocked", "--bank", "NIC", "--contract-number", "-"];
        let set = store.cards(&words, &format!("{PAN}\n")).done();
        assert!(!set.out.contains(PAN), "{set:?}");
        assert_eq!(store.status(&[])["status"], "blocked");
    }

    #[test]
    #[cfg_attr(not(has_setsid), ignore = "setsid is not installed")]
    fn asks_at_a_terminal_and_shows_nothing_of_the_answer() {
        let store = store();
        let place: Vec<_> = store.place.iter().map(String::as_str).collect();
        let words = ["status", "closed", "--bank", "NIC", "--contract-number", "-"];
        let command = [&[CVV2, "cards"], &place[..], &words].concat();
        let answers = [("Contract number (hidden): ", PAN)];
        let (ran, screen) = run_at_terminal(&command, store.directory.path(), &answers);
        ran.done();
        assert!(!screen.contains(PAN), "{screen}");
        assert_eq!(store.status(&[])["status"], "closed");
    }
}

mod rotation {
    use super::*;

    #[test]
    fn seals_every_card_again_and_drops_the_old_key() {
        let store = Store::new();
        store.fill(50);
        let done = store.cards(&["rotate", "--json"], "").done().json();
        let rows = json!({ "version": 2, "rows": 100, "continued": false, "dropped": [1] });
        assert_eq!(done, rows);
        assert_eq!(store.versions(), [2]);
        assert!(store.cards(&["check"], "").done().out.starts_with("50 cards"));
        let again = store.cards(&["rotate", "--resume"], "").done();
        assert_eq!(again.out, "no rotation is under way\n");
        assert_eq!(store.versions(), [2]);
        store.cards(&["rotate"], "").done();
        assert_eq!(store.versions(), [3]);
    }

    #[test]
    fn is_prepared_first_where_readers_need_the_key() {
        let store = Store::new();
        store.fill(5);
        for _ in 0..2 {
            let prepared = store.cards(&["rotate", "--prepare", "--json"], "").done().json();
            assert_eq!(prepared, json!({ "version": 2, "prepared": true, "begun": false }));
            assert_eq!(store.versions(), [1, 2]);
        }
        // A reader with both keys reads on.
        let keys = store.keys();
        let done = store.cards(&["rotate", "--json"], "").done().json();
        assert_eq!((&done["version"], &done["continued"]), (&2.into(), &true.into()));
        drop(EmbeddedStore::open_read_only(store.path("cards"), &keys).unwrap());
        assert_eq!(store.versions(), [2]);
    }

    /// What is on disk after a kill between any two steps.
    #[test]
    fn is_finished_from_wherever_it_was_cut_short() {
        for resealed in [None, Some(0), Some(7), Some(1000)] {
            let store = Store::new();
            store.fill(20);
            store.cards(&["rotate", "--prepare"], "").done();
            if let Some(rows) = resealed {
                let keys = store.keys();
                let opened = EmbeddedStore::open(store.path("cards"), &keys).unwrap();
                opened.begin_rotation(KeyVersion::new(2).unwrap()).unwrap();
                if rows == 1000 {
                    while !opened.reseal(rows).unwrap().is_all() {}
                } else if rows > 0 {
                    assert!(!opened.reseal(rows).unwrap().is_all());
                }
                drop(opened);
                let told = store.cards(&["rotate", "--prepare", "--json"], "").done().json();
                assert_eq!((&told["version"], &told["begun"]), (&2.into(), &true.into()));
            }
            let words = if resealed == Some(7) { &["rotate", "--resume"][..] } else { &["rotate"] };
            store.cards(words, "").done();
            assert_eq!(store.versions(), [2], "{resealed:?}");
            assert!(store.cards(&["check"], "").done().out.starts_with("20 cards"));
        }
    }

    /// Kills at moments that the machine chooses; `CVV2_KILLS` says how many.
    #[test]
    fn loses_nothing_when_it_is_killed() {
        let store = Store::new();
        store.fill(2000);
        let kills = std::env::var("CVV2_KILLS").map_or(8, |kills| kills.parse().unwrap());
        let mut longest = Duration::from_millis(100);
        for kill in 0..kills {
            let mut words = vec!["cards"];
            words.extend(store.place.iter().map(String::as_str));
            words.push("rotate");
            let begun = Instant::now();
            let mut rotation = start(&words);
            thread::sleep(longest * (kill * 5 % 8) / 8);
            let has_ended = rotation.try_wait().unwrap().is_some();
            rotation.kill().unwrap();
            rotation.wait().unwrap();
            // So that the moments are spread over what it takes here.
            longest = if has_ended { begun.elapsed() } else { longest * 5 / 4 };
            assert!(store.cards(&["check"], "").done().out.starts_with("2000 cards"));
            assert!((1..=2).contains(&store.versions().len()));
        }
        store.cards(&["rotate", "--resume"], "").done();
        assert_eq!(store.versions().len(), 1);
        assert!(store.cards(&["check"], "").done().out.starts_with("2000 cards"));
    }

    #[test]
    fn changes_nothing_while_somebody_else_writes() {
        let store = Store::new();
        let writer = EmbeddedStore::open(store.path("cards"), &store.keys()).unwrap();
        for words in [&["rotate"][..], &["rotate", "--prepare"]] {
            store.cards(words, "").failed(2, "in use");
        }
        drop(writer);
        assert_eq!(store.versions(), [1]);
    }

    #[test]
    fn leaves_a_file_of_keys_that_opens_older_backups() {
        let store = Store::new();
        store.fill(5);
        let backup = store.path("backup");
        fs::create_dir(&backup).unwrap();
        copy(&store.path("cards"), &backup);
        store.cards(&["rotate"], "").done();
        let backup = [("--store", backup.to_str().unwrap())];
        store.cards_with(&backup, &["check"]).failed(2, "version 1");
        let previous = format!("{}.previous", store.place[3]);
        let with_previous = [backup[0], ("--store-keys", previous.as_str())];
        assert!(store.cards_with(&with_previous, &["check"]).done().out.starts_with("5 cards"));
    }

    fn copy(from: &std::path::Path, to: &std::path::Path) {
        fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.path().is_dir() {
                fs::create_dir(&to).unwrap();
                copy(&entry.path(), &to);
            } else {
                fs::copy(entry.path(), to).unwrap();
            }
        }
    }
}

mod export {
    use super::*;

    /// A recipient, and the file of its identity.
    fn recipient(store: &Store, name: &str) -> (String, String) {
        let identity = age::x25519::Identity::generate();
        let text = identity.to_string();
        let text = format!("# created: today\n\n{}\n", text.expose_secret());
        (identity.to_public().to_string(), store.file(name, &text))
    }

    /// Cards of two banks with all that a card can have.
    const CARDS: &str = "bank,pan,expiry,exid,contract_number,status,sequence,plastic_status\n\
        NIC,4123456789012345,2701 3001,99984100148297467162,C-1 4123456789012345,active,1 2,active lost\n\
        NIC,4123456789012345,2701 3001,99984100148297467170,\"C,2 C;3\",blocked,1 2,active lost\n\
        NIC,412345678901,9912,,\"\"\"C\"\"4\",stolen,255,closed\n\
        ELSE,4123456789012345,2701,99984100148297467162,,closed,0,active\n\
        ELSE,4123456789012345678,2701 2702 2703 2704,,'C5,lost,4 3 2 1,lost lost lost lost\n";

    fn full() -> Store {
        let store = Store::new();
        let filled = store.cards(&["import", "-", "--json"], CARDS).done().json();
        assert_eq!((&filled["added"], &filled["replaced"]), (&4.into(), &1.into()));
        store
    }

    /// What a store holds, in an order of its own.
    fn content(store: &Store) -> Vec<String> {
        let opened = EmbeddedStore::open_read_only(store.path("cards"), &store.keys()).unwrap();
        content_of(&opened)
    }

    fn content_of(store: &dyn cvv2_resolver::CardStore) -> Vec<String> {
        let mut cards = Vec::new();
        store
            .each_card(&mut |bank, refs, card| {
                let mut refs: Vec<_> =
                    refs.iter().map(|r| format!("{}={}", r.kind(), r.expose())).collect();
                refs.sort();
                let plastics: Vec<_> = card
                    .plastics()
                    .iter()
                    .map(|p| {
                        let (year, month) = (p.expiry().year_of_century(), p.expiry().month());
                        format!("{year:02}{month:02} {} {}", p.sequence(), p.status())
                    })
                    .collect();
                let pan = card.pan().expose();
                cards.push(format!("{bank} {pan} {} {refs:?} {plastics:?}", card.status()));
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        cards.sort();
        cards
    }

    #[test]
    fn goes_to_recipients_only_and_comes_back_as_it_was() {
        let store = full();
        let (one, one_file) = recipient(&store, "one");
        let (two, two_file) = recipient(&store, "two");
        let (_, other_file) = recipient(&store, "other");
        let sealed = store.path("export.age");
        let sealed = sealed.to_str().unwrap();
        let words = ["export", sealed, "--recipient", &one, "--recipient", &two, "--json"];
        let done = store.cards(&words, "").done().json();
        assert_eq!((&done["cards"], &done["recipients"]), (&4.into(), &2.into()));
        assert_eq!(fs::metadata(sealed).unwrap().permissions().mode() & 0o7777, 0o600);
        let bytes = fs::read(sealed).unwrap();
        assert!(bytes.starts_with(b"age-encryption.org/v1\n"));
        for clear in [PAN, "412345678901", EXID, "C-1", "NIC", "ELSE", "contract_number"] {
            assert!(!bytes.windows(clear.len()).any(|w| w == clear.as_bytes()), "{clear}");
        }

        let expected = content(&store);
        assert_eq!(expected.len(), 4);
        for identity in [&one_file, &two_file] {
            let other = Store::new();
            let words = ["import", sealed, "--identity", identity, "--json"];
            let ran = other.cards(&words, "").done().json();
            // A card with two EXIDs is two rows.
            assert_eq!((&ran["added"], &ran["replaced"]), (&4.into(), &1.into()));
            assert_eq!(content(&other), expected);
            other.cards(&["check"], "").done();
        }
        let words = ["import", sealed, "--identity", &other_file];
        Store::new().cards(&words, "").failed(2, "sealed to other recipients");
        store.cards(&["import", sealed], "").failed(2, "column 1 of the header row");
    }

    #[test]
    fn is_streamed_to_a_pipe_and_never_to_a_terminal() {
        let store = full();
        let (one, one_file) = recipient(&store, "one");
        let place: Vec<_> = store.place.iter().map(String::as_str).collect();
        let words = [&["cards"], &place[..], &["export", "-", "--recipient", &one]].concat();
        let piped = std::process::Command::new(CVV2).args(&words).output().unwrap();
        assert!(piped.status.success());
        assert_eq!(
            String::from_utf8_lossy(&piped.stderr),
            "cvv2: 4 cards, sealed to 1 recipients\n"
        );
        let sealed = store.path("piped.age");
        fs::write(&sealed, piped.stdout).unwrap();
        let other = Store::new();
        let words = ["import", sealed.to_str().unwrap(), "--identity", &one_file];
        other.cards(&words, "").done();
        assert_eq!(content(&other), content(&store));
    }

    #[test]
    #[cfg_attr(not(has_setsid), ignore = "setsid is not installed")]
    fn a_terminal_gets_nothing() {
        let store = full();
        let (one, _) = recipient(&store, "one");
        let command = format!(
            "'{CVV2}' cards {} export - --recipient {one} > /dev/tty",
            store.place.join(" ")
        );
        let (ran, screen) = run_at_terminal(&["sh", "-c", &command], store.directory.path(), &[]);
        ran.failed(2, "nothing to look at");
        assert!(!screen.contains("age-encryption"), "{screen}");
    }

    #[test]
    fn is_whole_or_not_there() {
        let store = full();
        let (one, _) = recipient(&store, "one");
        let names = store.names();
        let kept = store.file("kept", "kept");
        store.cards(&["export", &kept, "--recipient", &one], "").failed(2, "kept");
        assert_eq!(fs::read_to_string(&kept).unwrap(), "kept");
        fs::remove_file(&kept).unwrap();

        let new = store.path("new");
        let new = new.to_str().unwrap();
        store.cards(&["export", new], "").failed(2, "--recipient");
        for wrong in ["age1", "AGE-SECRET-KEY-1QQQQQQQQ", ""] {
            let refused = store.cards(&["export", new, "--recipient", wrong], "");
            assert!(refused.code == 2 && !refused.err.contains("QQQQ"), "{refused:?}");
        }
        // A file that may not grow breaks the export off.
        store.fill(4000);
        let place = store.place.join(" ");
        let command = format!("{CVV2} cards {place} export {new} --recipient {one}");
        let script = format!("trap '' XFSZ; ulimit -f 8; exec {command}");
        let broken = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        Ran::from(broken).failed(3, "new");
        assert_eq!(store.names(), names, "nothing is left behind");
    }

    #[test]
    fn a_changed_or_cut_export_stores_nothing() {
        let store = Store::new();
        // More than one chunk of age's, which are of 64 KiB.
        store.fill(4000);
        let (one, one_file) = recipient(&store, "one");
        let sealed = store.path("export.age");
        let sealed = sealed.to_str().unwrap();
        store.cards(&["export", sealed, "--recipient", &one], "").done();
        let whole = fs::read(sealed).unwrap();
        assert!(whole.len() > 100_000);
        let other = Store::new();
        let words = ["import", sealed, "--identity", &one_file];
        let mut changed = whole.clone();
        changed[90_000] ^= 1;
        for bytes in [&changed[..], &whole[..90_000], &whole[..whole.len() - 1], &whole[..100], b""]
        {
            fs::write(sealed, bytes).unwrap();
            let refused = other.cards(&words, "");
            assert!(refused.code == 2 && refused.out.is_empty(), "{refused:?}");
        }
        assert!(other.cards(&["check"], "").done().out.starts_with("0 cards"));
        fs::write(sealed, &whole).unwrap();
        other.cards(&words, "").done();
        assert_eq!(content(&other), content(&store));
        // An identity that others may read is not taken.
        fs::set_permissions(&one_file, fs::Permissions::from_mode(0o644)).unwrap();
        other.cards(&words, "").failed(2, "chmod 600");
        let none = store.file("none", "# nothing\n");
        other.cards(&["import", sealed, "--identity", &none], "").failed(2, "one X25519 identity");
    }
}
