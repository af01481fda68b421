//! Reads, checks and runs test vectors: JSON files in the shape that `vectors/README.md` describes.
//!
//! The tests of this repository and the command `cvv2 vectors` share this one runner. It uses
//! nothing but the public interface of `cvv2`, so what an auditor sees run is what is linked.
//!
//! A file is refused as a whole if anything about it is not as described: an unknown field, flag or
//! algorithm, a number of tests that is not the stated one, a test identifier twice, a test without
//! an expected answer. A runner that skipped what it does not understand would report success.
//!
//! ```no_run
//! use std::path::Path;
//!
//! # fn main() -> Result<(), cvv2_vectors::LoadError> {
//! let files = cvv2_vectors::load(Path::new("vectors"))?;
//! let report = cvv2_vectors::run(&files, &cvv2::Kernel::all().collect::<Vec<_>>());
//! println!("{report}");
//! assert_eq!(report.failed(), 0);
//! # Ok(())
//! # }
//! ```

mod file;
mod flaw;
mod load;
mod outcome;
mod report;
mod suite;

pub use flaw::Flaw;
pub use load::{FILE_BYTES_MAX, LoadError, LoadErrorKind, VectorFile, load, parse};
pub use report::{FailedTest, FileReport, Mismatch, Report, run};

#[cfg(test)]
mod tests;
