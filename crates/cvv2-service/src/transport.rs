//! TCP and TLS beneath HTTP: who may connect, for how long, and how a service ends.
//!
//! [`serve`](fn@serve) has an accept loop of its own, because what protects a service from slow
//! clients is between the layers: a time for the handshake, for a request's head, for silence between
//! requests, for an answer that nobody takes, and an end for every connection. [`read_body`] adds the
//! time for a body. What is done with a request is somebody else's work, given as a
//! [`hyper::service::Service`]; [`hyper_util::service::TowerToHyperService`] makes one of a router.
//!
//! | module | holds |
//! |---|---|
//! | `connection_limits` | [`ConnectionLimits`]: every limit, with its unit |
//! | `tls_settings`, `tls_config` | [`TlsSettings`], and [`TlsConfig`]: what they say, loaded, and exchanged while it serves |
//! | `serve` | [`serve`](fn@serve), [`listen`] and the end of both, [`DrainReport`] |
//! | `connection` | one connection: handshake, requests, and when it is over |
//! | `activity`, `watched_io` | what a connection is doing, and since when |
//! | `requests`, `answer_body` | one request: its deadline, its panics, its answer until it is sent |
//! | `peer` | [`Peer`]: who sent a request |
//! | `addresses` | how many connections an address has |
//! | `body` | [`read_body`] |
//! | `panics` | [`install_panic_hook`] |
//! | `counters` | [`TransportCounters`] |

mod activity;
mod addresses;
mod answer_body;
mod body;
mod connection;
mod connection_limits;
mod counters;
mod panics;
mod peer;
mod requests;
mod serve;
mod tls_config;
mod tls_settings;
mod watched_io;

pub use body::{BodyError, read_body};
pub use connection_limits::{ConnectionLimits, ConnectionLimitsError};
pub use counters::{TransportCounters, TransportEvent};
pub use panics::install_panic_hook;
pub use peer::{Peer, TlsVersion};
pub use requests::Unanswered;
pub use serve::{DrainReport, Listener, listen, serve};
pub use tls_config::{TlsConfig, TlsError};
pub use tls_settings::{ClientAuth, TlsSettings, TlsSettingsError};
