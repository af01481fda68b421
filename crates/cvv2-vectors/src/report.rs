//! Runs files and says what came of it, for people and for auditors' files.

use std::fmt;
use std::path::{Path, PathBuf};

use cvv2::Kernel;
use serde::Serialize;

use crate::file::Provenance;
use crate::load::VectorFile;
use crate::suite::{Attempt, TestRun};

/// Runs every test of `files`, on each of `kernels` where the kernel matters.
///
/// # Panics
///
/// If `kernels` is empty: nothing would be computed, and all of it would pass.
#[must_use]
pub fn run(files: &[VectorFile], kernels: &[Kernel]) -> Report {
    assert!(!kernels.is_empty(), "vectors run on at least one kernel");
    let report = |file: &VectorFile| FileReport::new(file, &file.suite().run(kernels));
    let files: Vec<_> = files.iter().map(report).collect();
    Report {
        version: env!("CARGO_PKG_VERSION"),
        kernels: kernels.iter().map(|kernel| kernel.name()).collect(),
        passed: files.iter().map(FileReport::passed).sum(),
        failed: files.iter().map(|file| file.failed_tests.len()).sum(),
        files,
    }
}

/// What came of all files.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    version: &'static str,
    kernels: Vec<&'static str>,
    passed: usize,
    failed: usize,
    files: Vec<FileReport>,
}

impl Report {
    /// Tests that passed, on every kernel.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.passed
    }

    /// Tests that failed, on any kernel.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.failed
    }

    /// The kernels that computed.
    #[must_use]
    pub fn kernels(&self) -> &[&'static str] {
        &self.kernels
    }

    /// What came of each file, in the order in which they were given.
    #[must_use]
    pub fn files(&self) -> &[FileReport] {
        &self.files
    }
}

/// What came of one file.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileReport {
    file: PathBuf,
    algorithm: String,
    sha256: String,
    tests: usize,
    published: usize,
    computed: usize,
    failed_tests: Vec<FailedTest>,
}

impl FileReport {
    fn new(file: &VectorFile, runs: &[TestRun]) -> Self {
        let of = |provenance| runs.iter().filter(|run| run.provenance == provenance).count();
        Self {
            file: file.path().to_owned(),
            algorithm: file.algorithm().to_owned(),
            sha256: file.sha256().to_owned(),
            tests: runs.len(),
            published: of(Provenance::Published),
            computed: of(Provenance::Computed),
            failed_tests: runs.iter().filter_map(FailedTest::of).collect(),
        }
    }

    /// Where the file was found.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// What the file tests.
    #[must_use]
    pub fn algorithm(&self) -> &str {
        &self.algorithm
    }

    /// The SHA-256 of the file's bytes, in lower-case hexadecimal digits.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Tests that passed, on every kernel.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.tests - self.failed_tests.len()
    }

    /// Tests of the file.
    #[must_use]
    pub fn tests(&self) -> usize {
        self.tests
    }

    /// Tests whose values somebody else published.
    #[must_use]
    pub fn published(&self) -> usize {
        self.published
    }

    /// Tests whose values this project computed, or that follow from its rules.
    #[must_use]
    pub fn computed(&self) -> usize {
        self.computed
    }

    /// The tests that failed.
    #[must_use]
    pub fn failed_tests(&self) -> &[FailedTest] {
        &self.failed_tests
    }
}

/// A test that failed. What it shows is test data.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedTest {
    tc_id: u32,
    comment: String,
    mismatches: Vec<Mismatch>,
}

impl FailedTest {
    fn of(run: &TestRun) -> Option<Self> {
        let mismatches: Vec<_> =
            run.attempts.iter().filter(|attempt| !attempt.passed()).map(Mismatch::of).collect();
        let failed = !mismatches.is_empty();
        failed.then(|| Self { tc_id: run.tc_id, comment: run.comment.clone(), mismatches })
    }

    /// The test's identifier in its file.
    #[must_use]
    pub fn tc_id(&self) -> u32 {
        self.tc_id
    }

    /// Where the library did not do what the test expects.
    #[must_use]
    pub fn mismatches(&self) -> &[Mismatch] {
        &self.mismatches
    }
}

/// An entry of the library that did not do what the test expects.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mismatch {
    way: String,
    expected: String,
    got: String,
}

impl Mismatch {
    fn of(attempt: &Attempt) -> Self {
        Self {
            way: attempt.way.clone(),
            expected: attempt.expected.to_string(),
            got: attempt.got.to_string(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "kernels: {}", self.kernels.join(", "))?;
        for file in &self.files {
            writeln!(f, "{file}")?;
        }
        write!(f, "{} passed, {} failed", self.passed(), self.failed())
    }
}

impl fmt::Display for FileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, tests, published, computed, sha256, failed_tests, .. } = self;
        write!(
            f,
            "{}: {tests} tests, {published} published, {computed} computed, ",
            file.display()
        )?;
        write!(f, "{} failed, SHA-256 {sha256}", failed_tests.len())?;
        for test in failed_tests {
            for Mismatch { way, expected, got } in &test.mismatches {
                write!(f, "\n  FAILED {} tcId {}", file.display(), test.tc_id)?;
                if !test.comment.is_empty() {
                    write!(f, " ({})", test.comment)?;
                }
                write!(f, ": {way}: expected {expected}, got {got}")?;
            }
        }
        Ok(())
    }
}
