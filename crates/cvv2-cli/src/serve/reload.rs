//! What SIGHUP does: keys, clients and certificates are read again, while requests are answered.

use std::sync::Arc;

use cvv2_keyring::Keyring;
use cvv2_service::audit::{Event, EventRecord, Record};
use time::OffsetDateTime;

use super::assembly::Assembly;
use super::log::{Level, Log};

/// Reads everything again that may change while the service runs. What is not in order stays as it
/// was, and is told; the rest is taken.
pub(super) fn reload(assembly: &Assembly, log: Log) {
    let keyring = Keyring::read(&assembly.keyring.path, &assembly.kbpk).map(|keyring| {
        assembly.keys.unlock(Arc::new(keyring));
    });
    let parts = [
        ("keyring", keyring.map_err(|e| e.to_string())),
        ("auth", assembly.http.auth.reload().map_err(|e| e.to_string())),
        ("tls", assembly.tls.reload().map_err(|e| e.to_string())),
    ];
    for (part, outcome) in parts {
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
}
