//! Card verification values from a CVK pair: CVV, CVV2 and iCVV (CVC, CAV and CVN are the same
//! sum).
//!
//! The calculation is the schemes' two-key triple-DES one over PAN, expiry and service code; it is
//! written out step by step in [`hazmat::Steps`]. The crate does no I/O, reads no clock, keeps no
//! global state and serialises nothing: card data goes in through parsers that refuse what is not
//! card data, and a [`Cvv`] comes out.
//!
//! ```
//! use cvv2::{CvkPair, Expiry, ExpiryOrder, Pan, Policy, Verdict};
//!
//! # fn main() -> Result<(), Box<dyn core::error::Error>> {
//! // A published test key; a live key is parsed under `Policy::Strict`.
//! let hex = "0123456789ABCDEFFEDCBA9876543210";
//! let cvk = CvkPair::from_hex(hex, ExpiryOrder::YyMm, Policy::TestVectors)?;
//! let pan = Pan::parse("4123456789012345")?;
//! let expiry = Expiry::parse_yymm("8701")?;
//!
//! let cvv2 = cvk.cvv2(&pan, &expiry)?;
//! assert_eq!(cvk.verify_cvv2(&pan, &expiry, cvv2.expose().as_str())?, Verdict::Match);
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! `std`, on by default, adds threads for large batches and the detection of what the processor can
//! do; without it the crate is `no_std` with `alloc`. No feature changes a result.
//!
//! # What is secret, and how it is held
//!
//! [`Pan`], [`Expiry`], [`ServiceCode`], [`Cvv`], [`PackedCard`] and [`CvkPair`] have no `Display`
//! and no serialisation, print nothing of their content under `Debug`, compare in constant time and
//! are zeroized when dropped. The digits of a PAN or a value are to be had by a method named
//! `expose` only, which is easy to search for (and by [`hazmat`], under test keys). Key bytes
//! cannot be read back at all; they live in a [`secret::Secret`].
//!
//! # The way through the crate
//!
//! | module | holds |
//! |---|---|
//! | [`card`] | [`Pan`], [`Expiry`], [`ServiceCode`], [`Cvv`], and [`PackedCard`] that kernels take |
//! | [`key`] | [`CvkPair`], [`Policy`], [`Kcv`], [`Component`] |
//! | [`key::block`] | [`KeyBlock`], [`Kbpk`]: keys that arrive in X9.143 key blocks |
//! | `cvv` | generate and verify, as methods of [`CvkPair`] |
//! | `batch` | threads, and [`Grouping`] for cards of many keys |
//! | [`secret`] | guarded memory, and core dumps off |
//! | [`kernel`] | the one place that chooses how DES is computed |
//! | [`hazmat`] | primitives and intermediate values, for test vectors and auditors |
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

mod batch;
pub mod card;
mod cvv;
mod declassify;
pub mod hazmat;
pub mod kernel;
pub mod key;
mod residue;
pub mod secret;

pub use batch::Grouping;
pub use card::{
    Cvv, CvvError, CvvLength, CvvText, Expiry, ExpiryError, ExpiryOrder, PackedCard, Pan, PanError,
    ServiceCode, ServiceCodeError,
};
pub use cvv::{ComputeError, Verdict, VerifyError};
pub use kernel::Kernel;
pub use key::{Component, CvkPair, Kbpk, Kcv, KcvMethod, KeyBlock, KeyError, Policy};

/// The README's example is compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
