//! A wrong file is refused, a wrong value is found: the runner's own tests.

use std::path::Path;

use cvv2::Kernel;

use crate::{Flaw, LoadError, LoadErrorKind, Report, load, parse, run};

const CVV: &str = r#"{
  "algorithm": "CVV",
  "schema": "cvv_schema.json",
  "numberOfTests": 2,
  "notes": { "Malformed": { "bugType": "INPUT_VALIDATION", "description": "one fault" } },
  "testGroups": [
    {
      "source": { "name": "n", "reference": "r", "provenance": "published", "evidence": "e" },
      "key": { "cvk": "0123456789ABCDEFFEDCBA9876543210", "policy": "strict" },
      "tests": [
        { "tcId": 1, "comment": "", "flags": [], "pan": "4123456789012345", "expiry": "8701",
          "expiryOrder": "YYMM", "serviceCode": "101", "digits": 3, "result": "valid", "cvv": "561" },
        { "tcId": 2, "comment": "PAN parser: a letter", "flags": ["Malformed"],
          "pan": "41234567890123A5", "expiry": "8701", "serviceCode": "101", "digits": 3,
          "result": "invalid", "refusedBy": "pan.digit", "at": 14 }
      ]
    }
  ]
}"#;

/// The file with `from`, which it must hold exactly once, replaced.
fn changed(from: &str, to: &str) -> Result<Report, LoadError> {
    assert_eq!(CVV.matches(from).count(), 1, "{from}");
    let file = parse(Path::new("cvv.json"), CVV.replace(from, to).as_bytes())?;
    Ok(run(&[file], &Kernel::all().collect::<Vec<_>>()))
}

fn flaw(from: &str, to: &str) -> (Flaw, Option<u32>) {
    match changed(from, to).unwrap_err().kind() {
        LoadErrorKind::Flaw { flaw, tc_id } => (*flaw, *tc_id),
        other => panic!("{from} → {to}: {other:?}"),
    }
}

fn json_error(from: &str, to: &str) -> String {
    match changed(from, to).unwrap_err().kind() {
        LoadErrorKind::Json(error) => error.to_string(),
        other => panic!("{from} → {to}: {other:?}"),
    }
}

#[test]
fn the_unchanged_file_passes() {
    let report = changed("\"n\"", "\"n\"").unwrap();
    assert_eq!((report.passed(), report.failed()), (2, 0));
    assert_eq!((report.files()[0].published(), report.files()[0].computed()), (2, 0));
    assert!(report.to_string().ends_with("\n2 passed, 0 failed"));
}

#[test]
fn one_wrong_digit_of_an_expected_value_fails_with_file_and_test() {
    let report = changed("\"561\"", "\"562\"").unwrap();
    assert_eq!((report.passed(), report.failed()), (1, 1));
    let file = &report.files()[0];
    assert_eq!((file.file(), file.failed_tests()[0].tc_id()), (Path::new("cvv.json"), 1));
    let text = report.to_string();
    assert!(
        text.contains(
            "FAILED cvv.json tcId 1: cvv, kernel reference: expected the answer 562, got the \
             answer 561"
        ),
        "{text}"
    );
    assert!(text.contains("FAILED cvv.json tcId 1: generate_many of 1025 cards"), "{text}");
    assert!(text.ends_with("\n1 passed, 1 failed"), "{text}");
}

#[test]
fn a_wrong_refusal_and_a_missing_one_fail() {
    for (from, to, got) in [
        ("\"at\": 14", "\"at\": 13", "got refused by pan.digit at 14"),
        ("pan.digit\", \"at\": 14", "pan.length\"", "got refused by pan.digit at 14"),
        ("\"41234567890123A5\"", "\"4123456789012345\"", "got the answer"),
    ] {
        let report = changed(from, to).unwrap();
        assert_eq!(report.failed(), 1);
        let text = report.to_string();
        assert!(text.contains("tcId 2 (PAN parser: a letter)") && text.contains(got), "{text}");
    }
}

#[test]
fn a_key_that_the_policy_refuses_fails_every_test_of_its_group() {
    let report = changed("0123456789ABCDEFFED", "0123456789ABCDEEFED").unwrap();
    assert_eq!(report.failed(), 2);
    assert!(report.to_string().contains("refused by cvk.parity (even bytes 1)"));
}

#[test]
fn the_number_of_tests_has_to_be_right() {
    let error = (Flaw::NumberOfTests { stated: 3, counted: 2 }, None);
    assert_eq!(flaw("\"numberOfTests\": 2", "\"numberOfTests\": 3"), error);
}

#[test]
fn an_identifier_stands_once() {
    assert_eq!(flaw("\"tcId\": 2", "\"tcId\": 1"), (Flaw::DuplicateTcId, Some(1)));
}

