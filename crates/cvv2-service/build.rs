//! Finds out which programs the tests can use: one that needs a missing program counts as ignored.
//!
//! Where `CVV2_REQUIRE_TOOLS` is set, as in CI, such a test runs and fails instead; but leave to make a
//! namespace is not something that can be installed.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=CVV2_REQUIRE_TOOLS");
    say_whether("has_strace", runs(&["strace", "-V"]));
    // There may be the program, and no leave to use it, which cannot be required of a machine.
    println!("cargo::rustc-check-cfg=cfg(has_unshare)");
    if runs(&["unshare", "-Urm", "true"]) {
        println!("cargo::rustc-cfg=has_unshare");
    }

    // Debian keeps each version of the server in a folder of its own, outside the path.
    let path = env::var_os("PATH").unwrap_or_default();
    let debian = (15..=30).rev().map(|version| format!("/usr/lib/postgresql/{version}/bin").into());
    let mut folders = debian.chain(env::split_paths(&path));
    let folder = folders.find(|folder: &PathBuf| folder.join("initdb").is_file());
    let folder = folder.and_then(|folder| fs::canonicalize(folder).ok());
    say_whether("has_postgres", folder.is_some());
    let folder = folder.unwrap_or_default();
    println!("cargo::rustc-env=CVV2_POSTGRES_PROGRAMS={}", folder.display());
}

fn runs(command: &[&str]) -> bool {
    let ran = Command::new(command[0]).args(&command[1..]).output();
    ran.is_ok_and(|output| output.status.success())
}

/// Sets `cfg` where a program is there, or has to be.
fn say_whether(cfg: &str, is_there: bool) {
    println!("cargo::rustc-check-cfg=cfg({cfg})");
    if is_there || env::var_os("CVV2_REQUIRE_TOOLS").is_some() {
        println!("cargo::rustc-cfg={cfg}");
    }
}
