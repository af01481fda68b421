//! What a connection is doing, and how long it may go on doing it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::connection_limits::ConnectionLimits;
use super::counters::{TransportCounters, TransportEvent};

/// How long a connection that was told to end may stay without a request.
///
/// Enough for the last words of HTTP/2, a ping there and back.
const FAREWELL: Duration = Duration::from_secs(1);

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// Shared by a connection, its requests, and the watch over both.
#[derive(Debug)]
pub(super) struct Activity {
    protocol: Protocol,
    counters: Arc<TransportCounters>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When it was opened, its handshake done.
    opened: Instant,
    /// Requests whose answer is not given to the connection as a whole.
    requests: u32,
    /// Whether there ever was one.
    asked: bool,
    /// When there last was one.
    quiet_since: Instant,
    /// When the first byte after the last request came.
    head_since: Option<Instant>,
    /// When a request last began or an answer went on.
    progress: Instant,
    /// Since when the client has not taken what was written.
    blocked_since: Option<Instant>,
    /// When it was told to end.
    ending_since: Option<Instant>,
    /// Whether the last request may have been answered before its body was read.
    answered_early: bool,
}

/// When to look at a connection again, and what is wrong if nothing has happened by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) at: Instant,
    pub(super) what: What,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// To tell the connection to end, for this reason.
    End(TransportEvent),
    /// To close the connection, for this reason.
    Close(TransportEvent),
    /// To close the connection, which was told to end for a reason that is counted.
    Leave,
    /// To look again.
    Look,
}

impl Activity {
    pub(super) fn new(protocol: Protocol, counters: Arc<TransportCounters>, now: Instant) -> Self {
        Self {
            protocol,
            counters,
            state: Mutex::new(State {
                opened: now,
                requests: 0,
                asked: false,
                quiet_since: now,
                head_since: None,
                progress: now,
                blocked_since: None,
                ending_since: None,
                answered_early: false,
            }),
        }
    }

    pub(super) fn counters(&self) -> &Arc<TransportCounters> {
        &self.counters
    }

    /// Bytes came.
    pub(super) fn read(&self) {
        let mut state = self.state();
        // The frames of HTTP/2 are no requests: a client must not stay by pings.
        if self.protocol == Protocol::Http1 && state.requests == 0 && state.head_since.is_none() {
            state.head_since = Some(Instant::now());
        }
    }

    /// Whether the client takes what is written.
    pub(super) fn written(&self, taken: bool) {
        let mut state = self.state();
        match (taken, state.blocked_since) {
            (true, Some(_)) => state.blocked_since = None,
            (false, None) => state.blocked_since = Some(Instant::now()),
            _ => (),
        }
    }

    /// An answer went on.
    pub(super) fn progressed(&self) {
        self.state().progress = Instant::now();
    }

    /// A request began; it ends when this is dropped.
    pub(super) fn request(self: &Arc<Self>) -> InFlight {
        let mut state = self.state();
        state.requests += 1;
        state.asked = true;
        state.head_since = None;
        state.answered_early = false;
        state.progress = Instant::now();
        drop(state);
        self.counters.request_began();
        self.counters.add(TransportEvent::Requested);
        InFlight(Arc::clone(self))
    }

    /// A request was answered, perhaps before its body was read.
    pub(super) fn answered_early(&self) {
        self.state().answered_early = true;
    }

    pub(super) fn was_answered_early(&self) -> bool {
        self.state().answered_early
    }

    /// The connection was told to end.
    pub(super) fn ending(&self) {
        self.state().ending_since = Some(Instant::now());
    }

    pub(super) fn requests(&self) -> u32 {
        self.state().requests
    }

