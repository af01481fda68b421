//! What the child does on the parent's word, one thing at a time.

/// A thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Loads a key.
    Load,
    /// Computes what returns nothing by value: a check value and a CVV depend on the key as well,
    /// belong to the caller, and leave copies where they are moved.
    Fill,
    /// Computes all the rest.
    Use,
    /// Drops the key.
    Drop,
    /// Loads the sum of two components, and drops all three.
    Combine,
    /// Loads a text of which the last character is no digit.
    RefusedText,
    /// Loads a key that the policy refuses for one bit.
    RefusedPolicy,
    /// Puts a key in key blocks, takes it out of them, and drops all.
    KeyBlock,
    /// Takes a key out of key blocks that somebody changed.
    RefusedKeyBlock,
    /// Makes and opens key blocks with a protection key, and drops all.
    ProtectionKey,
    /// Panics and catches it while a key is alive that has computed.
    Panic,
    /// Writes a key to ordinary memory in every form.
    Plant,
    /// Forbids core dumps.
    ForbidCoreDumps,
    /// Ends by a signal that makes a core file.
    Abort,
}

impl Stage {
    /// The byte that stands for it on the way to the child.
    pub(crate) fn code(self) -> u8 {
        let at = ALL.iter().position(|stage| *stage == self).expect("all are there");
        b'a' + u8::try_from(at).expect("there are few")
    }

    pub(crate) fn by_code(code: u8) -> Option<Self> {
        ALL.get(usize::from(code.checked_sub(b'a')?)).copied()
    }

    /// Whether the child needs a key for it.
    pub(crate) fn takes_key(self) -> bool {
        !matches!(self, Self::Fill | Self::Use | Self::Drop | Self::ForbidCoreDumps | Self::Abort)
    }

    /// What there is to see after it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Load => "loaded",
            Self::Fill => "computed many",
            Self::Use => "used",
            Self::Drop => "dropped",
            Self::Combine => "combined and dropped",
            Self::RefusedText => "refused for a character",
            Self::RefusedPolicy => "refused by policy",
            Self::KeyBlock => "taken out of key blocks and dropped",
            Self::RefusedKeyBlock => "refused in key blocks",
            Self::ProtectionKey => "used for key blocks and dropped",
            Self::Panic => "alive in a panic",
            Self::Plant => "planted",
            Self::ForbidCoreDumps => "core dumps forbidden",
            Self::Abort => "aborted",
        }
    }
}

const ALL: [Stage; 14] = [
    Stage::Load,
    Stage::Fill,
    Stage::Use,
    Stage::Drop,
    Stage::Combine,
    Stage::RefusedText,
    Stage::RefusedPolicy,
    Stage::KeyBlock,
    Stage::RefusedKeyBlock,
    Stage::ProtectionKey,
    Stage::Panic,
    Stage::Plant,
    Stage::ForbidCoreDumps,
    Stage::Abort,
];
