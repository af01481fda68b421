//! A verification that is charged before anybody knows how it ends.

use std::fmt;
use std::sync::Arc;

use super::error::LimitError;
use super::store::{LimitStore, Reservation};

/// One verification of a card, charged as wrong.
///
/// Say [`matched`](Self::matched) and it is given back; say [`mismatched`](Self::mismatched), or
/// nothing at all, and it stays. So whatever happens between, a panic, a kill, many at a time,
/// there are never more wrong ones than the limit allows.
#[must_use = "a verification that is dropped has failed"]
pub struct Verification(Option<(Arc<dyn LimitStore>, Reservation)>);

impl Verification {
    pub(super) fn new(store: Arc<dyn LimitStore>, reservation: Reservation) -> Self {
        Self(Some((store, reservation)))
    }

    /// The value was right: it counts as no wrong one, but still as a request.
    ///
    /// # Errors
    ///
    /// [`LimitError`] if that cannot be recorded; then it stays a wrong one.
    pub fn matched(self) -> Result<(), LimitError> {
        self.settle(false)
    }

    /// The value was wrong.
    ///
    /// # Errors
    ///
    /// [`LimitError`] if the caller's percentage cannot be kept. The card's limits hold.
    pub fn mismatched(self) -> Result<(), LimitError> {
        self.settle(true)
    }

    fn settle(mut self, is_wrong: bool) -> Result<(), LimitError> {
        let (store, reservation) = self.0.take().expect("it is settled once, by whoever owns it");
        store.settle(reservation, is_wrong)
    }
}

impl Drop for Verification {
    fn drop(&mut self) {
        if let Some((store, reservation)) = self.0.take() {
            // The card was charged; of the caller's percentage nothing more can be said.
            let _ = store.settle(reservation, true);
        }
    }
}

impl fmt::Debug for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verification")
    }
}
