//! Keys, policies and orders as files write them.

use cvv2::{CvkPair, ExpiryOrder, Kernel, KeyError, Policy};
use serde::Deserialize;

/// The card verification key of a group.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Key {
    pub(super) cvk: String,
    pub(super) policy: PolicyName,
}

impl Key {
    pub(super) fn import(&self, order: ExpiryOrder, kernel: Kernel) -> Result<CvkPair, KeyError> {
        let key = CvkPair::from_hex(&self.cvk, order, self.policy.into())?;
        Ok(key.with_kernel(kernel))
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum PolicyName {
    Strict,
    TestVectors,
}

impl From<PolicyName> for Policy {
    fn from(name: PolicyName) -> Self {
        match name {
            PolicyName::Strict => Self::Strict,
            PolicyName::TestVectors => Self::TestVectors,
        }
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum OrderName {
    MmYy,
    YyMm,
}

impl From<OrderName> for ExpiryOrder {
    fn from(name: OrderName) -> Self {
        match name {
            OrderName::MmYy => Self::MmYy,
            OrderName::YyMm => Self::YyMm,
        }
    }
}
