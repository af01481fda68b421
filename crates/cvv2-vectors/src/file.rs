//! What every vector file looks like, whatever it tests.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer};

use crate::flaw::{Flaw, FlawAt};
use crate::outcome::{Outcome, Refusal, RefusedBy};

/// A file whose groups are `G`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct File<G> {
    /// Names what the file tests; it chose `G`.
    pub(crate) algorithm: String,
    pub(crate) schema: String,
    pub(crate) number_of_tests: usize,
    pub(crate) notes: BTreeMap<Flag, Note>,
    pub(crate) test_groups: Vec<G>,
}

/// Tests with a common source, and often a common key.
pub(crate) trait Group {
    type Test: VectorTest;

    fn source(&self) -> &Source;

    fn tests(&self) -> &[Self::Test];
}

/// What one test has in common with all others.
pub(crate) trait VectorTest {
    fn head(&self) -> Head<'_>;

    /// The parts of the answer: all present in a valid test, all absent in an invalid one.
    fn answer(&self) -> Vec<Option<String>>;

    /// What the test says of a refusal besides its reason and its position.
    fn refusal_detail(&self) -> String {
        String::new()
    }

    /// The answer or the refusal that the test expects.
    fn expected(&self) -> Outcome {
        let head = self.head();
        match head.refused_by {
            Some(by) => {
                Outcome::Refused(Refusal { by, at: head.at, detail: self.refusal_detail() })
            }
            None => Outcome::answer(self.answer().into_iter().flatten()),
        }
    }
}

/// The fields that every test has.
pub(crate) struct Head<'a> {
    pub(crate) tc_id: u32,
    pub(crate) comment: &'a str,
    pub(crate) flags: &'a [Flag],
    pub(crate) result: Validity,
    pub(crate) refused_by: Option<RefusedBy>,
    pub(crate) at: Option<usize>,
}

/// Declares the shape of a test: the fields that all tests share, and its own.
macro_rules! vector_test {
    ($(#[$doc:meta])* $name:ident { $($(#[$meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "camelCase")]
        pub(crate) struct $name {
            tc_id: u32,
            comment: String,
            flags: Vec<$crate::file::Flag>,
            result: $crate::file::Validity,
            #[serde(default, deserialize_with = "crate::file::present")]
            refused_by: Option<$crate::outcome::RefusedBy>,
            #[serde(default, deserialize_with = "crate::file::present")]
            at: Option<usize>,
            $($(#[$meta])* $field: $type,)*
        }

        impl $name {
            fn shared(&self) -> $crate::file::Head<'_> {
                $crate::file::Head {
                    tc_id: self.tc_id,
                    comment: &self.comment,
                    flags: &self.flags,
                    result: self.result,
                    refused_by: self.refused_by,
                    at: self.at,
                }
            }
        }
    };
}
pub(crate) use vector_test;

/// Declares the accessors of a [`Group`] with the fields `source` and `tests`.
macro_rules! vector_group {
    ($name:ident, $test:ty) => {
        impl $crate::file::Group for $name {
            type Test = $test;

            fn source(&self) -> &$crate::file::Source {
                &self.source
            }

            fn tests(&self) -> &[$test] {
                &self.tests
            }
        }
    };
}
pub(crate) use vector_group;

/// Whether the library must answer or refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Validity {
    Invalid,
    Valid,
}

/// Where the values of a group come from.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    name: String,
    reference: String,
    #[serde(default, deserialize_with = "present")]
    commit: Option<String>,
    pub(crate) provenance: Provenance,
    evidence: String,
    #[serde(default, deserialize_with = "present")]
    note: Option<String>,
}

impl Source {
    /// Whether everything that is stated says something.
    fn is_complete(&self) -> bool {
        let commit = self.commit.as_ref().is_none_or(|commit| {
            commit.len() == 40 && commit.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        });
        let texts = [&self.name, &self.reference, &self.evidence];
        commit && texts.into_iter().chain(&self.note).all(|text| !text.trim().is_empty())
    }
}

/// Who says that a value is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Provenance {
    /// This project, by implementations that are independent of it.
    Computed,
    /// Somebody else.
    Published,
}

