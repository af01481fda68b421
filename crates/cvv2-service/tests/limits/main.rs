//! Limits as their users see them: exact, durable, for many threads, and readable.
#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails the test")]

mod beside;
mod crashes;
mod guessing;
mod messages;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
#[path = "../../../cvv2-resolver/tests/postgres_server/mod.rs"]
mod postgres_server;
mod processes;
mod stores;
mod suite;
#[cfg(feature = "postgres")]
mod tables;
mod twin;
