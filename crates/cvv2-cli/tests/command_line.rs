//! The command line as people and scripts use it: output, exit codes, and what is never shown.
#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use support::cvv2;

const KEY: &str = "0123456789ABCDEFFEDCBA9876543210";
const PAN: &str = "4123456789012345";

mod demo {
    use super::*;

    #[test]
    fn prints_the_envelope_for_the_published_request_and_leaves_nothing() {
        let temporary = tempfile::tempdir().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_cvv2"))
            .arg("demo")
            .env("TMPDIR", temporary.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0));
        let response: Value = serde_json::from_slice(&output.stdout).unwrap();
        let response = &response["NISrvResponse"]["response_get_cvv2"];
        // 878 was computed with OpenSSL's command line, one DES after the other.
        assert_eq!(response["body"]["cvv2"], "878");
        assert_eq!(response["body"]["card_identifier_id"], "99984100148297467162");
        assert_eq!(response["exception_details"]["error_code"], "000");
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0, "nothing is left behind");
    }

    #[test]
    fn keeps_what_it_prepared_when_asked_and_get_answers_from_it() {
        let temporary = tempfile::tempdir().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_cvv2"))
            .args(["demo", "--keep"])
            .env("TMPDIR", temporary.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0));
        let kept: PathBuf = fs::read_dir(temporary.path()).unwrap().next().unwrap().unwrap().path();
        assert!(String::from_utf8(output.stderr).unwrap().contains(kept.to_str().unwrap()));

        let config = kept.join("cvv2.toml");
        let config = config.to_str().unwrap();
        let request = fs::read_to_string(kept.join("request.json")).unwrap();
        // The card of the published request expires in January 2027; another expiry is not found,
        // whatever the day of this test is.
        let unknown = cvv2(&["get", "-", "--config", config], &request.replace("2701", "2702"));
        let response = &unknown.json()["NISrvResponse"]["response_get_cvv2"];
        assert_eq!((unknown.code, &response["body"]), (1, &Value::Null));
        assert_eq!(response["exception_details"]["error_code"], "301");
        let refused = cvv2(&["get", "-", "--config", config], "{}");
        let response = &refused.json()["NISrvResponse"]["response_get_cvv2"];
        assert_eq!(
            (refused.code, &response["exception_details"]["error_code"]),
            (2, &"101".into())
        );
        let keys = cvv2(&["cards", "keys", "list", "--config", config, "--json"], "").json();
        assert_eq!(keys["keys"][1]["use"], "encryption");
        fs::remove_file(kept.join("keyring/store-keys.toml")).unwrap();
        let failed = cvv2(&["get", "-", "--config", config], &request);
        assert!(failed.code == 2 && failed.err.contains("store-keys.toml"), "{}", failed.err);
    }
}

mod calculation {
    use super::*;

