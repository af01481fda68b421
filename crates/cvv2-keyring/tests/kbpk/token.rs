//! Tokens: `SoftHSM2` with a token of the test's own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use cvv2::key::{
    Exportability, Kbpk, KbpkAlgorithm, KeyBlock, KeyBlockHeader, KeyBlockVersion, ModeOfUse,
};
use cvv2::secret::Protection;
use cvv2::{CvkPair, ExpiryOrder, KcvMethod, Policy};
use tempfile::TempDir;

use super::child::{self, Child};
use super::{KCV, KEY};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const TOKEN: &str = "cvv2 test";
const PIN: &str = "246810";
/// A published CVK pair and its check value.
const CVK: &str = "0123456789ABCDEFFEDCBA9876543210";
const CVK_KCV: &str = "08D7B4";

/// A folder with tokens of `SoftHSM2`.
struct Tokens {
    folder: TempDir,
}

impl Tokens {
    /// One token, with a user's PIN.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::create_dir(path.join("tokens")).unwrap();
        let configuration = format!(
            "directories.tokendir = {}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n",
            path.display()
        );
        fs::write(path.join("softhsm2.conf"), configuration).unwrap();
        fs::write(path.join("pin"), format!("{PIN}\n")).unwrap();
        fs::set_permissions(path.join("pin"), fs::Permissions::from_mode(0o600)).unwrap();
        let tokens = Self { folder };
        tokens.add(TOKEN);
        tokens
    }

    fn add(&self, label: &str) {
        let ran = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", label, "--so-pin", "135791113"])
            .args(["--pin", PIN])
            .env("SOFTHSM2_CONF", self.path("softhsm2.conf"))
            .output()
            .expect("softhsm2-util can be run");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// A child that works with a key of the token.
    fn child(&self, act: &str, key: &str) -> Child {
        let pin = self.path("pin");
        self.child_with(act, key, &format!("pin_file = '{pin}'"))
    }

    /// The same, with another source of the PIN, or more members.
    fn child_with(&self, act: &str, key: &str, members: &str) -> Child {
        let source = format!("module = '{MODULE}', token = '{TOKEN}', key = '{key}'");
        Child::new(act, &format!("pkcs11 = {{ {source}, {members} }}"))
            .env("SOFTHSM2_CONF", self.path("softhsm2.conf"))
    }

    /// Puts a key into the token, made with these words: see [`import`].
    fn import(&self, label: &str, words: &str) {
        let said = self.child("import", label).argument(&format!("{label} {words}")).says();
        assert_eq!(said, ["imported"]);
    }

    fn says(&self, act: &str, key: &str) -> String {
        let said = self.child(act, key).says();
        assert_eq!(said.len(), 1, "{said:?}");
        said[0].clone()
    }
}

/// What a child does besides loading a source.
pub(crate) fn act(act: &str) {
    match act {
        "attributes" => attributes(),
        "generate" => child::generate_and_say(),
        "import" => import(),
        "load by four" => load_by_four(),
        "open" => open(),
        "seal" => seal(),
        _ => panic!("no such act: {act}"),
    }
}

#[test]
#[cfg_attr(not(has_softhsm2), ignore = "softhsm2 is not installed")]
fn a_key_in_a_token_opens_what_the_same_key_in_memory_seals_and_the_other_way() {
    let tokens = Tokens::new();
    for (algorithm, digits) in
        [(KbpkAlgorithm::Aes128, 32), (KbpkAlgorithm::Aes192, 48), (KbpkAlgorithm::Aes256, 64)]
    {
        let label = algorithm.name();
        tokens.import(label, &format!("known {}", digits / 2));
        let known = Kbpk::from_hex(algorithm, &KEY[..digits], Protection::Wiped).unwrap();
        assert_eq!(tokens.says("load", label), format!("kcv {}", known.kcv()));

        let sealed = sealed_cvk(&known).to_string();
        let said = tokens.child("open", label).argument(&sealed).says();
        assert_eq!(said, [format!("opened {CVK_KCV}")]);

        let sealed = tokens.says("seal", label);
        let block = KeyBlock::parse(sealed.strip_prefix("sealed ").unwrap()).unwrap();
        let cvk = CvkPair::from_key_block(&block, &known, ExpiryOrder::YyMm).unwrap();
        assert_eq!(cvk.kcv(KcvMethod::TdesZeros).to_string(), CVK_KCV);
    }
    // The check value that OpenSSL computes.
    assert_eq!(tokens.says("load", "aes-256"), format!("kcv {KCV}"));
}

