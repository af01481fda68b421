//! Authentication as its users see it: headers and secrets in, callers and tokens out.
#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails the test")]

mod anything;
mod clients_file;
mod confusion;
mod endpoint;
mod https;
mod matrix;
mod own_tokens;
mod provider_tokens;
mod settings;
mod setup;
