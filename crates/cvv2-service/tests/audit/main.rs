//! The audit trail as an auditor, an attacker and a broken disk see it.
#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails the test")]

mod anchor;
mod crash;
mod faults;
mod full_disk;
mod home;
mod opening;
mod power;
mod rotation;
mod tampering;
mod task;
mod twin;
