//! What a caller may do.

/// One thing that a caller may be entitled to, apart from the banks that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// Ask for CVV2s.
    Generate,
    /// Have CVV2s verified.
    Verify,
    /// See and clear limits.
    Administer,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Generate, Self::Verify, Self::Administer];

    /// Its name in tokens and in the file of clients.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generate => "cvv2:generate",
            Self::Verify => "cvv2:verify",
            Self::Administer => "cvv2:administer",
        }
    }

    /// The scope of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// No scope: entitled to nothing.
    pub const NONE: Self = Self(0);

    /// Whether the scope is one of them.
    #[must_use]
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & bit(scope) != 0
    }

    /// The scopes that are in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether every scope of the other is one of these.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// The scopes, in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | bit(scope)))
    }
}

const fn bit(scope: Scope) -> u8 {
    match scope {
        Scope::Generate => 1,
        Scope::Verify => 2,
        Scope::Administer => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for scope in Scope::ALL {
            assert_eq!(Scope::by_name(scope.name()), Some(scope));
        }
        for other in ["", "cvv2:", "generate", "CVV2:GENERATE", "cvv2:generate "] {
            assert_eq!(Scope::by_name(other), None);
        }
    }

    #[test]
    fn a_set_has_what_was_put_in() {
        let sets: Vec<Scopes> = (0..8)
            .map(|bits| {
                (0..3).filter(|at| bits & (1 << at) != 0).map(|at| Scope::ALL[at]).collect()
            })
            .collect();
        for (one, a) in sets.iter().enumerate() {
            assert_eq!(a.iter().collect::<Scopes>(), *a);
            for (other, b) in sets.iter().enumerate() {
                assert_eq!(a.and(*b), sets[one & other]);
                assert_eq!(a.contains(*b), one & other == other);
            }
        }
        assert!(Scopes::NONE.iter().next().is_none());
    }
}
