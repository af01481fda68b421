//! What SIGHUP does: keys, clients and certificates are read again, while requests are answered.

use std::fmt::Display;
use std::sync::Arc;

use cvv2_service::audit::{Event, EventRecord, Record};
use time::OffsetDateTime;

use super::assembly::Assembly;
use super::log::{Level, Log};
use crate::failure::Failure;

/// Reads everything again that may change while the service runs. What is not in order stays as it
/// was, and is told; the rest is taken.
pub(super) fn reload(assembly: &Assembly, log: Log) {
    let keyring = assembly.keyring.open_with(&assembly.kbpk);
    let keyring = keyring.map(|keyring| assembly.keys.unlock(Arc::new(keyring)));
    tell(assembly, log, "keyring", keyring.map_err(Failure::into_text));
    tell(assembly, log, "auth", assembly.http.auth.reload());
    tell(assembly, log, "tls", assembly.tls.reload());
}

/// Tells what became of a part that was read again.
pub(super) fn tell<E: Display>(
    assembly: &Assembly,
    log: Log,
    part: &'static str,
    outcome: Result<(), E>,
) {
    assembly.http.metrics.reloaded(outcome.is_ok());
    match outcome {
        Ok(()) => {
            log.write(Level::Info, "reloaded", &[("what", &part)]);
            let event = EventRecord {
                detail: Some(part),
                ..EventRecord::new(OffsetDateTime::now_utc(), Event::ConfigurationLoaded)
            };
            // If it cannot be written, no request is answered either.
            drop(assembly.http.audit.append(&Record::Event(event)));
        }
        Err(error) => {
            log.write(Level::Error, "not_reloaded", &[("what", &part), ("error", &error)]);
        }
    }
}
