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
//! | [`audit`] | the audit trail: [`AuditLog`](audit::AuditLog), [`Verifier`](audit::Verifier) |
//! | `clock`, `settings` | [`Clock`], [`Settings`] |

pub mod audit;
mod caller;
mod card_key;
mod card_services;
mod cause;
mod clock;
mod cvk_source;
pub mod envelope;
mod keyring_source;
mod outcome;
mod scope;
mod service_key;
mod settings;

pub use caller::Caller;
pub use card_key::{CardHasher, CardKey};
pub use card_services::{Answer, CardServices};
pub use cause::Cause;
pub use clock::{Clock, SystemClock};
pub use cvk_source::{ChosenCvk, CvkError, CvkSource};
pub use keyring_source::KeyringSource;
pub use outcome::Outcome;
pub use scope::{Scope, Scopes};
pub use service_key::{Purpose, ServiceKey};
pub use settings::{ResponseFunction, Settings, SettingsError};
