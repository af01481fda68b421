//! What a file of wrapped keys holds, and what it refuses.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use cvv2::key::{KbpkAlgorithm, KeyBlockError, KeyUsage};
use cvv2::secret::Protection;
use tempfile::TempDir;

use super::*;
use crate::LoadCause;

const PURPOSE: &str = "card store";

struct Home {
    folder: TempDir,
    kbpk: Kbpk,
}

impl Home {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), kbpk: kbpk("0F1E2D3C") }
    }

    /// A file with an HMAC key and two versions of an encryption key.
    fn with_keys() -> Self {
        let home = Self::new();
        create(&home.path(), PURPOSE, &keys(), &home.kbpk).unwrap();
        home
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("store.keys")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    /// Why the file is refused with a text of its own.
    fn refusal(&self, text: &str) -> LoadError {
        fs::write(self.path(), text).unwrap();
        match read(&self.path(), PURPOSE, &self.kbpk) {
            Err(WrappedError::Load { error, .. }) => error,
            other => panic!("{other:?}: {text}"),
        }
    }
}

fn kbpk(part: &str) -> Kbpk {
    Kbpk::from_hex(KbpkAlgorithm::Aes256, &part.repeat(8), Protection::Wiped).unwrap()
}

fn key(name: &str, version: u8, key_use: KeyUse, byte: u8) -> NamedKey {
    let (name, version) = (Token::parse(name).unwrap(), NonZeroU8::new(version).unwrap());
    NamedKey::copied(name, version, key_use, &[byte; 32], &kbpk("0F1E2D3C")).unwrap()
}

fn keys() -> [NamedKey; 3] {
    [
        key("index", 1, KeyUse::Hmac, 0xA1),
        key("sealing", 1, KeyUse::Encryption, 0xB2),
        key("sealing", 0xC4, KeyUse::Encryption, 0xC3),
    ]
}

/// The fields of the key that is the `nth` of a file, by name.
fn field(text: &str, nth: usize, name: &str) -> String {
    let table = text.split("[[key]]").nth(nth + 1).unwrap();
    let line = table.lines().find_map(|line| line.strip_prefix(&format!("{name} = "))).unwrap();
    line.to_owned()
}

#[track_caller]
fn assert_equal(one: &[NamedKey], other: &[NamedKey]) {
    assert_eq!(one.len(), other.len());
    for (one, other) in one.iter().zip(other) {
        assert_eq!(
            (&one.name, one.version, one.key_use),
            (&other.name, other.version, other.key_use)
        );
        assert_eq!(*one.key, *other.key);
    }
}

#[test]
fn what_was_wrapped_is_read_and_nothing_of_it_is_in_the_file() {
    let home = Home::with_keys();
    let read = read(&home.path(), PURPOSE, &home.kbpk).unwrap();
    assert_equal(&read, &keys());
    assert_eq!(fs::metadata(home.path()).unwrap().permissions().mode() & 0o7777, 0o600);
    let text = home.text().to_uppercase();
    for byte in ["A1", "B2", "C3"] {
        assert!(!text.contains(&byte.repeat(4)), "{text}");
    }
    for key in &read {
        let shown = format!("{key:?}");
        assert!(!shown.contains("161") && !shown.contains("A1A1"), "{shown}");
    }
    // An existing file stays.
    let again = create(&home.path(), PURPOSE, &keys(), &home.kbpk);
    assert!(matches!(again, Err(WrappedError::File(_))));
}

#[test]
fn a_block_says_what_its_key_may_be_used_for() {
    let home = Home::with_keys();
    for (nth, start) in
        [(0, "\"D0176M7HC01N0310"), (1, "\"D0176D0AB01N0210"), (2, "\"D0176D0ABC4N0210")]
    {
        let block = field(&home.text(), nth, "block");
        assert!(block.starts_with(start), "{block}");
    }
    let text = home.text();
    assert!(text.contains("LB14card store/index") && text.contains("HM0621"), "{text}");
}

/// Computed by OpenSSL and by Python's `hmac`.
#[test]
fn ids_and_check_values_are_those_of_other_programs() {
    let bytes = std::array::from_fn(|i| u8::try_from(i).unwrap());
    let of = |key_use| {
        let name = Token::parse("key").unwrap();
        let key = NamedKey::copied(name, FIRST, key_use, &bytes, &kbpk("0F1E2D3C")).unwrap();
        (key.id(PURPOSE), key.check_value().unwrap().to_string())
    };
    assert_eq!(of(KeyUse::Hmac), ("412BC71B".into(), "D38B42".into()));
    assert_eq!(of(KeyUse::Encryption), ("412BC71B".into(), "377822".into()));
}

#[test]
fn a_line_is_not_exchanged_for_another() {
    let home = Home::with_keys();
    let text = home.text();
    let exchanged = |name: &str, one: usize, other: usize| {
        let (a, b) = (field(&text, one, name), field(&text, other, name));
        text.replace(&a, "@").replace(&b, &a).replace('@', &b)
    };
    // Two versions, and two keys of different use.
    let error = home.refusal(&exchanged("block", 1, 2));
    assert_eq!((error.field, &error.cause), (Some("block"), &LoadCause::OtherLine));
    let error = home.refusal(&exchanged("block", 0, 1));
    let usage = LoadCause::Block(KeyBlockError::Usage { wanted: KeyUsage::HMAC });
    assert_eq!((error.field, &error.cause), (Some("block"), &usage));
    for name in ["id", "kcv"] {
        let error = home.refusal(&exchanged(name, 1, 2));
        assert_eq!((error.field, &error.cause), (Some(name), &LoadCause::KcvMismatch));
    }
    for (from, to) in [("name = \"index\"", "name = \"chain\""), ("version = 196", "version = 3")] {
        let error = home.refusal(&text.replace(from, to));
        assert_eq!((error.field, &error.cause), (Some("block"), &LoadCause::OtherLine), "{to}");
    }
}

