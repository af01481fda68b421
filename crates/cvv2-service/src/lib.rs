//! Get CVV2 and Verify CVV2: the operations and their envelope, and the service around them.
//!
//! Bytes of a request and an authenticated [`Caller`] go in, an [`Answer`] with the bytes of the
//! response and an HTTP status comes out. Sockets, TLS, tokens and files are other people's work;
//! the clock, the card store and the keys are given to [`CardServices::new`].
//!
//! # The way through the crate
//!
//! | module | holds |
//! |---|---|
//! | [`envelope`] | the wire: [`Request`](envelope::Request), [`ErrorCode`](envelope::ErrorCode), which error wins |
//! | `card_services` | [`CardServices`]: entitled, resolve, match the plastic, choose the key, compute |
//! | `cause` | [`Cause`]: what really happened, and what the caller is told |
//! | `outcome` | [`Outcome`]: what an audit record needs |
//! | `cvk_source`, `keyring_source` | [`CvkSource`], and [`KeyringSource`] as one of them |
//! | `caller`, `scope` | [`Caller`], and the [`Scope`]s that it may have |
//! | `service_key`, `card_key` | [`ServiceKey`], and [`CardKey`]: a card's name where its PAN must not stand |
//! | `message_key` | [`MessageKey`]: the name of a message that may come twice |
//! | [`auth`] | [`Authenticator`](auth::Authenticator), [`TokenEndpoint`](auth::TokenEndpoint): from a token to a [`Caller`], and from a secret to a token |
//! | [`limits`] | [`Limits`](limits::Limits): what stops guessing |
//! | [`audit`] | the audit trail: [`AuditLog`](audit::AuditLog), [`Verifier`](audit::Verifier) |
//! | `guard` | [`Guard`]: what is counted before anything is told |
//! | [`http`] | the routes: from a request to an operation, an audit record and an answer |
//! | [`metrics`] | [`Metrics`](metrics::Metrics): what Prometheus reads |
//! | `redo`, `checksum` | what makes records and charges durable in one write; how what is torn is found |
//! | `clock`, `settings` | [`Clock`], [`Settings`] |
//! | [`transport`] | TCP, TLS and time beneath HTTP: [`serve`](fn@transport::serve) |
//! | `certificate_fingerprint` | [`CertificateFingerprint`]: a client certificate's name |

pub mod audit;
pub mod auth;
mod caller;
mod card_key;
mod card_services;
mod cause;
mod certificate_fingerprint;
mod checksum;
mod clock;
mod cvk_source;
pub mod envelope;
mod guard;
pub mod http;
mod keyring_source;
pub mod limits;
mod message_key;
pub mod metrics;
mod outcome;
mod redo;
mod rfc3339;
mod scope;
mod service_key;
mod settings;
pub mod transport;

pub use caller::Caller;
pub use card_key::{CardHasher, CardKey};
pub use card_services::{Answer, CardServices, Readiness};
pub use cause::Cause;
pub use certificate_fingerprint::{CertificateFingerprint, CertificateFingerprintError};
pub use clock::{Clock, SystemClock};
pub use cvk_source::{ChosenCvk, CvkError, CvkSource};
pub use guard::{Guard, Replays};
pub use keyring_source::KeyringSource;
pub use message_key::MessageKey;
pub use outcome::Outcome;
pub use scope::{Scope, Scopes};
pub use service_key::{Purpose, ServiceKey};
pub use settings::{ResponseFunction, Settings, SettingsError};
