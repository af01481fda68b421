//! What a panic writes: where, and nothing of what.

use std::env;
use std::process::Command;

use cvv2_service::transport::install_panic_hook;

/// What a panic says here, and nobody may read.
const CANARY: &str = "4123456789012345";
/// Set in the process that panics.
const PANICS: &str = "CVV2_TEST_PANICS";

#[test]
fn the_place_is_written_and_the_payload_is_not() {
    if env::var_os(PANICS).is_some() {
        install_panic_hook();
        panic!("{CANARY}");
    }
    let this = env::current_exe().expect("a test is a file");
    let ended = Command::new(this)
        .args(["--exact", "the_place_is_written_and_the_payload_is_not", "--nocapture"])
        .env(PANICS, "1")
        .env("RUST_BACKTRACE", "full")
        .output()
        .expect("it runs");
    assert!(!ended.status.success());
    let written = String::from_utf8_lossy(&ended.stderr);
    assert!(written.contains("panic in thread"), "{written}");
    assert!(written.contains("tests/panic_hook.rs:17:9"), "{written}");
    for output in [&ended.stdout, &ended.stderr] {
        assert!(!String::from_utf8_lossy(output).contains(CANARY));
    }
}
