//! Finds out whether the tests can use `strace`: one that needs it counts as ignored where it is
//! missing.
//!
//! Where `CVV2_REQUIRE_TOOLS` is set, as in CI, such a test runs and fails instead.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=CVV2_REQUIRE_TOOLS");
    println!("cargo::rustc-check-cfg=cfg(has_strace)");
    let path = env::var_os("PATH").unwrap_or_default();
    let required = env::var_os("CVV2_REQUIRE_TOOLS").is_some();
    if required || env::split_paths(&path).any(|folder| folder.join("strace").is_file()) {
        println!("cargo::rustc-cfg=has_strace");
    }
}