#[test]
#[cfg_attr(not(has_softhsm2), ignore = "softhsm2 is not installed")]
fn a_key_made_in_the_token_stays_there_and_does_nothing_else() {
    let tokens = Tokens::new();
    let made = tokens.says("generate", "kbpk");
    assert!(made.starts_with("kcv "), "{made}");
    assert_eq!(tokens.says("load", "kbpk"), made);
    let others = tokens.says("generate", "other");
    assert_ne!(others, made);

    let sealed = tokens.says("seal", "kbpk");
    let sealed = sealed.strip_prefix("sealed ").unwrap();
    let open = |label: &str| tokens.child("open", label).argument(sealed).says();
    assert_eq!(open("kbpk"), [format!("opened {CVK_KCV}")]);
    assert!(open("other")[0].starts_with("error "));

    assert_eq!(
        tokens.child("attributes", "kbpk").says(),
        [
            "extractable false",
            "never extractable true",
            "sensitive true",
            "sign true",
            "other uses false",
            "value None",
        ]
    );

    let again = tokens.says("generate", "kbpk");
    assert!(again.contains("has a key kbpk already"), "{again}");
    assert_eq!(tokens.says("load", "kbpk"), made);
}

#[test]
#[cfg_attr(not(has_softhsm2), ignore = "softhsm2 is not installed")]
fn a_pin_comes_from_where_the_configuration_says() {
    let tokens = Tokens::new();
    tokens.import("kbpk", "known 32");
    let kcv = format!("kcv {KCV}");

    assert_eq!(tokens.child_with("load", "kbpk", "").typed(PIN).says(), [kcv.as_str()]);
    let nobody = tokens.child_with("load", "kbpk", "").says();
    assert!(nobody[0].contains("no terminal"), "{nobody:?}");

    let credential = tokens.child_with("load", "kbpk", "pin_credential = 'pin'");
    let said = credential.env("CREDENTIALS_DIRECTORY", tokens.folder.path()).says();
    assert_eq!(said, [kcv.as_str()]);

    let variable = tokens.child_with("load", "kbpk", "pin_environment = 'TOKEN_PIN'");
    let said = variable.env("TOKEN_PIN", PIN).says();
    assert_eq!(said[0], kcv);
    assert!(said[1].starts_with("warning the environment variable TOKEN_PIN"), "{said:?}");

    fs::set_permissions(tokens.path("pin"), fs::Permissions::from_mode(0o644)).unwrap();
    let said = tokens.says("load", "kbpk");
    assert!(said.contains("other users may open"), "{said}");
}

