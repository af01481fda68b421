//! The transport as clients meet it: real sockets, real handshakes, good clients beside slow ones.
#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails the test")]

mod client;
mod crowd;
mod drain;
mod faults;
mod pki;
mod server;
mod sizes;
mod slow;
mod tls;
