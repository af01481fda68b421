//! Who asks.

use cvv2_resolver::BankId;

/// An authenticated caller: a name for the audit record, and the banks whose cards it may ask for.
///
/// Whoever makes one has authenticated it. A caller of no bank is refused everything.
#[derive(Clone, Debug)]
pub struct Caller {
    name: String,
    banks: Vec<BankId>,
}

impl Caller {
    /// A caller of these banks.
    #[must_use]
    pub fn new(name: impl Into<String>, banks: impl IntoIterator<Item = BankId>) -> Self {
        Self { name: name.into(), banks: banks.into_iter().collect() }
    }

    /// The name for the audit record.
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
}
