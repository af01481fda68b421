//! Finds out which programs the tests can use: one that needs a missing program counts as ignored.
//!
//! Where `CVV2_REQUIRE_TOOLS` is set, as in CI, such a test runs and fails instead.

use std::env;
use std::fs;
use std::path::PathBuf;

/// Programs, and the `cfg` that says they are there.
const PROGRAMS: [(&str, &str); 5] = [
    ("curl", "has_curl"),
    ("openssl", "has_openssl"),
    ("python3", "has_python3"),
    ("setsid", "has_setsid"),
    ("systemd-analyze", "has_systemd_analyze"),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=CVV2_REQUIRE_TOOLS");
    let path = env::var_os("PATH").unwrap_or_default();
    let required = env::var_os("CVV2_REQUIRE_TOOLS").is_some();
    for (program, cfg) in PROGRAMS {
        println!("cargo::rustc-check-cfg=cfg({cfg})");
        if required || env::split_paths(&path).any(|folder| folder.join(program).is_file()) {
            println!("cargo::rustc-cfg={cfg}");
        }
    }

    // Debian keeps each version of the server in a folder of its own, outside the path.
    let debian = (15..=30).rev().map(|version| format!("/usr/lib/postgresql/{version}/bin").into());
    let mut folders = debian.chain(env::split_paths(&path));
    let folder = folders.find(|folder: &PathBuf| folder.join("initdb").is_file());
    let folder = folder.and_then(|folder| fs::canonicalize(folder).ok());
    println!("cargo::rustc-check-cfg=cfg(has_postgres)");
    if required || folder.is_some() {
        println!("cargo::rustc-cfg=has_postgres");
    }
    let folder = folder.unwrap_or_default();
    println!("cargo::rustc-env=CVV2_POSTGRES_PROGRAMS={}", folder.display());
}
