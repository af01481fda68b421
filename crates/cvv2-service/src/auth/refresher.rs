//! The thread that asks a provider for its keys.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::jwks_source::JwksSource;
use super::jwks_store::JwksStore;
use crate::clock::Clock;

/// Asks at once, and then again and again; stops when it is dropped.
pub(super) struct Refresher {
    store: Arc<JwksStore>,
}

impl Refresher {
    pub(super) fn start(
        source: JwksSource,
        store: Arc<JwksStore>,
        refresh: Duration,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let kept = Arc::clone(&store);
        // A try may take seconds, so nobody waits for the thread's end.
        thread::Builder::new().name("cvv2-jwks".to_owned()).spawn(move || {
            let mut failures = 0;
            loop {
                match source.read() {
                    Ok(keys) => {
                        store.put(keys, clock.now());
                        failures = 0;
                    }
                    Err(error) => {
                        store.failed(error.to_string());
                        failures += 1;
                    }
                }
                let now = Instant::now();
                if !store.wait(now + WANTED_PAUSE, now + pause(failures, refresh)) {
                    return;
                }
            }
        })?;
        Ok(Self { store: kept })
    }
}

impl Drop for Refresher {
    fn drop(&mut self) {
        self.store.stop();
    }
}

/// How long to wait after so many tries in a row that failed.
fn pause(failures: u32, refresh: Duration) -> Duration {
    match failures.checked_sub(1) {
        None => refresh,
        Some(doublings) => refresh.min(FAILED_PAUSE * 2_u32.pow(doublings.min(16))),
    }
}

/// The pause after the first try that failed; each failure after it doubles the pause.
const FAILED_PAUSE: Duration = Duration::from_secs(5);
/// The shortest pause if a token has a key that is not known: anybody can make up such tokens.
const WANTED_PAUSE: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_never_get_longer_than_the_usual_one() {
        let pauses = |failures| pause(failures, Duration::from_mins(5)).as_secs();
        assert_eq!(
            [0, 1, 2, 3, 6, 7, 8, u32::MAX].map(pauses),
            [300, 5, 10, 20, 160, 300, 300, 300]
        );
        assert_eq!(pause(9, Duration::from_mins(1)).as_secs(), 60);
    }
}
