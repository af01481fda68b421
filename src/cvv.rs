//! Generate and verify: the card verification value of one card, or of many, under a [`CvkPair`].
//!
//! CVV, CVV2 and iCVV are one calculation with different service codes: the stripe's own, `000` and
//! `999`. Mastercard calls them CVC1, CVC2 and Chip CVC, JCB CAV and CAV2, `UnionPay` CVN and CVN2.

use core::fmt;

use subtle::ConstantTimeEq;

use crate::card::{Cvv, CvvError, CvvLength, Expiry, PackedCard, Pan, ServiceCode};
use crate::declassify::declassify;
use crate::key::CvkPair;

impl CvkPair {
    /// The three-digit CVV (CVC1, CAV, CVN) that the magnetic stripe carries.
    ///
    /// ```
    /// # use cvv2::{CvkPair, Expiry, ExpiryOrder, Pan, Policy, ServiceCode};
    /// # let hex = "0123456789ABCDEFFEDCBA9876543210";
    /// # let cvk = CvkPair::from_hex(hex, ExpiryOrder::YyMm, Policy::TestVectors)?;
    /// let pan = Pan::parse("4123456789012345")?;
    /// let cvv = cvk.cvv(&pan, &Expiry::parse_yymm("8701")?, &ServiceCode::parse("101")?)?;
    /// assert_eq!(cvv.expose().as_str(), "561"); // Visa's published test set
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ComputeError`], as [`generate`](Self::generate).
    pub fn cvv(
        &self,
        pan: &Pan,
        expiry: &Expiry,
        service_code: &ServiceCode,
    ) -> Result<Cvv, ComputeError> {
        self.generate(&self.pack(pan, expiry, service_code), CvvLength::THREE)
    }

    /// The three-digit CVV2 (CVC2, CAV2, CVN2) printed on the card: service code `000`.
    ///
    /// # Errors
    ///
    /// [`ComputeError`], as [`generate`](Self::generate).
    pub fn cvv2(&self, pan: &Pan, expiry: &Expiry) -> Result<Cvv, ComputeError> {
        self.cvv(pan, expiry, &ServiceCode::CVV2)
    }

    /// The three-digit iCVV (Chip CVC) of the chip's track-2 equivalent data: service code `999`.
    ///
    /// # Errors
    ///
    /// [`ComputeError`], as [`generate`](Self::generate).
    pub fn icvv(&self, pan: &Pan, expiry: &Expiry) -> Result<Cvv, ComputeError> {
        self.cvv(pan, expiry, &ServiceCode::ICVV)
    }

    /// Verifies a typed or encoded CVV: three ASCII digits, compared in constant time.
    ///
    /// # Errors
    ///
    /// [`VerifyError::Typed`] if `typed` is not three ASCII digits, [`VerifyError::Compute`] as
    /// [`generate`](Self::generate).
    pub fn verify_cvv(
        &self,
        pan: &Pan,
        expiry: &Expiry,
        service_code: &ServiceCode,
        typed: &str,
    ) -> Result<Verdict, VerifyError> {
        let typed = Cvv::parse(typed, CvvLength::THREE)?;
        Ok(self.verify(&self.pack(pan, expiry, service_code), &typed)?)
    }

    /// Verifies a CVV2 as a person typed it: three ASCII digits, compared in constant time.
    ///
    /// ```
    /// # use cvv2::{CvkPair, CvvError, Expiry, ExpiryOrder, Pan, Policy, Verdict, VerifyError};
    /// # let hex = "0123456789ABCDEFFEDCBA9876543210";
    /// # let cvk = CvkPair::from_hex(hex, ExpiryOrder::YyMm, Policy::TestVectors)?;
    /// let (pan, expiry) = (Pan::parse("4000000000001618")?, Expiry::parse_yymm("2912")?);
    /// assert_eq!(cvk.verify_cvv2(&pan, &expiry, "124")?, Verdict::Match);
    /// assert_eq!(cvk.verify_cvv2(&pan, &expiry, "012")?, Verdict::Mismatch);
    /// assert_eq!(
    ///     cvk.verify_cvv2(&pan, &expiry, "12 ").unwrap_err(),
    ///     VerifyError::Typed(CvvError::NotADigit { at: 2 })
    /// );
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`verify_cvv`](Self::verify_cvv).
    pub fn verify_cvv2(
        &self,
        pan: &Pan,
        expiry: &Expiry,
        typed: &str,
    ) -> Result<Verdict, VerifyError> {
        self.verify_cvv(pan, expiry, &ServiceCode::CVV2, typed)
    }

    /// Verifies an iCVV: three ASCII digits, compared in constant time.
    ///
    /// # Errors
    ///
    /// As [`verify_cvv`](Self::verify_cvv).
    pub fn verify_icvv(
        &self,
        pan: &Pan,
        expiry: &Expiry,
        encoded: &str,
    ) -> Result<Verdict, VerifyError> {
        self.verify_cvv(pan, expiry, &ServiceCode::ICVV, encoded)
    }

    /// Packs a card for this key: with the expiry in the order that belongs to it.
    #[must_use]
    pub fn pack(&self, pan: &Pan, expiry: &Expiry, service_code: &ServiceCode) -> PackedCard {
        PackedCard::new(pan, expiry, self.expiry_order(), service_code)
    }

    /// The value of a packed card, with 1 to 5 digits.
    ///
    /// # Errors
    ///
    /// [`ComputeError`] if the engine refuses; no value is returned then.
    pub fn generate(&self, card: &PackedCard, length: CvvLength) -> Result<Cvv, ComputeError> {
        let mut out = [Cvv::EMPTY];
        self.generate_many(core::slice::from_ref(card), length, &mut out)?;
        let [cvv] = out;
        Ok(cvv)
    }

    /// The values of many packed cards, in the order of the cards.
    ///
    /// # Errors
    ///
    /// [`ComputeError`] if the engine refuses. Every slot of `out` is wiped or as it was then.
    /// [`ComputeError::NotForGenerating`] is the key's mode of use; after any other the key refuses
    /// from there on.
    ///
    /// # Panics
    ///
    /// If `out` has not exactly one slot for each card.
    pub fn generate_many(
        &self,
        cards: &[PackedCard],
        length: CvvLength,
        out: &mut [Cvv],
    ) -> Result<(), ComputeError> {
        if !self.mode_of_use().may_generate() {
            return Err(ComputeError::NotForGenerating);
        }
        self.compute_many(cards, length, out)
    }

    /// Computes, whatever the mode of use allows.
    fn compute_many(
        &self,
        cards: &[PackedCard],
        length: CvvLength,
        out: &mut [Cvv],
    ) -> Result<(), ComputeError> {
        assert_eq!(cards.len(), out.len(), "one output slot for each card");
        if self.is_refusing() {
            return Err(ComputeError::Refusing);
        }
        let proof = self.kernel().generate(self.material(), cards, length, out);
        if proof.is_none() {
            out.fill(Cvv::EMPTY);
            self.refuse();
            return Err(ComputeError::SelfTest);
        }
        Ok(())
    }

    /// Verifies a packed card against a value of 1 to 5 digits, in constant time.
    ///
    /// # Errors
    ///
    /// [`ComputeError`], as [`generate`](Self::generate), but [`ComputeError::NotForVerifying`] for
    /// the mode of use.
    pub fn verify(&self, card: &PackedCard, typed: &Cvv) -> Result<Verdict, ComputeError> {
        if !self.mode_of_use().may_verify() {
            return Err(ComputeError::NotForVerifying);
        }
        let Some(length) = CvvLength::new(typed.digits()) else { return Ok(Verdict::Mismatch) };
        let mut computed = [Cvv::EMPTY];
        self.compute_many(core::slice::from_ref(card), length, &mut computed)?;
        Ok(Verdict::from(computed[0].ct_eq(typed)))
    }
}

