//! The service over HTTPS, as its callers and operators see it.
#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails the test")]

#[path = "../service/bank.rs"]
#[allow(dead_code, reason = "the tests of the operations use the rest")]
mod bank;
#[path = "../service/keys.rs"]
#[allow(dead_code, reason = "the tests of the operations use the rest")]
mod keys;

mod administration;
mod answers;
mod entitlement;
mod failing;
mod figures;
mod home;
mod openapi;
mod recorded;
mod tokens;