#[test]
#[cfg_attr(not(has_softhsm2), ignore = "softhsm2 is not installed")]
fn each_thing_that_is_wrong_has_an_error_of_its_own() {
    let tokens = Tokens::new();
    tokens.import("kbpk", "known 32");
    tokens.import("not for macs", "known 32 nosign");
    tokens.import("extractable", "known 32 extractable");
    tokens.import("readable", "known 32 readable");
    tokens.import("triple des", "tdes 24");
    tokens.import("generic", "generic 32");
    tokens.import("twice", "known 32");
    tokens.import("twice", "known 16");

    for (key, why) in [
        ("absent", "has no secret key absent"),
        ("not for macs", "CKA_SIGN"),
        ("extractable", "can be taken out of its token"),
        ("readable", "can be taken out of its token"),
        ("triple des", "no AES key"),
        ("generic", "no AES key"),
        ("twice", "several secret keys of the token have the label twice"),
    ] {
        let said = tokens.says("load", key);
        assert!(said.starts_with("error ") && said.contains(why), "{key}: {said}");
    }

    for pin in ["246811", "", "1", &"2".repeat(300)] {
        let said = tokens.child_with("load", "kbpk", "").typed(pin).says();
        assert!(said[0].contains("the PIN of the token cvv2 test is wrong"), "{said:?}");
        assert!(pin.len() < 4 || !said[0].contains(pin), "{said:?}");
    }

    let pin = tokens.path("pin");
    let kcv = |kcv: &str| format!("pin_file = '{pin}', kcv = '{kcv}'");
    let said = tokens.child_with("load", "kbpk", &kcv(KCV)).says();
    assert_eq!(said, [format!("kcv {KCV}")]);
    let said = tokens.child_with("load", "kbpk", &kcv("233156")).says();
    assert!(said[0].contains("233155, and 233156 is stated"), "{said:?}");
}

#[test]
#[cfg_attr(not(has_softhsm2), ignore = "softhsm2 is not installed")]
fn tokens_and_modules_that_are_not_there_are_named() {
    let tokens = Tokens::new();
    let pin = tokens.path("pin");
    let load = |module: &str, token: &str| {
        let source =
            format!("module = '{module}', token = '{token}', key = 'kbpk', pin_file = '{pin}'");
        Child::new("load", &format!("pkcs11 = {{ {source} }}"))
            .env("SOFTHSM2_CONF", tokens.path("softhsm2.conf"))
            .says()
    };
    let said = load(MODULE, "another");
    assert_eq!(said, ["error there is no token another; there are: cvv2 test"]);
    let said = load("/absent/libsofthsm2.so", TOKEN);
    assert!(said[0].contains("the PKCS#11 module cannot be loaded: /absent/"), "{said:?}");
    let said = load(&pin, TOKEN);
    assert!(said[0].contains("the PKCS#11 module cannot be loaded"), "{said:?}");
    let no_module = "/lib/x86_64-linux-gnu/libm.so.6";
    if Path::new(no_module).exists() {
        let said = load(no_module, TOKEN);
        assert!(said[0].contains("C_GetFunctionList"), "{said:?}");
    }

    tokens.add(TOKEN);
    let said = load(MODULE, TOKEN);
    assert!(said[0].contains("several tokens have the label cvv2 test"), "{said:?}");

    let empty = tempfile::tempdir().unwrap();
    fs::create_dir(empty.path().join("tokens")).unwrap();
    let configuration = empty.path().join("softhsm2.conf");
    let text = format!("directories.tokendir = {}/tokens\n", empty.path().display());
    fs::write(&configuration, text).unwrap();
    let said = tokens.child("load", "kbpk").env("SOFTHSM2_CONF", configuration).says();
    assert_eq!(said, ["error there is no token cvv2 test, and no other one"]);
}

#[test]
#[cfg_attr(not(has_softhsm2), ignore = "softhsm2 is not installed")]
fn threads_of_a_process_take_turns_at_the_token() {
    let tokens = Tokens::new();
    tokens.import("kbpk", "known 32");
    assert_eq!(tokens.child("load by four", "kbpk").says(), vec![format!("kcv {KCV}"); 4]);
}

fn sealed_cvk(kbpk: &Kbpk) -> KeyBlock {
    let cvk = CvkPair::from_hex(CVK, ExpiryOrder::YyMm, Policy::Strict).unwrap();
    let mode = ModeOfUse::GenerateAndVerify;
    let header = KeyBlockHeader::cvk(KeyBlockVersion::D, mode, Exportability::NonExportable);
    cvk.to_key_block(&header, kbpk, &[0x5A; CvkPair::KEY_BLOCK_PADDING_LEN]).unwrap()
}

