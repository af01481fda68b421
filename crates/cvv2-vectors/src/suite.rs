//! One module for each algorithm: the shape of its tests, and how the library is asked.

mod component;
mod cvk;
mod cvv;
mod decimalize;
mod des;
mod expiry;
mod hex_bytes;
mod kcv;
mod key;
mod key_block;
mod pan;
mod parity;
mod service_code;
mod verify;

use cvv2::Kernel;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::file::{File, Group, Provenance, VectorTest};
use crate::flaw::FlawAt;
use crate::outcome::Outcome;

/// A checked file, ready to run.
pub(crate) trait Suite: Send + Sync {
    fn algorithm(&self) -> &str;

    /// Runs every test, on every kernel where the kernel matters.
    fn run(&self, kernels: &[Kernel]) -> Vec<TestRun>;
}

/// What came of one test.
pub(crate) struct TestRun {
    pub(crate) tc_id: u32,
    pub(crate) comment: String,
    pub(crate) provenance: Provenance,
    /// Never empty: a test that asks nothing has not passed.
    pub(crate) attempts: Vec<Attempt>,
}

/// One question to the library.
pub(crate) struct Attempt {
    /// Which entry was asked, and on which kernel.
    pub(crate) way: String,
    pub(crate) expected: Outcome,
    pub(crate) got: Outcome,
}

impl Attempt {
    pub(crate) fn new(way: impl Into<String>, expected: Outcome, got: impl Into<Outcome>) -> Self {
        Self { way: way.into(), expected, got: got.into() }
    }

    pub(crate) fn passed(&self) -> bool {
        self.expected == self.got
    }
}

/// How the tests of a group are put to the library.
trait Ask: Group {
    /// Every way in which the public interface can be asked about `test`.
    fn ask(&self, test: &Self::Test, kernels: &[Kernel]) -> Vec<Attempt>;

    /// Questions about many tests at once: each with the number of its test within the group.
    fn ask_together(&self, _kernels: &[Kernel]) -> Vec<(usize, Attempt)> {
        Vec::new()
    }
}

/// Why a text is no vector file.
pub(crate) enum ParseError {
    Algorithm(String),
    Flaw(FlawAt),
    Json(serde_json::Error),
}

/// Reads a file by its algorithm and checks it.
pub(crate) fn parse(json: &[u8]) -> Result<Box<dyn Suite>, ParseError> {
    #[derive(Deserialize)]
    struct Named {
        algorithm: String,
    }
    let Named { algorithm } = serde_json::from_slice(json).map_err(ParseError::Json)?;
    match algorithm.as_str() {
        "COMPONENT_XOR" => read::<component::Combinations>(json, "component_schema.json"),
        "CVK" => read::<cvk::Imports>(json, "cvk_schema.json"),
        "CVV" => read::<cvv::Cards>(json, "cvv_schema.json"),
        "DECIMALIZE" => read::<decimalize::Blocks>(json, "decimalize_schema.json"),
        "DES_TDES" => read::<des::KnownAnswers>(json, "des_schema.json"),
        "EXPIRY" => read::<expiry::Expiries>(json, "expiry_schema.json"),
        "KCV" => read::<kcv::CheckValues>(json, "kcv_schema.json"),
        "KEY_BLOCK" => read::<key_block::KeyBlocks>(json, "key_block_schema.json"),
        "ODD_PARITY" => read::<parity::Keys>(json, "parity_schema.json"),
        "PAN" => read::<pan::Pans>(json, "pan_schema.json"),
        "SERVICE_CODE" => read::<service_code::ServiceCodes>(json, "service_code_schema.json"),
        "VERIFY" => read::<verify::Typed>(json, "verify_schema.json"),
        _ => Err(ParseError::Algorithm(algorithm)),
    }
}

fn read<G>(json: &[u8], schema: &str) -> Result<Box<dyn Suite>, ParseError>
where
    G: Ask + DeserializeOwned + Send + Sync + 'static,
{
    let file: File<G> = serde_json::from_slice(json).map_err(ParseError::Json)?;
    file.lint(schema).map_err(ParseError::Flaw)?;
    Ok(Box::new(file))
}

impl<G: Ask + Send + Sync> Suite for File<G> {
    fn algorithm(&self) -> &str {
        &self.algorithm
    }

    fn run(&self, kernels: &[Kernel]) -> Vec<TestRun> {
        self.test_groups.iter().flat_map(|group| run_group(group, kernels)).collect()
    }
}

fn run_group<G: Ask>(group: &G, kernels: &[Kernel]) -> Vec<TestRun> {
    let mut runs: Vec<_> = group
        .tests()
        .iter()
        .map(|test| TestRun {
            tc_id: test.head().tc_id,
            comment: test.head().comment.to_owned(),
            provenance: group.source().provenance,
            attempts: group.ask(test, kernels),
        })
        .collect();
    for (test, attempt) in group.ask_together(kernels) {
        runs[test].attempts.push(attempt);
    }
    for (run, test) in runs.iter_mut().zip(group.tests()) {
        if run.attempts.is_empty() {
            let nothing = Outcome::answer(["that the library has no entry for this".to_owned()]);
            run.attempts.push(Attempt::new("any", test.expected(), nothing));
        }
    }
    runs
}
