//! What a connection may take, and for how long.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

/// The limits of a listener and its connections. What a file does not name has its default.
///
/// ```
/// use cvv2_service::transport::ConnectionLimits;
///
/// let limits: ConnectionLimits = toml::from_str("idle_timeout_ms = 15_000").unwrap();
/// assert_eq!(limits.request_deadline_ms, 10_000);
/// limits.check().unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::exhaustive_structs, reason = "operators and tests fill it in with `..`")]
pub struct ConnectionLimits {
    /// Connections that are open at a time. Where there are as many, the next ones wait in the
    /// kernel's queue, which is bounded too. Each takes a file descriptor. Default: 4096.
    pub connections_max: u32,
    /// Connections of one address (IPv6: of one network of 64 bits) at a time; more are closed at
    /// once. Behind a proxy that is the proxy's address. Default: 1024.
    pub connections_per_address_max: u32,
    /// Time for the TLS handshake, from the connection on. Default: 5 s.
    pub tls_handshake_timeout_ms: u32,
    /// Time for the head of a request: for the first from the handshake on, for others (HTTP/1.1)
    /// from their first byte on. Default: 5 s.
    pub header_read_timeout_ms: u32,
    /// Time for a whole body, from when it is asked for. Default: 5 s.
    pub body_read_timeout_ms: u32,
    /// Time without a request after which a connection is closed. Default: 60 s.
    pub idle_timeout_ms: u32,
    /// Time for the client to take what was written to it. Default: 10 s.
    pub write_timeout_ms: u32,
    /// Time from a request's head to the head of its answer. Default: 10 s.
    pub request_deadline_ms: u32,
    /// Age at which a connection is told to end, so that load spreads over new replicas and a
    /// certificate that was revoked is of no use any more. Default: 3600 s.
    pub connection_lifetime_s: u32,
    /// Time for requests in flight when the service ends. Default: 30 s.
    pub drain_timeout_ms: u32,
    /// Bytes of a request's head: HTTP/1.1 with its first line, HTTP/2 as RFC 9113 6.5.2 counts,
    /// with 32 for each field. Default: 16 KiB.
    pub header_bytes_max: u32,
    /// Header fields of a request. Default: 64.
    pub headers_max: u32,
    /// Bytes of a body; as much is taken from memory for each that is read. Default: 16 KiB.
    pub body_bytes_max: u32,
    /// Requests at a time on an HTTP/2 connection. Default: 64.
    pub h2_streams_max: u32,
    /// Bytes that an HTTP/2 client may send ahead for one request. Default: 64 KiB less one.
    pub h2_stream_window_bytes: u32,
    /// Bytes that an HTTP/2 client may send ahead for all requests of a connection. Default: 256 KiB.
    pub h2_connection_window_bytes: u32,
    /// Time between pings on an HTTP/2 connection, and for the answer to one. Default: 20 s.
    pub h2_ping_interval_ms: u32,
}

impl ConnectionLimits {
    /// Refuses what would refuse every request, or bound nothing.
    ///
    /// # Errors
    ///
    /// [`ConnectionLimitsError`] with the first limit that is out of range.
    pub fn check(&self) -> Result<(), ConnectionLimitsError> {
        const MS: (u64, u64) = (10, 3_600_000);
        const WINDOW: (u64, u64) = (65_535, (1 << 31) - 1);
        let ranges = [
            ("connections_max", self.connections_max, (1, 1_000_000)),
            ("connections_per_address_max", self.connections_per_address_max, (1, 1_000_000)),
            ("tls_handshake_timeout_ms", self.tls_handshake_timeout_ms, MS),
            ("header_read_timeout_ms", self.header_read_timeout_ms, MS),
            ("body_read_timeout_ms", self.body_read_timeout_ms, MS),
            ("idle_timeout_ms", self.idle_timeout_ms, MS),
            ("write_timeout_ms", self.write_timeout_ms, MS),
            ("request_deadline_ms", self.request_deadline_ms, MS),
            ("connection_lifetime_s", self.connection_lifetime_s, (1, 7 * 86_400)),
            ("drain_timeout_ms", self.drain_timeout_ms, MS),
            ("header_bytes_max", self.header_bytes_max, (1024, 1 << 20)),
            // hyper has room for 100 on the stack.
            ("headers_max", self.headers_max, (8, 100)),
            ("body_bytes_max", self.body_bytes_max, (1, 16 << 20)),
            ("h2_streams_max", self.h2_streams_max, (1, 10_000)),
            ("h2_stream_window_bytes", self.h2_stream_window_bytes, WINDOW),
            ("h2_connection_window_bytes", self.h2_connection_window_bytes, WINDOW),
            ("h2_ping_interval_ms", self.h2_ping_interval_ms, MS),
        ];
        for (limit, value, (min, max)) in ranges {
            if !(min..=max).contains(&u64::from(value)) {
                return Err(ConnectionLimitsError { limit, min, max });
            }
        }
        Ok(())
    }