/// Child: seals a CVK pair under the source's key.
fn seal() {
    match child::load() {
        Ok(loaded) => child::say(format_args!("sealed {}", sealed_cvk(&loaded.kbpk))),
        Err(error) => child::say(format_args!("error {error}")),
    }
}

/// Child: opens a CVK pair's block with the source's key.
fn open() {
    let loaded = child::load().unwrap();
    let block = KeyBlock::parse(&child::argument()).unwrap();
    match CvkPair::from_key_block(&block, &loaded.kbpk, ExpiryOrder::YyMm) {
        Ok(cvk) => child::say(format_args!("opened {}", cvk.kcv(KcvMethod::TdesZeros))),
        Err(error) => child::say(format_args!("error {error}")),
    }
}

fn load_by_four() {
    let threads = [(); 4].map(|()| thread::spawn(child::load_and_say));
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Child: puts a key of the test's into the token. The argument is its label, one of `known`,
/// `tdes` and `generic`, its length in bytes, and what is wrong with it: `nosign`, `extractable` or
/// `readable`.
fn import() {
    let argument = child::argument();
    let (known, rest) = ["known", "tdes", "generic"]
        .iter()
        .find_map(|kind| argument.split_once(&format!(" {kind} ")).map(|split| (kind, split)))
        .unwrap();
    let (label, words) = rest;
    let mut words = words.split(' ');
    let bytes: usize = words.next().unwrap().parse().unwrap();
    let flaw = words.next();
    let key: Vec<u8> = hex_bytes(KEY)[..bytes].to_vec();
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(match *known {
            "known" => KeyType::AES,
            "tdes" => KeyType::DES3,
            _ => KeyType::GENERIC_SECRET,
        }),
        Attribute::Label(label.as_bytes().to_vec()),
        Attribute::Value(key),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(flaw != Some("readable")),
        Attribute::Extractable(flaw == Some("extractable")),
        Attribute::Sign(flaw != Some("nosign")),
    ];
    as_user(|session| session.create_object(&template).unwrap());
    child::say("imported");
}

/// Child: what the token says of the key `kbpk`.
fn attributes() {
    as_user(|session| {
        let key = session.find_objects(&[Attribute::Label(b"kbpk".to_vec())]).unwrap()[0];
        let has = |attribute: Attribute| {
            let kind = attribute.attribute_type();
            session.get_attributes(key, &[kind]).unwrap() == [attribute]
        };
        child::say(format_args!("extractable {}", has(Attribute::Extractable(true))));
        child::say(format_args!("never extractable {}", has(Attribute::NeverExtractable(true))));
        child::say(format_args!("sensitive {}", has(Attribute::Sensitive(true))));
        child::say(format_args!("sign {}", has(Attribute::Sign(true))));
        let others = [
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
            Attribute::Wrap(true),
            Attribute::Unwrap(true),
            Attribute::Derive(true),
            Attribute::Verify(true),
        ];
        child::say(format_args!("other uses {}", others.into_iter().any(has)));
        let value = session.get_attributes(key, &[AttributeType::Value]).unwrap();
        child::say(format_args!("value {:?}", value.first()));
        let exported = session.encrypt(&Mechanism::AesEcb, key, &[0; 16]);
        assert!(exported.is_err(), "the key encrypts");
    });
}

/// Does something with the only token, as its user.
fn as_user<T>(act: impl FnOnce(&Session) -> T) -> T {
    let context = Pkcs11::new(MODULE).unwrap();
    context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let slot = context.get_slots_with_initialized_token().unwrap()[0];
    let session = context.open_rw_session(slot).unwrap();
    session.login(UserType::User, Some(&AuthPin::new(PIN.into()))).unwrap();
    act(&session)
}

fn hex_bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}
