//! The keys of a keyring, once somebody has unlocked it.

use std::sync::{Arc, PoisonError, RwLock};

use cvv2::secret::Protection;
use cvv2::{Expiry, Kernel, Pan};
use cvv2_keyring::{BinRange, Chosen, Date, Keyring, Kind, NoCvk};

use crate::cvk_source::{ChosenCvk, CvkError, CvkSource};

/// Chooses the CVV2 keys of a [`Keyring`] for a card.
///
/// It may start locked, for custodians who have not come yet, and the keyring may be exchanged for
/// a newer one while requests are answered: each of them is answered from the one or the other.
#[derive(Debug)]
pub struct KeyringSource {
    keyring: RwLock<Option<Arc<Keyring>>>,
    without_cvv2: Vec<BinRange>,
}

impl KeyringSource {
    /// The keys of this keyring. Cards of the BINs `without_cvv2` have no CVV2, whatever keys there
    /// are for them.
    #[must_use]
    pub fn new(keyring: Arc<Keyring>, without_cvv2: Vec<BinRange>) -> Self {
        Self { keyring: RwLock::new(Some(keyring)), without_cvv2 }
    }

    /// No keys, until they are [unlocked](Self::unlock).
    #[must_use]
    pub fn locked(without_cvv2: Vec<BinRange>) -> Self {
        Self { keyring: RwLock::new(None), without_cvv2 }
    }

    /// Takes the keys of this keyring from now on.
    pub fn unlock(&self, keyring: Arc<Keyring>) {
        self.exchange(Some(keyring));
    }

    /// Gives the keys up: a keyring that nobody else holds is wiped when the last request that uses
    /// it is answered.
    pub fn lock(&self) {
        self.exchange(None);
    }

    /// The weakest protection that the memory of a key has; `None` while there is none.
    #[must_use]
    pub fn protection(&self) -> Option<Protection> {
        let keyring = self.keyring.read().unwrap_or_else(PoisonError::into_inner);
        keyring.as_ref()?.protection()
    }

    fn ask<T>(
        &self,
        pan: &Pan,
        question: impl FnOnce(&Keyring) -> Result<T, CvkError>,
    ) -> Result<T, CvkError> {
        if self.without_cvv2.iter().any(|bins| bins.contains(pan)) {
            return Err(CvkError::NoCvv2ForProduct);
        }
        let keyring = self.keyring.read().unwrap_or_else(PoisonError::into_inner);
        question(keyring.as_deref().ok_or(CvkError::Locked)?)
    }

    fn exchange(&self, keyring: Option<Arc<Keyring>>) {
        // Nothing of it is half done when a thread panics.
        let mut place = self.keyring.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *place, keyring);
        drop(place);
        drop(old); // to wipe ten thousand keys takes time, and requests need not wait for it
    }
}

impl CvkSource for KeyringSource {
    fn generating(&self, pan: &Pan, expiry: &Expiry, on: Date) -> Result<ChosenCvk, CvkError> {
        self.ask(pan, |keyring| Ok(keyring.in_force(pan, Kind::Cvv2, expiry, on)?.into()))
    }

    fn verifying(&self, pan: &Pan, expiry: &Expiry, on: Date) -> Result<Vec<ChosenCvk>, CvkError> {
        self.ask(pan, |keyring| {
            let keys = keyring.verifying(pan, Kind::Cvv2, expiry, on);
            let keys: Vec<ChosenCvk> = keys.map(ChosenCvk::from).collect();
            if keys.is_empty() {
                // Whether there is a key that may do something else.
                let other = keyring.in_force(pan, Kind::Cvv2, expiry, on);
                return Err(other.err().unwrap_or(NoCvk::NotAllowed).into());
            }
            Ok(keys)
        })
    }

    fn is_unlocked(&self) -> bool {
        self.keyring.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn kernel(&self) -> Kernel {
        let keyring = self.keyring.read().unwrap_or_else(PoisonError::into_inner);
        keyring.as_ref().map_or_else(Kernel::detect, |keyring| keyring.kernel())
    }

    fn ages_days(&self, today: Date) -> Vec<(String, i64)> {
        let keyring = self.keyring.read().unwrap_or_else(PoisonError::into_inner);
        let keys = keyring.iter().flat_map(|keyring| keyring.list());
        keys.filter(|key| key.state.verifies() && key.from <= today)
            .map(|key| (key.kcv.to_string(), (today - key.from).whole_days()))
            .collect()
    }
}

impl From<Chosen<'_>> for ChosenCvk {
    fn from(chosen: Chosen<'_>) -> Self {
        Self { cvk: Arc::clone(chosen.cvk), kcv: chosen.entry.kcv }
    }
}

impl From<NoCvk> for CvkError {
    fn from(no_cvk: NoCvk) -> Self {
        match no_cvk {
            NoCvk::NotAllowed => Self::NotAllowed,
            _ => Self::NoKey,
        }
    }
}
