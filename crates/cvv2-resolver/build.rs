//! Finds out which programs the tests can use: one that needs a missing program counts as ignored.
//!
//! Where `CVV2_REQUIRE_TOOLS` is set, as in CI, such a test runs and fails instead.

use std::env;
use std::fs;
use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=CVV2_REQUIRE_TOOLS");
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();

    say_whether("has_strace", folders.iter().any(|folder| folder.join("strace").is_file()));

    // Debian keeps each version of the server in a folder of its own, outside the path.
    let debian = (15..=30).rev().map(|version| format!("/usr/lib/postgresql/{version}/bin").into());
    let folder = debian.chain(folders).find(|folder: &PathBuf| folder.join("initdb").is_file());
    let folder = folder.and_then(|folder| fs::canonicalize(folder).ok());
    say_whether("has_postgres", folder.is_some());
    let folder = folder.unwrap_or_default();
    println!("cargo::rustc-env=CVV2_POSTGRES_PROGRAMS={}", folder.display());
}

/// Sets `cfg` where a program is there, or has to be.
fn say_whether(cfg: &str, is_there: bool) {
    println!("cargo::rustc-check-cfg=cfg({cfg})");
    if is_there || env::var_os("CVV2_REQUIRE_TOOLS").is_some() {
        println!("cargo::rustc-cfg={cfg}");
    }
}
