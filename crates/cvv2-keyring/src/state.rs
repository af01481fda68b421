//! What an issuer has decided about a key.

use std::fmt;

/// The state of a key, which an operator sets. Dates and mode of use restrict it further.
///
/// | state | generates | verifies | decides for its BINs | block is opened |
/// |---|---|---|---|---|
/// | `pending` | no | no | no | yes |
/// | `active` | yes | yes | yes | yes |
/// | `verify-only` | no | yes | yes | yes |
/// | `retired` | no | no | yes | no |
///
/// A pending key waits for a person, not for a date: it is as good as absent until somebody
/// activates it. An active key with a start in the future waits for that day by itself.
///
/// A key that *decides for its BINs* keeps the cards of its BINs from shorter prefixes of other
/// keys. A retired key still does: its cards get no value rather than one of a key that was never
/// meant for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a key whose state is not understood must not compute")]
pub enum State {
    /// In the keyring, checked, and not used until somebody activates it.
    Pending,
    /// Generates and verifies from its first to its last day.
    Active,
    /// Verifies what it generated once, until its last day.
    VerifyOnly,
    /// Never used again; kept for the record.
    Retired,
}

impl State {
    /// All of them, in the order of a key's life.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Active, Self::VerifyOnly, Self::Retired];

    /// `pending`, `active`, `verify-only` or `retired`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::VerifyOnly => "verify-only",
            Self::Retired => "retired",
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether a key of this state may generate.
    #[must_use]
    pub const fn generates(self) -> bool {
        matches!(self, Self::Active)
    }

    /// Whether a key of this state may verify.
    #[must_use]
    pub const fn verifies(self) -> bool {
        matches!(self, Self::Active | Self::VerifyOnly)
    }

    /// Whether a key of this state keeps the cards of its BINs from keys of shorter prefixes.
    #[must_use]
    pub const fn decides(self) -> bool {
        !matches!(self, Self::Pending)
    }

    /// Whether the key block is opened when the keyring is loaded.
    #[must_use]
    pub const fn is_opened(self) -> bool {
        !matches!(self, Self::Retired)
    }

    /// Whether a command may take a key from this state to `next`.
    ///
    /// Forward, and from `verify-only` back to `active`, which undoes a rotation. A retired key
    /// stays retired: who wants it back has to edit the file, and to know why.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Pending | Self::VerifyOnly, Self::Active | Self::Retired)
                | (Self::Active, Self::VerifyOnly | Self::Retired)
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_documentation() {
        for (state, row) in [
            (State::Pending, [false, false, false, true]),
            (State::Active, [true, true, true, true]),
            (State::VerifyOnly, [false, true, true, true]),
            (State::Retired, [false, false, true, false]),
        ] {
            let is = [state.generates(), state.verifies(), state.decides(), state.is_opened()];
            assert_eq!(is, row, "{state}");
            assert_eq!(State::by_name(state.name()), Some(state));
        }
        assert_eq!(State::by_name("Active"), None);
    }

    #[test]
    fn every_step_from_state_to_state() {
        let steps: Vec<_> = State::ALL
            .iter()
            .flat_map(|from| State::ALL.map(|to| (*from, to)))
            .filter(|(from, to)| from.may_become(*to))
            .collect();
        assert_eq!(
            steps,
            [
                (State::Pending, State::Active),
                (State::Pending, State::Retired),
                (State::Active, State::VerifyOnly),
                (State::Active, State::Retired),
                (State::VerifyOnly, State::Active),
                (State::VerifyOnly, State::Retired),
            ]
        );
    }
}