    /// What is due next. To be asked again whenever the connection was polled.
    pub(super) fn due(&self, limits: &ConnectionLimits, now: Instant) -> Due {
        let state = self.state();
        let mut due = state.due_phase(limits, now);
        let mut sooner = |at: Instant, what: What| {
            if at < due.at {
                due = Due { at, what };
            }
        };
        if let Some(blocked) = state.blocked_since {
            let what = What::Close(TransportEvent::WriteTimedOut);
            sooner(blocked + limits.write_timeout(), what);
        }
        if let Some(ending) = state.ending_since {
            // However busy: the longest that a request may take, and its answer.
            sooner(ending + longest_request(limits), What::Leave);
        } else {
            let end = What::End(TransportEvent::LifetimePassed);
            sooner(state.opened + limits.connection_lifetime(), end);
        }
        due
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn due_phase(&self, limits: &ConnectionLimits, now: Instant) -> Due {
        let close = |at, event| Due { at, what: What::Close(event) };
        match (self.requests, self.ending_since, self.head_since) {
            // The request may end on another thread without waking whoever asks here. What becomes
            // due then is at least this far away.
            (1.., ending, _) => {
                let look = now + if ending.is_some() { FAREWELL } else { limits.idle_timeout() };
                let stuck = self.progress + longest_request(limits);
                if look < stuck {
                    Due { at: look, what: What::Look }
                } else {
                    close(stuck, TransportEvent::WriteTimedOut)
                }
            }
            (0, Some(ending), _) => {
                Due { at: ending.max(self.quiet_since) + FAREWELL, what: What::Leave }
            }
            (0, None, _) if !self.asked => {
                close(self.opened + limits.header_read_timeout(), TransportEvent::HeaderTimedOut)
            }
            (0, None, Some(head)) => {
                close(head + limits.header_read_timeout(), TransportEvent::HeaderTimedOut)
            }
            (0, None, None) => Due {
                at: self.quiet_since + limits.idle_timeout(),
                what: What::End(TransportEvent::IdleTimedOut),
            },
        }
    }
}

/// The longest from a request's head to its answer's last byte.
fn longest_request(limits: &ConnectionLimits) -> Duration {
    limits.request_deadline() + limits.write_timeout()
}

/// One request, until its answer is given to the connection as a whole.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Activity>);

impl InFlight {
    pub(super) fn activity(&self) -> &Activity {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.requests -= 1;
        if state.requests == 0 {
            state.quiet_since = Instant::now();
        }
        drop(state);
        self.0.counters.request_ended();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn activity(protocol: Protocol) -> (Arc<Activity>, ConnectionLimits, Instant) {
        let now = Instant::now();
        let activity = Activity::new(protocol, Arc::default(), now);
        (Arc::new(activity), ConnectionLimits::default(), now)
    }

    #[tokio::test(start_paused = true)]
    async fn each_phase_of_http1_has_its_time() {
        let (activity, limits, opened) = activity(Protocol::Http1);
        let due = || {
            let due = activity.due(&limits, Instant::now());
            (due.at - opened, due.what)
        };
        let header = What::Close(TransportEvent::HeaderTimedOut);
        assert_eq!(due(), (5 * SECOND, header));
        tokio::time::advance(SECOND).await;
        activity.read();
        assert_eq!(due(), (5 * SECOND, header), "the first head counts from the handshake on");

        let request = activity.request();
        assert_eq!(due(), (21 * SECOND, What::Close(TransportEvent::WriteTimedOut)));
        tokio::time::advance(SECOND).await;
        drop(request);
        let idle = What::End(TransportEvent::IdleTimedOut);
        assert_eq!(due(), (62 * SECOND, idle));
        tokio::time::advance(SECOND).await;
        activity.read();
        assert_eq!(due(), (8 * SECOND, header));

        let request = activity.request();
        activity.written(false);
        tokio::time::advance(SECOND).await;
        activity.written(false);
        assert_eq!(due(), (13 * SECOND, What::Close(TransportEvent::WriteTimedOut)));
        activity.written(true);
        drop(request);
        assert_eq!(due(), (64 * SECOND, idle));
        activity.ending();
        assert_eq!(due(), (5 * SECOND, What::Leave));
    }

    #[tokio::test(start_paused = true)]
    async fn pings_do_not_keep_an_http2_connection() {
        let (activity, limits, opened) = activity(Protocol::Http2);
        drop(activity.request());
        tokio::time::advance(SECOND).await;
        activity.read();
        let due = activity.due(&limits, Instant::now());
        assert_eq!(due.at - opened, 60 * SECOND);
        assert_eq!(due.what, What::End(TransportEvent::IdleTimedOut));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_that_becomes_due_unseen_is_seen_late() {
        let (activity, limits, _) = activity(Protocol::Http2);
        let limits = ConnectionLimits { idle_timeout_ms: 2_000, ..limits };
        let request = activity.request();
        let looked = activity.due(&limits, Instant::now());
        assert_eq!(looked.what, What::Look);
        drop(request);
        assert!(looked.at <= activity.due(&limits, Instant::now()).at);
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_connection_ends_even_if_it_is_busy() {
        let (activity, limits, opened) = activity(Protocol::Http2);
        let limits = ConnectionLimits { connection_lifetime_s: 3, ..limits };
        let _request = activity.request();
        let due = activity.due(&limits, Instant::now());
        assert_eq!(
            (due.at - opened, due.what),
            (3 * SECOND, What::End(TransportEvent::LifetimePassed))
        );
        tokio::time::advance(3 * SECOND).await;
        activity.ending();
        for _ in 0..25 {
            activity.progressed();
            tokio::time::advance(SECOND).await;
        }
        let due = activity.due(&limits, Instant::now());
        assert_eq!((due.at - opened, due.what), (23 * SECOND, What::Leave));
    }
}
