//! Finds out which programs the tests can use: one that needs a missing program counts as ignored.
//!
//! Where `CVV2_REQUIRE_TOOLS` is set, as in CI, such a test runs and fails instead.

use std::env;

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
}
