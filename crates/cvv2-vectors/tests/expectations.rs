//! No expectation in the project's vectors is only decoration: whichever of them is changed, every
//! test that states it fails.
#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::collections::BTreeMap;
use std::path::Path;

use cvv2::Kernel;
use cvv2_vectors::{parse, run};
use serde_json::Value;

/// The fields of tests by which the library is judged, as JSON pointers.
const EXPECTATIONS: [&str; 32] = [
    "/adjusted",
    "/answer",
    "/at",
    "/ciphertext",
    "/component",
    "/componentKcvs",
    "/cvv",
    "/decimal",
    "/evenBytes",
    "/generates",
    "/half",
    "/kcv",
    "/key",
    "/kind",
    "/looksLike",
    "/luhn",
    "/masked",
    "/month",
    "/padding",
    "/plaintext",
    "/refusedBy",
    "/steps/b1",
    "/steps/b2",
    "/steps/chained",
    "/steps/decimal",
    "/steps/decryptedB",
    "/steps/encryptedA",
    "/steps/encryptedB1",
    "/steps/result",
    "/verifies",
    "/xor",
    "/year",
];

#[test]
fn every_changed_expectation_fails_every_test_that_states_it() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors");
    let mut changed: BTreeMap<&str, usize> = BTreeMap::new();
    for file in cvv2_vectors::load(&vectors).unwrap() {
        let original: Value = serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
        for field in EXPECTATIONS {
            if is_input(file.algorithm(), field) {
                continue;
            }
            let mut json = original.clone();
            let mut with_field = 0;
            for group in json["testGroups"].as_array_mut().unwrap() {
                for test in group["tests"].as_array_mut().unwrap() {
                    if let Some(value) = test.pointer_mut(field) {
                        change(value);
                        with_field += 1;
                    }
                }
            }
            if with_field == 0 {
                continue;
            }
            let file = parse(file.path(), json.to_string().as_bytes()).unwrap();
            let report = run(&[file], &[Kernel::detect()]);
            assert_eq!(report.failed(), with_field, "{field}: {}", report.files()[0].algorithm());
            *changed.entry(field).or_default() += with_field;
        }
    }
    let untouched: Vec<_> =
        EXPECTATIONS.iter().filter(|field| !changed.contains_key(*field)).collect();
    assert!(untouched.is_empty(), "no vector states {untouched:?}");
}

fn is_input(algorithm: &str, field: &str) -> bool {
    field == "/key" && !matches!(algorithm, "COMPONENT_XOR" | "KEY_BLOCK")
}

/// Changes a value to another of its kind.
fn change(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(change),
        Value::Bool(flag) => *flag = !*flag,
        Value::Number(number) => *value = (number.as_u64().unwrap() + 1).into(),
        Value::String(text) => *text = another(text),
        Value::Null | Value::Object(_) => panic!("no expectation is a {value}"),
    }
}

fn another(text: &str) -> String {
    let pairs = [
        ("match", "mismatch"),
        ("YYMM", "MMYY"),
        ("A", "B"),
        ("CVV", "CVV2"),
        ("CVV2", "iCVV"),
        ("iCVV", "CVV"),
    ];
    if let Some((_, other)) = pairs.iter().find(|(name, _)| *name == text) {
        return (*other).to_owned();
    }
    if let Some((name, _)) = pairs.iter().find(|(_, other)| *other == text) {
        return (*name).to_owned();
    }
    match text.split_once('.') {
        Some(("pan", "digit")) => "cvv.digit".to_owned(),
        Some((_, "character" | "digit" | "field" | "hex" | "optionalBlock")) => {
            "pan.digit".to_owned()
        }
        Some(("cvk", "equalHalves")) => "digits.range".to_owned(),
        Some(_) => "cvk.equalHalves".to_owned(),
        // The first digit of a value or of bytes: never only a parity bit.
        None => format!("{}{}", if text.starts_with('0') { '1' } else { '0' }, &text[1..]),
    }
}
