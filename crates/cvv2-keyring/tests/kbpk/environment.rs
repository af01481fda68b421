//! Environment variables and credentials.

use cvv2_keyring::SecretText;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::child::Child;
use super::{KCV, KEY};

fn line() -> String {
    format!("cvv2-kbpk-1 aes-256 {KEY} {KCV}\n")
}

#[test]
fn a_variable_is_taken_with_a_warning() {
    let said = Child::new("load", "environment = 'CVV2_KBPK'").env("CVV2_KBPK", line()).says();
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(said[0], format!("kcv {KCV}"));
    assert!(said[1].starts_with("warning the environment variable CVV2_KBPK"), "{said:?}");
}

#[test]
fn a_variable_that_is_not_there_or_no_key_is_refused() {
    let child = || Child::new("load", "environment = 'CVV2_KBPK'");
    let said = child().says();
    assert_eq!(said, ["error the environment variable CVV2_KBPK is not set"]);
    let said = child().env("CVV2_KBPK", KEY).says();
    assert!(said[0].starts_with("error environment variable CVV2_KBPK: not a KBPK"), "{said:?}");
    let said = child().env("CVV2_KBPK", "0".repeat(SecretText::LEN_MAX + 1)).says();
    assert!(said[0].contains("too long"), "{said:?}");
}

#[test]
fn a_credential_is_read_as_systemd_leaves_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cvv2.kbpk");
    let says = |mode: u32, content: &str| {
        let _ = fs::remove_file(&path);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        Child::new("load", "credential = 'cvv2.kbpk'")
            .env("CREDENTIALS_DIRECTORY", dir.path())
            .says()
    };
    assert_eq!(says(0o400, &line()), [format!("kcv {KCV}")]);

    let said = says(0o444, &line());
    assert!(said[0].contains("other users may open this key file"), "{said:?}");
    let said = says(0o400, "a token of another service");
    assert!(said[0].starts_with("error credential cvv2.kbpk: not a KBPK"), "{said:?}");
}

#[test]
fn a_credential_that_was_not_passed_on_is_missed() {
    let child = || Child::new("load", "credential = 'kbpk'");
    let said = child().says();
    assert!(said[0].starts_with("error $CREDENTIALS_DIRECTORY is not set"), "{said:?}");
    let dir = tempfile::tempdir().unwrap();
    let said = child().env("CREDENTIALS_DIRECTORY", dir.path()).says();
    assert!(said[0].contains("kbpk: No such file"), "{said:?}");
}
