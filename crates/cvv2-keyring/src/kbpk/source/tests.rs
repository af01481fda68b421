use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::ceremony::PromptError;
use crate::ceremony::script::Act::{self, Abort, Hidden, Shown};
use crate::ceremony::script::Script;

/// The protection key of a published key block, and two components of it.
const KEY: &str = "88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6";
const FIRST: &str = "DD726ED900ABA98388C89201E5A139FCD42B3A9E6F7C05028E1E09F98A8E2C56";
const SECOND: &str = "5593C5F32E967A0F9768ABA4D3F135347C51834842B529038B91AE66CEEB51B0";
// As OpenSSL computes them.
const KEY_KCV: &str = "233155";
const FIRST_KCV: &str = "6C75DD";
const SECOND_KCV: &str = "B86353";

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// Reads `kbpk = { … }` as a configuration has it.
fn source(members: &str) -> Result<KbpkSource, String> {
    #[derive(Deserialize)]
    struct Configuration {
        kbpk: KbpkSource,
    }
    let read: Result<Configuration, _> = toml::from_str(&format!("kbpk = {{ {members} }}"));
    read.map(|configuration| configuration.kbpk).map_err(|error| error.message().to_owned())
}

/// Loads from a source while somebody answers.
fn load(source: &KbpkSource, acts: &[Act]) -> Result<(LoadedKbpk, String), KbpkSourceError> {
    let mut script = Script::new(acts);
    let dir = tempfile::tempdir().unwrap();
    let loaded = source.load(&dir.path().join("keyring"), Protection::Wiped, &mut script)?;
    Ok((loaded, script.end()))
}

#[test]
fn every_source_is_read_from_a_configuration() {
    use KbpkAlgorithm::{Aes256, TdesDouble};

    let kcv = CheckValue::parse(KEY_KCV);
    let token = |pin, kcv| {
        let (module, token, key) = (MODULE.into(), "cvv2".to_owned(), "kbpk".to_owned());
        KbpkSource::Pkcs11(Pkcs11Source { module, token, key, pin, kcv })
    };
    for (members, expected) in [
        (
            "file = '/etc/kbpk'".to_owned(),
            KbpkSource::File { path: "/etc/kbpk".into(), beside_keyring: false },
        ),
        (
            "file = 'kbpk', beside_keyring = true".to_owned(),
            KbpkSource::File { path: "kbpk".into(), beside_keyring: true },
        ),
        ("credential = 'kbpk'".to_owned(), KbpkSource::Credential { name: "kbpk".into() }),
        ("environment = 'KBPK'".to_owned(), KbpkSource::Environment { name: "KBPK".into() }),
        (
            "custodians = 2".to_owned(),
            KbpkSource::Custodians { count: 2, algorithm: Aes256, kcv: None },
        ),
        (
            format!("custodians = 3, algorithm = 'tdes-double', kcv = '{KEY_KCV}'"),
            KbpkSource::Custodians { count: 3, algorithm: TdesDouble, kcv },
        ),
        (
            format!("pkcs11 = {{ module = '{MODULE}', token = 'cvv2', key = 'kbpk' }}"),
            token(PinSource::Asked, None),
        ),
        (
            format!(
                "pkcs11 = {{ module = '{MODULE}', token = 'cvv2', key = 'kbpk', \
                 pin_file = 'pin', kcv = '{KEY_KCV}' }}"
            ),
            token(PinSource::File("pin".into()), kcv),
        ),
        (
            format!(
                "pkcs11 = {{ module = '{MODULE}', token = 'cvv2', key = 'kbpk', \
                 pin_credential = 'pin' }}"
            ),
            token(PinSource::Credential("pin".into()), None),
        ),
        (
            format!(
                "pkcs11 = {{ module = '{MODULE}', token = 'cvv2', key = 'kbpk', \
                 pin_environment = 'PIN' }}"
            ),
            token(PinSource::Environment("PIN".into()), None),
        ),
    ] {
        assert_eq!(source(&members).as_ref(), Ok(&expected), "{members}");
    }
}

#[test]
fn a_token_may_have_a_table_of_its_own() {
    #[derive(Deserialize)]
    struct Configuration {
        kbpk: KbpkSource,
    }
    let table = format!("[kbpk.pkcs11]\nmodule = '{MODULE}'\ntoken = 'cvv2'\nkey = 'kbpk'\n");
    let inline = format!("pkcs11 = {{ module = '{MODULE}', token = 'cvv2', key = 'kbpk' }}");
    let read: Configuration = toml::from_str(&table).unwrap();
    assert_eq!(Ok(read.kbpk), source(&inline));
}

