//! What can be wrong with a vector file besides its syntax.

use std::fmt;

/// Something about a file that is not as `vectors/README.md` describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flaw {
    /// `result`, `refusedBy`, its details, the flags and the expected answer contradict each other.
    Contradiction,
    /// Another test of the file has the same `tcId`.
    DuplicateTcId,
    /// A group has no test.
    EmptyGroup,
    /// A flag stands twice.
    FlagTwice,
    /// A valid test lacks (a part of) the expected answer.
    NoAnswer,
    /// The comment of an invalid test does not say who refuses and why.
    NoComment,
    /// `notes` does not explain exactly the flags that are used.
    Notes,
    /// `numberOfTests` is not the number of tests, or there is none.
    NumberOfTests {
        /// What the file states.
        stated: usize,
        /// What it holds.
        counted: usize,
    },
    /// `schema` is not the schema of the file's algorithm.
    Schema,
    /// A source has an empty text or a commit that is no commit.
    Source,
}

impl Flaw {
    pub(crate) fn in_file(self) -> FlawAt {
        FlawAt { flaw: self, tc_id: None }
    }

    pub(crate) fn in_test(self, tc_id: u32) -> FlawAt {
        FlawAt { flaw: self, tc_id: Some(tc_id) }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Contradiction => {
                "result, refusedBy, its details, the flags and the expected answer do not go \
                 together"
            }
            Self::DuplicateTcId => "another test has the same tcId",
            Self::EmptyGroup => "a group has no test",
            Self::FlagTwice => "a flag stands twice",
            Self::NoAnswer => "a valid test must state the whole expected answer",
            Self::NoComment => "the comment must say which layer refuses, and why",
            Self::Notes => "notes must explain exactly the flags that the tests use",
            Self::NumberOfTests { stated, counted } => {
                return write!(f, "numberOfTests is {stated}, but the file holds {counted} tests");
            }
            Self::Schema => "schema does not belong to the algorithm",
            Self::Source => "a source has an empty text or a commit that is not 40 digits",
        })
    }
}

/// A flaw and the test that has it, if it is one test's.
#[derive(Debug)]
pub(crate) struct FlawAt {
    pub(crate) flaw: Flaw,
    pub(crate) tc_id: Option<u32>,
}
