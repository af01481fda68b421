//! The operation as its users see it: bytes in, bytes out.
#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails the test")]

mod bank;
mod echo;
mod keys;
mod limits;
mod malformed;
mod operation;
mod published;
mod secrecy;
mod verify;