#[test]
fn a_source_that_is_none_or_two_is_refused() {
    let pkcs11 = "token = 'cvv2', key = 'kbpk'";
    for (members, why) in [
        ("", "one source"),
        ("file = '/a', credential = 'a'", "one source"),
        ("beside_keyring = true", "one source"),
        ("file = '/a', kcv = '233155'", "for custodians"),
        ("credential = 'a', algorithm = 'aes-256'", "for custodians"),
        ("environment = 'A', beside_keyring = true", "for a file"),
        ("custodians = 1", "two or three"),
        ("custodians = 4", "two or three"),
        ("custodians = 2, kcv = '23315'", "six hexadecimal digits"),
        ("custodians = 2, algorithm = 'aes'", "one of tdes-double, tdes-triple, aes-128"),
        ("key = 'a'", "unknown field"),
        ("file = '/a', mode = 'a'", "unknown field"),
        (&format!("pkcs11 = {{ module = 'lib.so', {pkcs11} }}"), "absolute path"),
        (&format!("pkcs11 = {{ module = '{MODULE}', {pkcs11}, pin = '1234' }}"), "unknown field"),
        (
            &format!(
                "pkcs11 = {{ module = '{MODULE}', {pkcs11}, pin_file = 'a', pin_credential = 'a' }}"
            ),
            "give one of",
        ),
        (&format!("pkcs11 = {{ module = '{MODULE}', {pkcs11}, kcv = '' }}"), "six hexadecimal"),
        ("pkcs11 = { module = '/a', token = 'a' }", "missing field"),
    ] {
        let error = source(members).unwrap_err();
        assert!(error.contains(why), "{members}: {error}");
    }
}

#[test]
fn a_key_in_the_configuration_is_refused_and_not_repeated() {
    let line = format!("cvv2-kbpk-1 aes-256 {KEY} 233155");
    for field in ["file", "credential", "environment"] {
        for key in [KEY, &KEY[..32], &line] {
            let error = source(&format!("{field} = '{key}'")).unwrap_err();
            assert!(error.contains("where the secret is"), "{error}");
            assert!(!error.contains(&KEY[..8]), "{error}");
        }
    }
    source("file = 'deadbeefdeadbeef-0123456789abcdef'").unwrap();
    source(&format!("file = '/{}/kbpk'", "0123456789abcdef".repeat(4))).unwrap();
}

#[test]
fn relative_paths_count_from_the_configurations_folder() {
    let folder = Path::new("/etc/cvv2");
    let moved = |members: &str| source(members).unwrap().relative_to(folder);
    assert_eq!(moved("file = '../kbpk'"), source("file = '/etc/cvv2/../kbpk'").unwrap());
    assert_eq!(moved("file = '/a'"), source("file = '/a'").unwrap());
    assert_eq!(moved("credential = 'a'"), source("credential = 'a'").unwrap());
    let token = |pin: &str| {
        format!("pkcs11 = {{ module = '{MODULE}', token = 'a', key = 'b', pin_file = '{pin}' }}")
    };
    assert_eq!(moved(&token("pin")), source(&token("/etc/cvv2/pin")).unwrap());
}

#[test]
fn a_file_is_loaded_if_it_is_private_and_away_from_the_keyring() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kbpk");
    fs::write(&path, format!("cvv2-kbpk-1 aes-256 {KEY} {KEY_KCV}\n")).unwrap();
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    let file = |beside_keyring| KbpkSource::File { path: path.clone(), beside_keyring };

    mode(0o600);
    let (loaded, _) = load(&file(false), &[]).unwrap();
    assert_eq!(loaded.kbpk.kcv().to_string(), KEY_KCV);
    assert_eq!(loaded.warnings, []);

    let keyring = dir.path().join("keyring.toml");
    let mut nobody = Script::new(&[]);
    let refused = file(false).load(&keyring, Protection::Wiped, &mut nobody).unwrap_err();
    assert!(matches!(refused, KbpkSourceError::BesideKeyring { .. }));
    assert!(refused.to_string().contains("beside_keyring = true"), "{refused}");
    let loaded = file(true).load(&keyring, Protection::Wiped, &mut nobody).unwrap();
    assert_eq!(loaded.warnings, [KbpkWarning::BesideKeyring { path: path.clone() }]);

    mode(0o640);
    assert!(matches!(load(&file(false), &[]), Err(KbpkSourceError::File(_))));
    mode(0o600);
    fs::write(&path, format!("cvv2-kbpk-1 aes-256 {KEY} 233156\n")).unwrap();
    let error = load(&file(false), &[]).unwrap_err().to_string();
    assert!(error.starts_with(path.to_str().unwrap()), "{error}");
    assert!(error.contains("233156 is stated") && !error.contains(&KEY[..8]), "{error}");
}