/// What a flag means, for people.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Note {
    #[expect(dead_code, reason = "read so that it has to be there and be known")]
    bug_type: BugType,
    description: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum BugType {
    Basic,
    EdgeCase,
    InputValidation,
    KeyPolicy,
}

/// What is special about a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(crate) enum Flag {
    AesKey,
    AllZero,
    BadParity,
    CheckValue,
    Cmac,
    Component,
    Cvv2,
    EqualHalves,
    ExpiryMmYy,
    ExtendedLength,
    HmacKey,
    ICvv,
    LeadingZero,
    LengthLie,
    LowerCase,
    Malformed,
    MaskedLength,
    MultiBlock,
    NotADate,
    OptionalBlock,
    OtherLength,
    PaddingBlock,
    PanLength12,
    PanLength13,
    PanLength14,
    PanLength15,
    PanLength16,
    PanLength17,
    PanLength18,
    PanLength19,
    SecondPass,
    SemiWeakKey,
    SingleLengthKey,
    Tampered,
    TripleLengthKey,
    Typed,
    VersionA,
    VersionB,
    VersionC,
    VersionD,
    WeakKey,
    WrongKbpk,
    WrongKcv,
    WrongMode,
    WrongUsage,
}

impl<G: Group> File<G> {
    /// Checks what the types alone cannot.
    pub(crate) fn lint(&self, expected_schema: &str) -> Result<(), FlawAt> {
        if self.schema != expected_schema {
            return Err(Flaw::Schema.in_file());
        }
        if self.test_groups.iter().any(|group| group.tests().is_empty()) {
            return Err(Flaw::EmptyGroup.in_file());
        }
        if !self.test_groups.iter().all(|group| group.source().is_complete()) {
            return Err(Flaw::Source.in_file());
        }

        let heads = || self.test_groups.iter().flat_map(Group::tests).map(VectorTest::head);
        let counted = heads().count();
        if counted == 0 || counted != self.number_of_tests {
            let stated = self.number_of_tests;
            return Err(Flaw::NumberOfTests { stated, counted }.in_file());
        }
        let mut seen = BTreeSet::new();
        if let Some(head) = heads().find(|head| !seen.insert(head.tc_id)) {
            return Err(Flaw::DuplicateTcId.in_test(head.tc_id));
        }

        let used: BTreeSet<Flag> = heads().flat_map(|head| head.flags).copied().collect();
        let explained = |(_, note): (_, &Note)| !note.description.trim().is_empty();
        if !self.notes.keys().eq(&used) || !self.notes.iter().all(explained) {
            return Err(Flaw::Notes.in_file());
        }
        for test in self.test_groups.iter().flat_map(Group::tests) {
            lint_test(test).map_err(|flaw| flaw.in_test(test.head().tc_id))?;
        }
        Ok(())
    }
}

/// Checks that `result`, `refusedBy`, `at`, `comment`, flags and answer go together.
fn lint_test(test: &impl VectorTest) -> Result<(), Flaw> {
    let head = test.head();
    let flags: BTreeSet<_> = head.flags.iter().collect();
    if flags.len() != head.flags.len() {
        return Err(Flaw::FlagTwice);
    }
    let answer = test.answer();
    match (head.result, head.refused_by) {
        (Validity::Valid, None) => {
            if answer.iter().any(Option::is_none) {
                return Err(Flaw::NoAnswer);
            }
            let refusal = head.at.is_some() || !test.refusal_detail().is_empty();
            if refusal || flags.contains(&Flag::Malformed) {
                return Err(Flaw::Contradiction);
            }
        }
        (Validity::Invalid, Some(by)) => {
            if answer.iter().any(Option::is_some) || by.has_position() != head.at.is_some() {
                return Err(Flaw::Contradiction);
            }
            if head.comment.trim().is_empty() {
                return Err(Flaw::NoComment);
            }
        }
        _ => return Err(Flaw::Contradiction),
    }
    Ok(())
}

/// Reads an optional field that, where it stands, has a value: `null` is refused.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}