/// The answer to a verification. It does not say where two values differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a mismatch has to decline the card"]
#[expect(clippy::exhaustive_enums, reason = "a third answer would be a mistake in an `else`")]
pub enum Verdict {
    /// The value is the card's.
    Match,
    /// The value is not the card's.
    Mismatch,
}

impl From<subtle::Choice> for Verdict {
    fn from(equal: subtle::Choice) -> Self {
        if declassify(equal) { Self::Match } else { Self::Mismatch }
    }
}

/// Why no value was computed.
///
/// Every call also computes a card whose value was determined when the key was loaded. A processor
/// that errs, memory that lost a bit and a fault attack all show as another value for that card.
/// Besides, a key that came in a key block does what its mode of use allows, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ComputeError {
    /// The key verifies only: its key block has mode of use `V`.
    NotForGenerating,
    /// The key generates only: its key block has mode of use `G`.
    NotForVerifying,
    /// An earlier call failed its self-test; the key does not compute any more.
    Refusing,
    /// This call's known-answer card came out wrong; nothing was returned.
    SelfTest,
}

impl fmt::Display for ComputeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotForGenerating => {
                "this key is for verifying only; choose the key that generates"
            }
            Self::NotForVerifying => {
                "this key is for generating only; choose the key that verifies"
            }
            Self::Refusing => {
                "the engine refuses to compute since its self-test failed; take this machine out \
                 of service"
            }
            Self::SelfTest => {
                "the self-test of this computation failed and no value was returned; take this \
                 machine out of service"
            }
        })
    }
}

