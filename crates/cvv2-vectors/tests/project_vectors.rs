//! The vectors of this repository, on every kernel of this machine.
#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::path::Path;

use cvv2::Kernel;
use cvv2_vectors::{FileReport, load, run};

fn vectors() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors")
}

#[test]
fn every_test_passes_on_every_kernel() {
    let files = load(&vectors()).unwrap_or_else(|error| panic!("{error}"));
    let report = run(&files, &Kernel::all().collect::<Vec<_>>());
    assert_eq!(report.failed(), 0, "{report}");
    assert!(report.passed() >= 1000, "{report}");
}

#[test]
fn every_file_has_a_schema_and_every_schema_a_file() {
    let schemas = vectors().join("schema");
    let mut expected: Vec<_> = load(&vectors())
        .unwrap()
        .iter()
        .map(|file| format!("{}_schema.json", file.path().file_stem().unwrap().display()))
        .collect();
    let mut found: Vec<_> = schemas
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn the_readme_states_the_numbers_of_tests() {
    let readme = std::fs::read_to_string(vectors().join("README.md")).unwrap();
    let files = load(&vectors()).unwrap();
    let report = run(&files, &[Kernel::detect()]);
    for file in report.files() {
        let row =
            format!("| `{}` | {} |", file.file().file_name().unwrap().display(), file.tests());
        assert!(readme.contains(&row), "no row `{row}`");
    }
    let sum = |of: fn(&FileReport) -> usize| report.files().iter().map(of).sum::<usize>();
    for text in [
        format!("**Published** ({} tests)", sum(FileReport::published)),
        format!("**Computed** ({} tests)", sum(FileReport::computed)),
    ] {
        assert!(readme.contains(&text), "no text `{text}`");
    }
}
