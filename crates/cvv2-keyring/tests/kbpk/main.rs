//! Sources of a KBPK that depend on the process: its environment, and the modules it loads.
//!
//! Each is loaded in a process of its own, so that no test changes the environment of another.
#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod child;
mod environment;
#[cfg(feature = "pkcs11")]
mod token;

/// The protection key of a published key block.
const KEY: &str = "88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6";
/// Its check value, as OpenSSL computes it too.
const KCV: &str = "233155";
