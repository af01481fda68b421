//! KBPKs that custodians type.

use cvv2::key::{Kbpk, KbpkAlgorithm, KbpkComponent, KbpkError};
use cvv2::secret::{Protection, Secret};
use cvv2::{Kcv, KcvMethod};

use super::KbpkSourceError;
use crate::CheckValue;
use crate::ceremony::{Assembly, Ceremony, Prompt};

/// Puts a [`Kbpk`] together from [`KbpkComponent`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KbpkAssembly {
    /// What the components are of.
    pub algorithm: KbpkAlgorithm,
    /// How well the memory of the components and the key is to be guarded, at least.
    pub at_least: Protection,
}

impl Assembly for KbpkAssembly {
    type Component = KbpkComponent;
    type Key = Kbpk;
    type Error = KbpkError;

    fn purpose(&self) -> &'static str {
        "Key block protection key (KBPK)"
    }

    fn algorithm(&self) -> &'static str {
        self.algorithm.name()
    }

    fn digits(&self) -> usize {
        2 * self.algorithm.key_len()
    }

    /// As HSMs show it: the older one for triple DES.
    fn kcv_method(&self) -> KcvMethod {
        match self.algorithm {
            KbpkAlgorithm::TdesDouble | KbpkAlgorithm::TdesTriple => KcvMethod::TdesZeros,
            _ => KcvMethod::Cmac,
        }
    }

    fn component(&self, hex: &str) -> Result<KbpkComponent, KbpkError> {
        KbpkComponent::from_hex(self.algorithm, hex, self.at_least)
    }

    fn component_kcv(&self, component: &KbpkComponent) -> Kcv {
        component.kcv_tdes_zeros().unwrap_or_else(|| component.kcv())
    }

    fn put_together(&self, components: &[KbpkComponent]) -> Result<Kbpk, KbpkError> {
        Kbpk::from_components(self.algorithm, components, self.at_least)
    }

    fn kcv(&self, key: &Kbpk) -> Kcv {
        key.kcv_tdes_zeros().unwrap_or_else(|| key.kcv())
    }
}

/// Has so many custodians type their components.
pub(super) fn load(
    count: usize,
    algorithm: KbpkAlgorithm,
    kcv: Option<CheckValue>,
    at_least: Protection,
    prompt: &mut dyn Prompt,
) -> Result<Kbpk, KbpkSourceError> {
    // Before anybody types: whether there is the memory for it.
    Secret::new([0_u8; 32], at_least).map_err(|error| KbpkSourceError::Key(error.into()))?;
    let ceremony = Ceremony { kcv, ..Ceremony::of(count) };
    let assembly = KbpkAssembly { algorithm, at_least };
    let (kbpk, _record) = ceremony.run(&assembly, prompt).map_err(KbpkSourceError::Custodians)?;
    Ok(kbpk)
}
