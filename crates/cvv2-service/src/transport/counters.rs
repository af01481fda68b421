//! What the transport counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What happened at the transport, since the process began.
#[derive(Debug, Default)]
pub struct TransportCounters {
    events: [AtomicU64; TransportEvent::ALL.len()],
    connections: AtomicU64,
    requests: AtomicU64,
}

impl TransportCounters {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How often something happened.
    #[must_use]
    pub fn count(&self, event: TransportEvent) -> u64 {
        self.events[event as usize].load(Relaxed)
    }

    /// Connections that are open now, those in their handshake among them.
    #[must_use]
    pub fn connections_open(&self) -> u64 {
        self.connections.load(Relaxed)
    }

    /// Requests whose answer has not been given to the connection as a whole.
    #[must_use]
    pub fn requests_in_flight(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    pub(super) fn add(&self, event: TransportEvent) {
        self.events[event as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn connection_opened(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    pub(super) fn connection_closed(&self) {
        self.connections.fetch_sub(1, Relaxed);
    }

    pub(super) fn request_began(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    pub(super) fn request_ended(&self) {
        self.requests.fetch_sub(1, Relaxed);
    }
}

/// Something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportEvent {
    /// A connection was accepted.
    Accepted,
    /// The system could not accept a connection; after a pause it is asked again.
    AcceptFailed,
    /// A connection was closed at once, because its address has as many as one may have.
    AddressFull,
    /// A body did not arrive in its time.
    BodyTimedOut,
    /// A body was longer than it may be.
    BodyTooLarge,
    /// As many connections as may be were open; the next one waited until one of them ended.
    ConnectionsFull,
    /// A TLS handshake failed: another protocol, no common parameters, no good client certificate.
    HandshakeFailed,
    /// A TLS handshake did not end in its time.
    HandshakeTimedOut,
    /// A request had too many header fields. Those with too many bytes are refused before they are
    /// counted.
    HeadersTooMany,
    /// The head of a request did not arrive in its time.
    HeaderTimedOut,
    /// A connection was closed because nothing was asked on it any more.
    IdleTimedOut,
    /// A connection was told to end because it was old.
    LifetimePassed,
    /// A request was answered, or its connection closed, because of a panic.
    Panicked,
    /// A request began.
    Requested,
    /// A request was not answered in its time.
    RequestTimedOut,
    /// A client did not take its answer in its time.
    WriteTimedOut,
}

impl TransportEvent {
    /// Every event.
    pub const ALL: [Self; 16] = [
        Self::Accepted,
        Self::AcceptFailed,
        Self::AddressFull,
        Self::BodyTimedOut,
        Self::BodyTooLarge,
        Self::ConnectionsFull,
        Self::HandshakeFailed,
        Self::HandshakeTimedOut,
        Self::HeadersTooMany,
        Self::HeaderTimedOut,
        Self::IdleTimedOut,
        Self::LifetimePassed,
        Self::Panicked,
        Self::Requested,
        Self::RequestTimedOut,
        Self::WriteTimedOut,
    ];

    /// Its name, for metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::AcceptFailed => "accept_failed",
            Self::AddressFull => "address_full",
            Self::BodyTimedOut => "body_timed_out",
            Self::BodyTooLarge => "body_too_large",
            Self::ConnectionsFull => "connections_full",
            Self::HandshakeFailed => "handshake_failed",
            Self::HandshakeTimedOut => "handshake_timed_out",
            Self::HeadersTooMany => "headers_too_many",
            Self::HeaderTimedOut => "header_timed_out",
            Self::IdleTimedOut => "idle_timed_out",
            Self::LifetimePassed => "lifetime_passed",
            Self::Panicked => "panicked",
            Self::Requested => "requested",
            Self::RequestTimedOut => "request_timed_out",
            Self::WriteTimedOut => "write_timed_out",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_has_a_place_and_a_name_of_its_own() {
        let counters = TransportCounters::new();
        for (at, event) in TransportEvent::ALL.into_iter().enumerate() {
            assert_eq!(event as usize, at);
            counters.add(event);
            assert_eq!(counters.count(event), 1);
        }
        let mut names: Vec<_> = TransportEvent::ALL.iter().map(|event| event.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TransportEvent::ALL.len());
    }
}