#[test]
fn unknown_fields_flags_and_names_are_refused() {
    for (from, to, message) in [
        ("\"notes\":", "\"extra\": 1, \"notes\":", "unknown field `extra`"),
        ("\"source\":", "\"extra\": 1, \"source\":", "unknown field `extra`"),
        ("\"reference\":", "\"extra\": 1, \"reference\":", "unknown field `extra`"),
        ("\"policy\":", "\"extra\": 1, \"policy\":", "unknown field `extra`"),
        ("\"tcId\": 1", "\"extra\": 1, \"tcId\": 1", "unknown field `extra`"),
        ("\"tcId\": 1", "\"tcId\": 1, \"tcId\": 1", "duplicate field `tcId`"),
        ("[\"Malformed\"]", "[\"Odd\"]", "unknown variant `Odd`"),
        ("pan.digit", "pan.letter", "unknown refusedBy `pan.letter`"),
        ("\"strict\"", "\"lax\"", "unknown variant `lax`"),
        ("\"cvv\": \"561\"", "\"cvv\": null", "invalid type: null"),
        ("\"digits\": 3, \"result\": \"valid\"", "\"result\": \"valid\"", "missing field `digits`"),
    ] {
        let error = json_error(from, to);
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn an_unknown_algorithm_and_a_foreign_schema_are_refused() {
    let error = changed("\"CVV\"", "\"CVV9\"").unwrap_err();
    assert!(matches!(error.kind(), LoadErrorKind::UnknownAlgorithm(name) if name == "CVV9"));
    assert_eq!(flaw("cvv_schema", "pan_schema"), (Flaw::Schema, None));
}

#[test]
fn result_refusal_and_answer_have_to_go_together() {
    for (from, to, error) in [
        (", \"cvv\": \"561\"", "", (Flaw::NoAnswer, Some(1))),
        ("\"result\": \"valid\"", "\"result\": \"invalid\"", (Flaw::Contradiction, Some(1))),
        ("\"result\": \"invalid\"", "\"result\": \"valid\"", (Flaw::Contradiction, Some(2))),
        ("\"refusedBy\": \"pan.digit\",", "", (Flaw::Contradiction, Some(2))),
        (", \"at\": 14", "", (Flaw::Contradiction, Some(2))),
        ("\"at\": 14", "\"at\": 14, \"cvv\": \"561\"", (Flaw::Contradiction, Some(2))),
        ("\"tcId\": 1, ", "\"tcId\": 1, \"at\": 0, ", (Flaw::Contradiction, Some(1))),
        ("PAN parser: a letter", " ", (Flaw::NoComment, Some(2))),
        ("[\"Malformed\"]", "[\"Malformed\", \"Malformed\"]", (Flaw::FlagTwice, Some(2))),
    ] {
        assert_eq!(flaw(from, to), error, "{from} → {to}");
    }
}

#[test]
fn notes_explain_exactly_the_flags_in_use_and_sources_say_something() {
    for (from, to, error) in [
        ("[\"Malformed\"]", "[]", Flaw::Notes),
        ("\"flags\": [],", "\"flags\": [\"WeakKey\"],", Flaw::Notes),
        ("one fault", "", Flaw::Notes),
        ("\"name\": \"n\"", "\"name\": \"\"", Flaw::Source),
        ("\"evidence\":", "\"commit\": \"main\", \"evidence\":", Flaw::Source),
    ] {
        assert_eq!(flaw(from, to), (error, None), "{from} → {to}");
    }
}

#[test]
fn a_file_and_a_group_without_tests_are_refused() {
    let start = CVV.find("\"tests\": [").unwrap();
    let no_tests = format!("{}\"tests\": [] }} ] }}", &CVV[..start]);
    let error = parse(Path::new("cvv.json"), no_tests.as_bytes()).unwrap_err();
    assert!(matches!(error.kind(), LoadErrorKind::Flaw { flaw: Flaw::EmptyGroup, .. }), "{error}");

    let start = CVV.find("\"testGroups\": [").unwrap();
    let no_groups = format!("{}\"testGroups\": [] }}", &CVV[..start]);
    let error = parse(Path::new("cvv.json"), no_groups.as_bytes()).unwrap_err();
    let none = Flaw::NumberOfTests { stated: 2, counted: 0 };
    assert!(matches!(error.kind(), LoadErrorKind::Flaw { flaw, .. } if *flaw == none), "{error}");
}

#[test]
fn a_folder_without_vectors_is_an_error() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let error = load(&folder).unwrap_err();
    assert!(matches!(error.kind(), LoadErrorKind::Empty));
    assert!(error.to_string().ends_with("the folder holds no vector file (*.json)"));
}

#[test]
fn a_missing_file_is_an_error() {
    let error = load(Path::new("no/such/file.json")).unwrap_err();
    assert!(matches!(error.kind(), LoadErrorKind::Read(_)));
}

#[test]
fn a_test_that_asks_the_library_nothing_has_not_passed() {
    // CMAC check values are for double-length keys only.
    let json = r#"{ "algorithm": "KCV", "schema": "kcv_schema.json", "numberOfTests": 1,
        "notes": {}, "testGroups": [ {
          "source": { "name": "n", "reference": "r", "provenance": "computed", "evidence": "e" },
          "method": "cmac", "tests": [ { "tcId": 1, "comment": "", "flags": [],
            "key": "0123456789ABCDEF", "result": "valid", "kcv": "000000" } ] } ] }"#;
    let file = parse(Path::new("kcv.json"), json.as_bytes()).unwrap();
    let report = run(&[file], &[Kernel::detect()]);
    assert_eq!((report.passed(), report.failed()), (0, 1));
}

#[test]
fn the_report_is_json_for_an_auditors_file() {
    let report = changed("\"561\"", "\"562\"").unwrap();
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!((&json["passed"], &json["failed"]), (&1.into(), &1.into()));
    let file = &json["files"][0];
    assert_eq!(file["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(file["failedTests"][0]["tcId"], 1);
    assert_eq!(file["failedTests"][0]["mismatches"][0]["expected"], "the answer 562");
}
