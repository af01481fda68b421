//! Finds out which programs the tests can use: one that needs a missing program counts as ignored.
//!
//! Where `CVV2_REQUIRE_TOOLS` is set, as in CI, such a test runs and fails instead.

use std::env;
use std::process::Command;

/// Commands that succeed where a program can be used, and the `cfg` that says so.
const PROGRAMS: [(&[&str], &str); 3] = [
    // Debian keeps the servers of each version apart, outside of PATH.
    (&["sh", "-c", "ls /usr/lib/postgresql/*/bin/initdb || command -v initdb"], "has_postgres"),
    (&["strace", "-V"], "has_strace"),
    (&["unshare", "-Urm", "true"], "has_unshare"),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=CVV2_REQUIRE_TOOLS");
    let required = env::var_os("CVV2_REQUIRE_TOOLS").is_some();
    for (command, cfg) in PROGRAMS {
        println!("cargo::rustc-check-cfg=cfg({cfg})");
        let ran = Command::new(command[0]).args(&command[1..]).output();
        if required || ran.is_ok_and(|output| output.status.success()) {
            println!("cargo::rustc-cfg={cfg}");
        }
    }
}