impl core::error::Error for ComputeError {}

/// Why a verification has no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyError {
    /// The engine refused to compute.
    Compute(ComputeError),
    /// What was typed is no card verification value.
    Typed(CvvError),
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compute(error) => error.fmt(f),
            Self::Typed(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for VerifyError {}

impl From<ComputeError> for VerifyError {
    fn from(error: ComputeError) -> Self {
        Self::Compute(error)
    }
}

impl From<CvvError> for VerifyError {
    fn from(error: CvvError) -> Self {
        Self::Typed(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::ExpiryOrder;
    use crate::kernel::Kernel;
    use crate::key::Policy;

    fn test_key(kernel: Kernel) -> CvkPair {
        let hex = "0123456789ABCDEFFEDCBA9876543210";
        CvkPair::from_hex(hex, ExpiryOrder::YyMm, Policy::TestVectors).unwrap().with_kernel(kernel)
    }

    /// Flips a bit of the clear key in every form of it, as a fault before their expansion would.
    fn flip(key: &mut CvkPair, bit: usize) {
        key.material_mut().reload(|bytes| bytes[bit / 8] ^= 1 << (bit % 8));
    }

    #[test]
    fn a_fault_in_any_bit_of_the_key_is_an_error_and_the_key_refuses_from_then_on() {
        let pan = Pan::parse("4123456789012345").unwrap();
        let expiry = Expiry::parse_yymm("8701").unwrap();
        for kernel in Kernel::all() {
            // Parity bits take no part in the calculation, so flipping one changes nothing.
            for bit in (0..128).filter(|bit| bit % 8 != 0) {
                let mut key = test_key(kernel);
                flip(&mut key, bit);
                let first = key.cvv(&pan, &expiry, &ServiceCode::CVV2).unwrap_err();
                flip(&mut key, bit);
                let second = key.cvv(&pan, &expiry, &ServiceCode::CVV2).unwrap_err();
                assert_eq!((first, second), (ComputeError::SelfTest, ComputeError::Refusing));
            }
        }
    }

    #[test]
    fn a_failed_batch_returns_nothing() {
        for kernel in Kernel::all() {
            let mut key = test_key(kernel);
            let pan = Pan::parse("4123456789012345").unwrap();
            let card = key.pack(&pan, &Expiry::parse_yymm("8701").unwrap(), &ServiceCode::ICVV);
            let cards = [const { None::<PackedCard> }; 3].map(|_| card.clone());
            let mut out = [const { Cvv::EMPTY }; 3];
            flip(&mut key, 9);
            key.generate_many(&cards, CvvLength::THREE, &mut out).unwrap_err();
            assert_eq!(out, [const { Cvv::EMPTY }; 3]);
        }
    }

    #[test]
    fn a_value_without_digits_matches_nothing() {
        let key = test_key(Kernel::detect());
        let pan = Pan::parse("4123456789012345").unwrap();
        let card = key.pack(&pan, &Expiry::parse_yymm("8701").unwrap(), &ServiceCode::CVV2);
        assert_eq!(key.verify(&card, &Cvv::EMPTY).unwrap(), Verdict::Mismatch);
    }
}
