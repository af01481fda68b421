//! A pair of card verification keys from its components.

use cvv2::secret::Protection;
use cvv2::{Component, CvkPair, ExpiryOrder, Kcv, KcvMethod, KeyError, Policy};

use super::Assembly;

/// Puts a [`CvkPair`] together from [`Component`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CvkAssembly {
    /// How the expiry enters the calculation.
    pub expiry_order: ExpiryOrder,
    /// What is refused of the key.
    pub policy: Policy,
    /// How the custodians' forms compute check values.
    pub kcv_method: KcvMethod,
    /// How well the memory of the components and the key is to be guarded, at least.
    pub at_least: Protection,
}

impl CvkAssembly {
    /// A live key: strict policy, and check values as every payment HSM shows them.
    #[must_use]
    pub fn live(expiry_order: ExpiryOrder, at_least: Protection) -> Self {
        let (policy, kcv_method) = (Policy::Strict, KcvMethod::TdesZeros);
        Self { expiry_order, policy, kcv_method, at_least }
    }
}

impl Assembly for CvkAssembly {
    type Component = Component;
    type Key = CvkPair;
    type Error = KeyError;

    fn purpose(&self) -> &'static str {
        "Card verification key (CVK A and CVK B)"
    }

    fn algorithm(&self) -> &'static str {
        "tdes-double"
    }

    fn digits(&self) -> usize {
        2 * CvkPair::LEN
    }

    fn kcv_method(&self) -> KcvMethod {
        self.kcv_method
    }

    fn component(&self, hex: &str) -> Result<Component, KeyError> {
        Component::from_hex_in(hex, self.at_least)
    }

    fn component_kcv(&self, component: &Component) -> Kcv {
        component.kcv(self.kcv_method)
    }

    /// The components bring with them what memory the key is to have.
    fn put_together(&self, components: &[Component]) -> Result<CvkPair, KeyError> {
        CvkPair::from_components(components, self.expiry_order, self.policy)
    }

    fn kcv(&self, key: &CvkPair) -> Kcv {
        key.kcv(self.kcv_method)
    }
}
