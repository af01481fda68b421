//! What signals ask for: SIGHUP a reload, SIGTERM or SIGINT an end, and a second one that it be now.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::assembly::Assembly;
use super::log::{Level, Log};
use super::notify::notify;
use super::reload::reload;

/// How far a service has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// It takes requests.
    Serving,
    /// It answers those that it has.
    Draining,
    /// It leaves.
    Over,
}

impl Stage {
    /// Waits until a service has come so far.
    pub(super) async fn reached(self, mut stages: watch::Receiver<Self>) {
        // An error means that nobody can tell any more.
        let _ = stages.wait_for(|stage| *stage >= self).await;
    }

    fn next(self) -> Self {
        match self {
            Self::Serving => Self::Draining,
            Self::Draining | Self::Over => Self::Over,
        }
    }
}

/// The signals that are waited for, from when this is made: none is lost.
pub(super) struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Does what they ask for.
    pub(super) async fn obey(
        mut self,
        assembly: Arc<Assembly>,
        log: Log,
        stages: watch::Sender<Stage>,
    ) -> Infallible {
        loop {
            tokio::select! {
                _ = self.hangup.recv() => {
                    let assembly = Arc::clone(&assembly);
                    let reloaded = tokio::task::spawn_blocking(move || reload(&assembly, log));
                    if reloaded.await.is_err() {
                        let fault = "a fault of the program";
                        log.write(Level::Error, "not_reloaded", &[("error", &fault)]);
                    }
                }
                _ = self.interrupt.recv() => stop("SIGINT", log, &stages),
                _ = self.terminate.recv() => stop("SIGTERM", log, &stages),
            }
        }
    }
}

fn stop(signal: &str, log: Log, stages: &watch::Sender<Stage>) {
    let stage = stages.borrow().next();
    let event = if stage == Stage::Draining { "stopping" } else { "cutting" };
    log.write(Level::Info, event, &[("signal", &signal)]);
    notify("STOPPING=1\n");
    stages.send_replace(stage);
}
