//! The programs that are looked at, which lie beside this one.

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The path of a program of this workspace.
pub(crate) fn path(name: &str) -> PathBuf {
    let this = env::current_exe().unwrap();
    let path = this.parent().unwrap().join(name);
    assert!(path.exists(), "{} is not there: build it first, in the same profile", path.display());
    path
}

/// Runs `cvv2` in a folder, with words and standard input, and gives what it printed.
pub(crate) fn cvv2(folder: &Path, words: &[&str], input: &str) -> String {
    let output = ended(Command::new(path("cvv2")).args(words).current_dir(folder), input);
    assert!(
        output.status.success(),
        "cvv2 {words:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a program to its end.
pub(crate) fn ended(command: &mut Command, input: &str) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    // A program that refuses its arguments does not read what it is sent.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// How often something is done, by an environment variable.
pub(crate) fn count(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{variable} has to be a number"))
    })
}

/// A random number below a bound.
pub(crate) fn random(bound: u64) -> u64 {
    getrandom::u64().expect("the system has a generator") % bound
}