    pub(super) fn tls_handshake_timeout(&self) -> Duration {
        milliseconds(self.tls_handshake_timeout_ms)
    }

    pub(super) fn header_read_timeout(&self) -> Duration {
        milliseconds(self.header_read_timeout_ms)
    }

    pub(super) fn body_read_timeout(&self) -> Duration {
        milliseconds(self.body_read_timeout_ms)
    }

    pub(super) fn idle_timeout(&self) -> Duration {
        milliseconds(self.idle_timeout_ms)
    }

    pub(super) fn write_timeout(&self) -> Duration {
        milliseconds(self.write_timeout_ms)
    }

    pub(super) fn request_deadline(&self) -> Duration {
        milliseconds(self.request_deadline_ms)
    }

    pub(super) fn connection_lifetime(&self) -> Duration {
        Duration::from_secs(self.connection_lifetime_s.into())
    }

    pub(super) fn drain_timeout(&self) -> Duration {
        milliseconds(self.drain_timeout_ms)
    }

    pub(super) fn h2_ping_interval(&self) -> Duration {
        milliseconds(self.h2_ping_interval_ms)
    }
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            connections_per_address_max: 1024,
            tls_handshake_timeout_ms: 5_000,
            header_read_timeout_ms: 5_000,
            body_read_timeout_ms: 5_000,
            idle_timeout_ms: 60_000,
            write_timeout_ms: 10_000,
            request_deadline_ms: 10_000,
            connection_lifetime_s: 3600,
            drain_timeout_ms: 30_000,
            header_bytes_max: 16 << 10,
            headers_max: 64,
            body_bytes_max: 16 << 10,
            h2_streams_max: 64,
            h2_stream_window_bytes: (64 << 10) - 1,
            h2_connection_window_bytes: 256 << 10,
            h2_ping_interval_ms: 20_000,
        }
    }
}

/// A limit that is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionLimitsError {
    /// The name of the limit.
    pub limit: &'static str,
    /// The least that it may be.
    pub min: u64,
    /// The most that it may be.
    pub max: u64,
}

impl fmt::Display for ConnectionLimitsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, min, max } = self;
        write!(f, "{limit} has to be from {min} to {max}")
    }
}

impl std::error::Error for ConnectionLimitsError {}

fn milliseconds(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_pass_and_seams_hold() {
        let checked = |text: &str| {
            toml::from_str::<ConnectionLimits>(text).unwrap().check().map_err(|error| error.limit)
        };
        assert_eq!(toml::from_str::<ConnectionLimits>("").unwrap(), ConnectionLimits::default());
        assert_eq!(checked(""), Ok(()));
        for (limit, below, least, most, above) in [
            ("connections_max", 0, 1, 1_000_000, 1_000_001),
            ("idle_timeout_ms", 9, 10, 3_600_000, 3_600_001),
            ("header_bytes_max", 1023, 1024, 1_048_576, 1_048_577),
            ("headers_max", 7, 8, 100, 101),
            ("h2_stream_window_bytes", 65_534, 65_535, 2_147_483_647, 2_147_483_648_u32),
        ] {
            for (value, expected) in
                [(below, Err(limit)), (least, Ok(())), (most, Ok(())), (above, Err(limit))]
            {
                assert_eq!(checked(&format!("{limit} = {value}")), expected, "{limit} = {value}");
            }
        }
    }

    #[test]
    fn an_unknown_limit_is_refused() {
        assert!(toml::from_str::<ConnectionLimits>("idle_timeout = 5").is_err());
    }
}