#[test]
fn a_key_is_made_in_a_file_and_nowhere_that_brings_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let keyring = dir.path().join("ring").join("keyring.toml");
    fs::create_dir(dir.path().join("ring")).unwrap();
    let file = KbpkSource::File { path: dir.path().join("kbpk"), beside_keyring: false };
    let generate =
        |source: &KbpkSource| source.generate(&keyring, Protection::Wiped, &mut Script::new(&[]));
    let made = generate(&file).unwrap();
    let (loaded, _) = load(&file, &[]).unwrap();
    assert_eq!(loaded.kbpk.kcv(), made.kbpk.kcv());

    let beside = KbpkSource::File { path: keyring.with_file_name("kbpk"), beside_keyring: false };
    assert!(matches!(generate(&beside), Err(KbpkSourceError::BesideKeyring { .. })));
    for members in ["credential = 'a'", "environment = 'A'", "custodians = 2"] {
        let refused = generate(&source(members).unwrap());
        assert!(matches!(refused, Err(KbpkSourceError::NotMadeThere)), "{members}");
    }
}

#[test]
fn custodians_make_the_key_together() {
    let yes = Shown("yes");
    let two = source("custodians = 2").unwrap();
    let acts = [Hidden(FIRST), yes, Hidden(SECOND), yes, yes];
    let (loaded, screen) = load(&two, &acts).unwrap();
    assert_eq!(loaded.kbpk.kcv().to_string(), KEY_KCV);
    assert_eq!(loaded.kbpk.algorithm(), KbpkAlgorithm::Aes256);
    for part in ["KBPK", "aes-256", "64 hexadecimal digits", FIRST_KCV, SECOND_KCV, KEY_KCV] {
        assert!(screen.contains(part), "{part}: {screen}");
    }

    let known = source(&format!("custodians = 2, kcv = '{KEY_KCV}'")).unwrap();
    let (_, screen) = load(&known, &acts[..4]).unwrap();
    assert!(screen.contains("as expected"), "{screen}");
    let another = source(&format!("custodians = 2, kcv = '{FIRST_KCV}'")).unwrap();
    let error = load(&another, &acts[..4]).unwrap_err().to_string();
    assert!(error.contains(KEY_KCV) && error.contains(FIRST_KCV), "{error}");

    let aborted = load(&two, &[Hidden(FIRST), yes, Abort]).unwrap_err();
    assert_eq!(aborted.to_string(), PromptError::Aborted.to_string());
}

#[test]
fn custodians_of_a_triple_des_key_see_the_check_values_of_their_forms() {
    // Two components of vectors/component.json, and what OpenSSL makes of them.
    let (first, second) = ("137A2C25C198E3EAA76161B99BA4C267", "D5BFAD649E4CC43D023151DFC2791CE5");
    let yes = Shown("yes");
    let source = source("custodians = 2, algorithm = 'tdes-double'").unwrap();
    let (loaded, screen) = load(&source, &[Hidden(first), yes, Hidden(second), yes, yes]).unwrap();
    for kcv in ["38EECD", "09A2B8", "D5BE96"] {
        assert!(screen.contains(kcv), "{screen}");
    }
    assert_eq!(loaded.kbpk.kcv_tdes_zeros().unwrap().to_string(), "D5BE96");
}

#[test]
fn memory_is_as_protected_as_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kbpk");
    let file = KbpkSource::File { path, beside_keyring: true };
    let custodians = source(&format!("custodians = 2, kcv = '{KEY_KCV}'")).unwrap();
    let acts = [Hidden(FIRST), Shown("yes"), Hidden(SECOND), Shown("yes")];
    let keyring = dir.path().join("keyring.toml");

    let strongest = Protection::strongest();
    let made = file.generate(&keyring, strongest, &mut Script::new(&[])).unwrap();
    let loaded = file.load(&keyring, strongest, &mut Script::new(&[])).unwrap();
    let typed = custodians.load(&keyring, strongest, &mut Script::new(&acts)).unwrap();
    for key in [made, loaded, typed] {
        assert!(key.kbpk.protection() >= strongest, "{:?}", key.kbpk);
    }
}

#[cfg(not(feature = "pkcs11"))]
#[test]
fn a_token_needs_a_program_that_was_built_for_it() {
    let members = format!("pkcs11 = {{ module = '{MODULE}', token = 'a', key = 'b' }}");
    let refused = load(&source(&members).unwrap(), &[]);
    assert!(matches!(refused, Err(KbpkSourceError::Pkcs11NotBuilt)));
}

#[test]
fn warnings_say_what_to_do() {
    let text = KbpkWarning::Environment { name: "KBPK".to_owned() }.to_string();
    assert!(text.contains("KBPK") && text.contains("/proc/PID/environ"), "{text}");
    let text = KbpkWarning::BesideKeyring { path: "/a/kbpk".into() }.to_string();
    assert!(text.starts_with("/a/kbpk: "), "{text}");
}