    fn with_key<'a>(command: &'a str, words: &[&'a str]) -> Vec<&'a str> {
        let mut all = vec![command, "--test-key", KEY, "--expiry-order", "yymm"];
        all.extend(words);
        all
    }

    #[test]
    fn a_published_value_is_generated_and_verified() {
        let card = ["--kind", "cvv", "--pan", PAN, "--expiry", "8701", "--service-code", "101"];
        let ran = cvv2(&with_key("generate", &card), "");
        assert_eq!((ran.code, ran.out.as_str()), (0, "561\n"));
        assert!(ran.err.contains("test vectors"), "a test key says what it is");

        for (typed, code, verdict) in [("561", 0, "match\n"), ("560", 1, "mismatch\n")] {
            let mut words = card.to_vec();
            words.extend(["--cvv", typed]);
            let ran = cvv2(&with_key("verify", &words), "");
            assert_eq!((ran.code, ran.out.as_str()), (code, verdict));
        }
    }

    #[test]
    fn json_says_the_same() {
        let card = ["--pan", "4000000000001618", "--expiry", "2912", "--json"];
        let ran = cvv2(&with_key("generate", &card), "").json();
        assert_eq!(
            (&ran["cvv"], &ran["kind"], &ran["kcv"]),
            (&"124".into(), &"cvv2".into(), &"08D7B4".into())
        );
    }

    #[test]
    fn digits_order_and_kind_are_obeyed() {
        let generate = |words: &[&str]| {
            let mut all = vec!["generate", "--test-key", KEY, "--pan", PAN, "--expiry", "2701"];
            all.extend(words);
            cvv2(&all, "").out
        };
        let five = generate(&["--expiry-order", "yymm", "--digits", "5"]);
        assert!(five.starts_with("878") && five.trim().len() == 5);
        assert_ne!(generate(&["--expiry-order", "MMYY"]), "878\n");
        assert_ne!(generate(&["--expiry-order", "yymm", "--kind", "icvv"]), "878\n");
    }

    #[test]
    fn wrong_use_is_exit_code_2_and_says_what_to_do() {
        for (words, told) in [
            (vec!["--pan", "41234567890123a5", "--expiry", "2701"], "character 15 of the PAN"),
            (vec!["--pan", PAN, "--expiry", "0127"], "it looks like MMYY"),
            (vec!["--pan", PAN], "the expiry (YYMM) is missing"),
            (vec!["--expiry", "2701"], "the PAN is missing"),
            (vec!["--pan", PAN, "--expiry", "2701", "--digits", "6"], "6 is not in 1..=5"),
            (vec!["--pan", PAN, "--expiry", "2701", "--service-code", "101"], "by definition"),
            (vec!["--pan", PAN, "--expiry", "2701", "--kind", "cvv"], "service code is missing"),
        ] {
            let ran = cvv2(&with_key("generate", &words), "");
            assert!(ran.code == 2 && ran.err.contains(told), "{words:?}: {}", ran.err);
            assert!(ran.out.is_empty());
        }
        let short =
            cvv2(&with_key("verify", &["--pan", PAN, "--expiry", "2701", "--cvv", "87"]), "");
        assert!(short.code == 2 && short.err.contains("type 3 digits"), "{}", short.err);
    }

    #[test]
    fn a_test_key_and_a_key_of_a_keyring_do_not_mix() {
        let card = ["--pan", PAN, "--expiry", "2701"];
        for (words, told) in [
            (vec!["--key", "visa", "--test-key", KEY], "cannot be used with"),
            (vec!["--test-key", KEY], "--expiry-order"),
            (vec!["--key", "visa", "--expiry-order", "yymm"], "cannot be used with"),
            (vec!["--key", "visa"], "which keyring? give --keyring FILE and --kbpk-file FILE"),
            (vec!["--key", "visa", "--keyring", "keyring.toml"], "which keyring?"),
            (vec![], "--key <NAME>"),
        ] {
            for command in ["generate", "explain"] {
                let ran = cvv2(&[&[command], &words[..], &card].concat(), "");
                let explained = command == "explain" && ran.err.contains("a published test key");
                assert!(ran.code == 2 && (ran.err.contains(told) || explained), "{}", ran.err);
            }
        }
    }

    #[test]
    fn explain_shows_every_step() {
        let ran =
            cvv2(&with_key("explain", &["--pan", "4000000000001618", "--expiry", "2912"]), "");
        for step in ["EFCD1DDCAFB2EBCA", "both passes", "cvv2 124"] {
            assert!(ran.out.contains(step), "{step}: {}", ran.out);
        }
        let words = ["--pan", "4000000000001618", "--expiry", "2912", "--json"];
        let json = cvv2(&with_key("explain", &words), "").json();
        assert_eq!(json["second_pass_needed"], true);
        assert_eq!(json["decimalised"].as_str().unwrap().len(), 16);
    }
}

mod vectors {
    use super::*;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors")
    }

    #[test]
    fn all_pass_and_the_last_line_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let report = directory.path().join("report.json");
        let words = ["vectors", folder().to_str().unwrap(), "--report", report.to_str().unwrap()]
            .map(str::to_owned);
        let ran = cvv2(&words.each_ref().map(String::as_str), "");
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        let last = ran.out.lines().last().unwrap();
        let (passed, failed) = last.split_once(" passed, ").unwrap();
        assert!(passed.parse::<u32>().unwrap() >= 450, "{last}");
        assert_eq!(failed, "0 failed");
        let report: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
        assert_eq!(report["failed"], 0);
    }

    #[test]
    fn one_changed_digit_is_named_by_file_and_test() {
        let directory = tempfile::tempdir().unwrap();
        let text = fs::read_to_string(folder().join("cvv.json")).unwrap();
        let changed = text.replacen(r#""cvv": "370""#, r#""cvv": "371""#, 1);
        assert_ne!(text, changed);
        fs::write(directory.path().join("cvv.json"), changed).unwrap();
        let ran = cvv2(&["vectors", directory.path().to_str().unwrap()], "");
        assert_eq!(ran.code, 1);
        assert!(ran.out.contains("cvv.json tcId "), "{}", ran.out);
        assert!(ran.out.trim_end().ends_with(" 1 failed"), "{}", ran.out);
    }

    #[test]
    fn nothing_to_run_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(cvv2(&["vectors", directory.path().to_str().unwrap()], "").code, 2);
        assert_eq!(cvv2(&["vectors", "/nowhere"], "").code, 2);
    }
}

#[test]
fn help_is_there_on_every_level() {
    for words in [
        vec!["--help"],
        vec!["cards", "--help"],
        vec!["cards", "import", "--help"],
        vec!["cards", "export", "--help"],
        vec!["cards", "keys", "--help"],
        vec!["cards", "keys", "import", "--help"],
        vec!["cards", "rewrap", "--help"],
        vec!["cards", "rotate", "--help"],
        vec!["cards", "status", "--help"],
        vec!["help", "vectors"],
        vec!["generate", "--help"],
        vec!["key", "--help"],
        vec!["key", "ceremony", "cvk", "--help"],
    ] {
        let ran = cvv2(&words, "");
        assert!(ran.code == 0 && ran.out.contains("Usage: cvv2"), "{words:?}");
    }
    assert_eq!(cvv2(&[], "").code, 2);
    assert_eq!(cvv2(&["--version"], "").out, concat!("cvv2 ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_closed_pipe_is_no_fault() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_cvv2"))
        .args(["generate", "--test-key", KEY, "--expiry-order", "yymm"])
        .args(["--pan", PAN, "--expiry", "2701"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
