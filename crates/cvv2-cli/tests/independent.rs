//! Values of the command line beside those of an implementation that shares nothing with it: the
//! program `openssl`, one DES after the other, and a decimalisation of text.
#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::io::Write;
use std::process::{Command, Stdio};

const CVK_A: &str = "0123456789ABCDEF";
const CVK_B: &str = "FEDCBA9876543210";

#[test]
#[cfg_attr(not(has_openssl), ignore = "openssl is not installed")]
fn values_equal_those_of_the_program_openssl() {
    for (pan, expiry, code) in [
        ("4123456789012345", "2701", "000"), // the demo's card
        ("4123456789012345", "8701", "101"), // Visa's published 561
        ("4000000000001618", "2912", "000"), // needs the second scan
        ("412345678901", "2512", "999"),
        ("4123456789012345678", "3012", "226"),
    ] {
        let digits = format!("{:0<32}", format!("{pan}{expiry}{code}"));
        let first = des("-e", CVK_A, &digits[..16]);
        let second = u64::from_str_radix(&digits[16..], 16).unwrap();
        let chained = u64::from_str_radix(&first, 16).unwrap() ^ second;
        let result = des("-e", CVK_A, &format!("{chained:016x}"));
        let result = des("-e", CVK_A, &des("-d", CVK_B, &result));

        let decimals = result.chars().filter(char::is_ascii_digit);
        let letters = result.chars().filter(char::is_ascii_alphabetic);
        let letters = letters.map(|c| char::from(c as u8 - b'a' + b'0'));
        let expected: String = decimals.chain(letters).take(5).collect();
        assert_eq!(generate(pan, expiry, code), expected, "{pan} {expiry} {code}");
    }
}

/// One DES of a block, as triple DES with one key twice.
fn des(direction: &str, key: &str, block: &str) -> String {
    let mut child = Command::new("openssl")
        .args(["enc", "-des-ede", direction, "-nopad", "-K", &key.repeat(2)])
        .args(["-provider", "legacy", "-provider", "default"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl can be run");
    child.stdin.take().unwrap().write_all(&hex::decode(block).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    hex::encode(output.stdout)
}

fn generate(pan: &str, expiry: &str, code: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_cvv2"))
        .args(["generate", "--test-key", &format!("{CVK_A}{CVK_B}"), "--expiry-order", "yymm"])
        .args(["--kind", "cvv", "--digits", "5"])
        .args(["--pan", pan, "--expiry", expiry, "--service-code", code])
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
