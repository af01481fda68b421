//! Which key computes for a card.

use std::fmt;
use std::sync::Arc;

use cvv2::{CvkPair, Expiry, Kernel, Pan};
use cvv2_keyring::CheckValue;
use time::Date;

/// Chooses the CVKs of a card.
pub trait CvkSource: Send + Sync {
    /// The key that generates for this card on this day.
    ///
    /// # Errors
    ///
    /// [`CvkError`] if there is none that may be used.
    fn generating(&self, pan: &Pan, expiry: &Expiry, on: Date) -> Result<ChosenCvk, CvkError>;

    /// The keys that verify for this card on this day, the one in force first; at least one.
    ///
    /// # Errors
    ///
    /// [`CvkError`] if there is none that may be used.
    fn verifying(&self, pan: &Pan, expiry: &Expiry, on: Date) -> Result<Vec<ChosenCvk>, CvkError>;

    /// Whether there are keys at all.
    fn is_unlocked(&self) -> bool {
        true
    }

    /// How the keys compute.
    fn kernel(&self) -> Kernel {
        Kernel::detect()
    }

    /// For each key in use: its check value, and for how many days it has been in force.
    fn ages_days(&self, _today: Date) -> Vec<(String, i64)> {
        Vec::new()
    }
}

/// A key that may be used for a card.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "what a source has to give")]
pub struct ChosenCvk {
    /// The key.
    pub cvk: Arc<CvkPair>,
    /// Its check value, for the audit record.
    pub kcv: CheckValue,
}

/// Why there is no key for a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CvkError {
    /// The keys have not been unlocked.
    Locked,
    /// No key is set up for this BIN, expiry and day.
    NoKey,
    /// Cards of this BIN or product have no CVV2.
    NoCvv2ForProduct,
    /// The key there is may not be used for this.
    NotAllowed,
}

impl fmt::Display for CvkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Locked => "the key store is locked; unlock it",
            Self::NoKey => "no CVK is set up for the card's BIN and expiry on this day",
            Self::NoCvv2ForProduct => "the card's BIN is set up to have no CVV2",
            Self::NotAllowed => {
                "the CVK for the card's BIN may not be used for this; see its state and mode of use"
            }
        })
    }
}

impl std::error::Error for CvkError {}
