//! Finds out which programs the tests can use: one that needs a missing program counts as ignored.
//!
//! Where `CVV2_REQUIRE_TOOLS` is set, as in CI, such a test runs and fails instead; but leave to make a
//! namespace is not something that can be installed.

use std::env;
use std::process::Command;

/// Commands that succeed where a program can be used, the `cfg` that says so, and whether it can be
/// required.
const PROGRAMS: [(&[&str], &str, bool); 2] =
    [(&["strace", "-V"], "has_strace", true), (&["unshare", "-Urm", "true"], "has_unshare", false)];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=CVV2_REQUIRE_TOOLS");
    let required = env::var_os("CVV2_REQUIRE_TOOLS").is_some();
    for (command, cfg, can_be_required) in PROGRAMS {
        println!("cargo::rustc-check-cfg=cfg({cfg})");
        let ran = Command::new(command[0]).args(&command[1..]).output();
        if required && can_be_required || ran.is_ok_and(|output| output.status.success()) {
            println!("cargo::rustc-cfg={cfg}");
        }
    }
}