#[test]
fn a_block_of_another_purpose_is_refused() {
    let home = Home::with_keys();
    let other = home.folder.path().join("other");
    create(&other, "audit log", &keys(), &home.kbpk).unwrap();
    let theirs = fs::read_to_string(&other).unwrap();
    let error = home.refusal(&theirs);
    assert_eq!(error.cause, LoadCause::OtherPurpose { purpose: PURPOSE });
    let error = home.refusal(&theirs.replace("\"audit log\"", "\"card store\""));
    assert_eq!((error.field, error.cause), (Some("block"), LoadCause::OtherLine));
}

#[test]
fn a_changed_block_and_a_wrong_kbpk_are_refused() {
    let home = Home::with_keys();
    let text = home.text();
    let block = field(&text, 1, "block");
    let last = block.len() - 2;
    let digit = if &block[last..=last] == "0" { "1" } else { "0" };
    let changed = format!("{}{digit}\"", &block[..last]);
    let error = home.refusal(&text.replace(&block, &changed));
    assert_eq!(error.cause, LoadCause::Block(KeyBlockError::Authentication));

    fs::write(home.path(), &text).unwrap();
    let other = kbpk("3C2D1E0F");
    let refused = read(&home.path(), PURPOSE, &other);
    let Err(WrappedError::Load { error, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!((error.field, error.cause), (Some("kbpk_kcv"), LoadCause::OtherKbpk));
    // Nor does it help to say that the KBPK is another.
    let error = home.refusal(&text.replace(&home.kbpk.kcv().to_string(), &other.kcv().to_string()));
    assert_eq!(error.cause, LoadCause::OtherKbpk);
}

#[test]
fn a_text_that_is_not_in_order_is_refused_by_line_and_field() {
    let home = Home::with_keys();
    let text = home.text();
    for (from, to, line, field) in [
        ("format = 1", "format = 2", 3, Some("format")),
        ("version = 196", "version = 0", 25, Some("version")),
        ("version = 196", "version = 256", 25, Some("version")),
        ("version = 196", "version = 0x4", 25, Some("version")),
        ("use = \"hmac\"", "use = \"HMAC\"", 10, Some("use")),
        ("use = \"hmac\"", "use = \"hmac\"\nmore = 1", 11, None),
        ("name = \"index\"", "name = \"In\"", 8, Some("name")),
        ("\nid = \"", "\nid = \"0", 11, Some("id")),
        ("\nkcv = \"", "\nkcv = \"0", 12, Some("kcv")),
        ("block = \"D", "block = \"X", 13, Some("block")),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        let error = home.refusal(&changed);
        assert_eq!((error.line, error.field), (line, field), "{to}: {error}");
    }
    let error = home.refusal(&text.replace("version = 196", "version = 1"));
    assert_eq!((error.line, error.cause), (23, LoadCause::Repeated { line: 15 }));
}

#[test]
fn what_no_file_can_hold_is_refused_before_there_is_one() {
    let home = Home::new();
    let twice = [key("a", 1, KeyUse::Hmac, 1), key("a", 1, KeyUse::Encryption, 2)];
    let refused = create(&home.path(), PURPOSE, &twice, &home.kbpk);
    assert!(matches!(refused, Err(WrappedError::Refused(_))), "{refused:?}");
    for algorithm in [KbpkAlgorithm::Aes128, KbpkAlgorithm::TdesDouble] {
        let weaker =
            Kbpk::from_hex(algorithm, "89E88CF7931444F334BD7547FC3F380C", Protection::Wiped);
        let refused = create(&home.path(), PURPOSE, &keys(), &weaker.unwrap());
        assert!(matches!(refused, Err(WrappedError::Seal(_))), "{refused:?}");
    }
    let zeros = create(&home.path(), PURPOSE, &[key("a", 1, KeyUse::Encryption, 0)], &home.kbpk);
    assert!(matches!(zeros, Err(WrappedError::Key(_))), "{zeros:?}");
    assert_eq!(fs::read_dir(home.folder.path()).unwrap().count(), 0);
}

#[test]
fn a_file_is_replaced_as_a_whole_and_under_another_kbpk() {
    let home = Home::with_keys();
    let before = home.text();
    let other = kbpk("3C2D1E0F");
    let (locked, read_locked) = LockedKeys::open(&home.path(), PURPOSE, &home.kbpk).unwrap();
    assert_equal(&read_locked, &keys());
    let second = LockedKeys::open(&home.path(), PURPOSE, &home.kbpk);
    assert!(matches!(second, Err(WrappedError::File(_))), "{second:?}");
    let fewer = &keys()[..2];
    locked.replace(fewer, &other).unwrap();

    assert_equal(&read(&home.path(), PURPOSE, &other).unwrap(), fewer);
    assert!(read(&home.path(), PURPOSE, &home.kbpk).is_err());
    let previous = home.folder.path().join("store.keys.previous");
    assert_eq!(fs::read_to_string(&previous).unwrap(), before);
    assert_equal(&read(&previous, PURPOSE, &home.kbpk).unwrap(), &keys());
}
