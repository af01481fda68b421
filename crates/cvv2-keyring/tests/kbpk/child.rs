//! A process of its own: this test program again, told by its environment what to do.
#![cfg_attr(not(feature = "pkcs11"), allow(dead_code, reason = "some is for tokens only"))]

use std::env;
use std::ffi::OsStr;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::Command;

use cvv2::secret::Protection;
use cvv2_keyring::SecretText;
use cvv2_keyring::ceremony::{Prompt, PromptError};
use cvv2_keyring::kbpk::{KbpkSource, KbpkSourceError, LoadedKbpk};
use serde::Deserialize;

/// Names the act of the child, and what it works on.
const ACT: &str = "CVV2_TEST_ACT";
const SOURCE: &str = "CVV2_TEST_SOURCE";
const ARGUMENT: &str = "CVV2_TEST_ARGUMENT";
/// The secret that is typed where one is asked for.
const TYPED: &str = "CVV2_TEST_TYPED";
/// What the lines start with that the child has to say.
const MARK: &str = "child: ";

/// A child that is being prepared.
pub(crate) struct Child {
    command: Command,
}

impl Child {
    /// A child that does something with the source that these members of a configuration name.
    pub(crate) fn new(act: &str, members: &str) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(["--exact", "child::acts", "--ignored", "--nocapture"])
            .env_remove("CREDENTIALS_DIRECTORY")
            .env(ACT, act)
            .env(SOURCE, format!("kbpk = {{ {members} }}"));
        Self { command }
    }

    pub(crate) fn argument(self, value: &str) -> Self {
        self.env(ARGUMENT, value)
    }

    pub(crate) fn typed(self, secret: &str) -> Self {
        self.env(TYPED, secret)
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// What the child has to say, line by line. It says nothing of the key.
    pub(crate) fn says(mut self) -> Vec<String> {
        let output = self.command.output().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        for shown in [&out, &err] {
            for part in [&super::KEY[..8], &super::KEY[56..]] {
                assert!(!shown.contains(part), "{shown}");
            }
        }
        assert!(output.status.success(), "{out}\n{err}");
        out.lines().filter_map(|line| line.split_once(MARK)).map(|(_, said)| said.into()).collect()
    }
}

/// Says something to the parent.
pub(crate) fn say(what: impl Display) {
    println!("{MARK}{what}");
}

/// Loads the source of the child.
pub(crate) fn load() -> Result<LoadedKbpk, KbpkSourceError> {
    source().load(&keyring(), Protection::Wiped, &mut Typist)
}

/// Loads the source of the child, and says what comes of it.
pub(crate) fn load_and_say() {
    tell(load());
}

/// Makes a key for the source of the child, and says what comes of it.
pub(crate) fn generate_and_say() {
    tell(source().generate(&keyring(), Protection::Wiped, &mut Typist));
}

/// The argument that the parent gave.
pub(crate) fn argument() -> String {
    env::var(ARGUMENT).unwrap()
}

fn tell(loaded: Result<LoadedKbpk, KbpkSourceError>) {
    match loaded {
        Ok(loaded) => {
            say(format_args!("kcv {}", loaded.kbpk.kcv()));
            for warning in loaded.warnings {
                say(format_args!("warning {warning}"));
            }
        }
        Err(error) => say(format_args!("error {error}")),
    }
}

fn source() -> KbpkSource {
    #[derive(Deserialize)]
    struct Configuration {
        kbpk: KbpkSource,
    }
    let text = env::var(SOURCE).unwrap();
    toml::from_str::<Configuration>(&text).unwrap().kbpk
}

/// A keyring away from everything.
fn keyring() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("keyring.toml")
}

/// Types what the parent said, if anything.
struct Typist;

impl Prompt for Typist {
    fn say(&mut self, _: &str) -> Result<(), PromptError> {
        Ok(())
    }

    fn ask(&mut self, _: &str) -> Result<SecretText, PromptError> {
        Err(PromptError::NoTerminal)
    }

    fn ask_hidden(&mut self, _: &str) -> Result<SecretText, PromptError> {
        let typed = env::var(TYPED).map_err(|_| PromptError::NoTerminal)?;
        Ok(SecretText::try_from(typed.into_bytes())?)
    }
}

/// What the child does. No test of its own.
#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn acts() {
    match env::var(ACT).as_deref() {
        Err(_) => {} // somebody asked for the ignored tests
        Ok("load") => load_and_say(),
        #[cfg(feature = "pkcs11")]
        Ok(act) => super::token::act(act),
        #[cfg(not(feature = "pkcs11"))]
        Ok(act) => panic!("no such act: {act}"),
    }
}
