//! The program as a test runs it.
#![allow(dead_code, reason = "each test uses its part")]

pub(crate) mod terminal;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// The program.
pub(crate) const CVV2: &str = env!("CARGO_BIN_EXE_cvv2");

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }

    /// This, if it went well.
    #[track_caller]
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self
    }

    /// This, if it failed with the code and an error that has this text.
    #[track_caller]
    pub(crate) fn failed(self, code: i32, told: &str) -> Self {
        assert!(self.code == code && self.err.contains(told), "{self:?}");
        assert!(self.out.is_empty(), "{self:?}");
        self
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs the program with words and standard input.
pub(crate) fn cvv2(words: &[&str], input: &str) -> Ran {
    ended(start(words), input)
}

/// Starts the program with words, its standard input open.
pub(crate) fn start(words: &[&str]) -> Child {
    Command::new(CVV2)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Gives the program its standard input, and waits for its end.
pub(crate) fn ended(mut child: Child, input: &str) -> Ran {
    // A program that refuses its arguments does not read what it is sent.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap().into()
}

/// A file that only its owner may open.
pub(crate) fn private_file(folder: &Path, name: &str, content: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}
