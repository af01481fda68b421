//! The keys of a keyring, once somebody has unlocked it.

use std::sync::{Arc, PoisonError, RwLock};

use cvv2::{CvkPair, Expiry, Pan};
use cvv2_keyring::{BinRange, Date, Keyring, Kind, NoCvk};

use crate::cvk_source::{CvkError, CvkSource};

/// Chooses the CVV2 key of a [`Keyring`] that is in force for a card.
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

    fn exchange(&self, keyring: Option<Arc<Keyring>>) {
        // Nothing of it is half done when a thread panics.
        let mut place = self.keyring.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *place, keyring);
        drop(place);
        drop(old); // to wipe ten thousand keys takes time, and requests need not wait for it
    }
}

impl CvkSource for KeyringSource {
    fn cvk_for(&self, pan: &Pan, expiry: &Expiry, on: Date) -> Result<Arc<CvkPair>, CvkError> {
        if self.without_cvv2.iter().any(|bins| bins.contains(pan)) {
            return Err(CvkError::NoCvv2ForProduct);
        }
        let keyring = self.keyring.read().unwrap_or_else(PoisonError::into_inner);
        let keyring = keyring.as_deref().ok_or(CvkError::Locked)?;
        match keyring.in_force(pan, Kind::Cvv2, expiry, on) {
            Ok(chosen) => Ok(Arc::clone(chosen.cvk)),
            Err(NoCvk::NotAllowed) => Err(CvkError::NotAllowed),
            Err(_) => Err(CvkError::NoKey),
        }
    }
}
