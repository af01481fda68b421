//! Who asks.

use cvv2_resolver::BankId;

use crate::scope::{Scope, Scopes};

/// An authenticated caller: a name for the audit record, the banks whose cards it may ask for, and
/// what it may do with them.
///
/// Whoever makes one has authenticated it. A caller of no bank, or of no scope, is refused
/// everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    name: String,
    banks: Vec<BankId>,
    scopes: Scopes,
}

impl Caller {
    /// A caller of these banks with these scopes.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        banks: impl IntoIterator<Item = BankId>,
        scopes: Scopes,
    ) -> Self {
        Self { name: name.into(), banks: banks.into_iter().collect(), scopes }
    }

    /// The name for the audit record and for limits: one client, one name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The caller's bank of this code, if it is one of the caller's. The store is asked with what
    /// comes from here: never with a bank that only the request names.
    #[must_use]
    pub fn bank(&self, named: &BankId) -> Option<&BankId> {
        self.banks.iter().find(|bank| *bank == named)
    }

    /// Whether the caller is entitled to this.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.has(scope)
    }
}
