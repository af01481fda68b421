//! Where a database is, how it is reached, and how long that may take.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::store::StoreError;

/// How a PostgreSQL database is reached.
///
/// ```
/// use cvv2_resolver::{PostgresOptions, PostgresPassword, PostgresServer};
///
/// let server = PostgresServer::Tls {
///     host: "db.bank.example".to_owned(),
///     port: 5432,
///     roots: "/etc/cvv2/db-ca.pem".into(),
/// };
/// let mut options = PostgresOptions::new(server, "cards", "cvv2");
/// options.password = Some(PostgresPassword::new("not shown".to_owned()));
/// options.connections = 16;
/// assert!(!format!("{options:?}").contains("not shown"));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PostgresOptions {
    /// Where the server is, and whether TLS is spoken.
    pub server: PostgresServer,
    /// The name of the database.
    pub database: String,
    /// The role.
    pub user: String,
    /// Its password, unless the server lets it in without one.
    pub password: Option<PostgresPassword>,
    /// The schema that holds the store's tables: a to z, digits and underscores, 1 to 48 of them,
    /// no digit first. `cvv2` by default.
    pub schema: String,
    /// The most connections at a time, 1 to 1000. 8 by default.
    pub connections: u32,
    /// How long making one connection may take, to each address of the host. 5 s by default.
    pub connect_timeout: Duration,
    /// How long waiting for a free connection may take. 5 s by default.
    pub checkout_timeout: Duration,
    /// How long one statement may take. 10 s by default. Imports and checks have an hour.
    pub statement_timeout: Duration,
    /// How long one statement may wait for other transactions. 5 s by default.
    pub lock_timeout: Duration,
    /// How long the server may leave what was sent unacknowledged, before the connection counts as
    /// lost. 10 s by default. Not for sockets of the file system.
    pub tcp_timeout: Duration,
    /// Whether to speak plainly to other machines too. Not by default: what is stored is sealed,
    /// but who asks for what, and the password's exchange, are for all to see.
    pub allow_plain_network: bool,
    /// Whether to use a database that may lose what it has acknowledged. For tests: never by
    /// default.
    pub allow_lost_commits: bool,
}

impl PostgresOptions {
    /// The defaults for a database on a server.
    pub fn new(
        server: PostgresServer,
        database: impl Into<String>,
        user: impl Into<String>,
    ) -> Self {
        Self {
            server,
            database: database.into(),
            user: user.into(),
            password: None,
            schema: "cvv2".to_owned(),
            connections: 8,
            connect_timeout: Duration::from_secs(5),
            checkout_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(5),
            tcp_timeout: Duration::from_secs(10),
            allow_plain_network: false,
            allow_lost_commits: false,
        }
    }

    /// Refuses what cannot be, before anything is connected.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let refuse = |name, reason| Err(StoreError::Option { name, reason });
        let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let schema = self.schema.as_bytes();
        if !(1..=48).contains(&schema.len())
            || !schema.iter().all(|&b| is_name(b))
            || schema[0].is_ascii_digit()
        {
            let reason = "give 1 to 48 of a to z, 0 to 9 and _, no digit first";
            return refuse("schema", reason);
        }
        if !(1..=1000).contains(&self.connections) {
            return refuse("connections", "give 1 to 1000");
        }
        let timeouts = [
            ("connect_timeout", self.connect_timeout),
            ("checkout_timeout", self.checkout_timeout),
            ("statement_timeout", self.statement_timeout),
            ("lock_timeout", self.lock_timeout),
            ("tcp_timeout", self.tcp_timeout),
        ];
        for (name, timeout) in timeouts {
            // Zero means no limit to PostgreSQL, and everything has one here.
            if !(Duration::from_millis(1)..=Duration::from_hours(1)).contains(&timeout) {
                return refuse(name, "give a millisecond to an hour");
            }
        }
        if let PostgresServer::Plain { host, .. } = &self.server
            && !self.allow_plain_network
            && host != "localhost"
            && !host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        {
            return refuse("server", "another machine is reached by TLS");
        }
        Ok(())
    }
}

/// Where a PostgreSQL server is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PostgresServer {
    /// On this machine, by a socket of the file system.
    Socket {
        /// The directory that holds the socket.
        directory: PathBuf,
        /// The number in the socket's name.
        port: u16,
    },
    /// On this machine, by TCP without TLS.
    Plain {
        /// `localhost`, or a loopback address.
        host: String,
        /// The TCP port.
        port: u16,
    },
    /// By TCP and TLS 1.2 or 1.3. The server's certificate must be of one of the roots and name the
    /// host (`verify-full`).
    Tls {
        /// The name or address of the machine, as the certificate has it.
        host: String,
        /// The TCP port.
        port: u16,
        /// A file with the certificates that are trusted, in PEM.
        roots: PathBuf,
    },
}

/// The password of a role of a database. Wiped when dropped, and never shown.
///
/// The driver keeps a copy in ordinary memory, which is not wiped: a socket of the file system with
/// `peer` authentication needs no password.
#[derive(Clone)]
pub struct PostgresPassword(Zeroizing<String>);

impl PostgresPassword {
    /// Takes a password over.
    #[must_use]
    pub fn new(password: String) -> Self {
        Self(Zeroizing::new(password))
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PostgresPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresPassword(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(server: PostgresServer) -> PostgresOptions {
        PostgresOptions::new(server, "cards", "cvv2")
    }

    fn plain(host: &str) -> PostgresServer {
        PostgresServer::Plain { host: host.to_owned(), port: 5432 }
    }

    #[test]
    fn another_machine_is_not_spoken_to_plainly_unless_told_so() {
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "::1"] {
            options(plain(host)).check().unwrap();
        }
        for host in ["db.bank.example", "10.0.0.1", "localhost.bank.example", "0.0.0.0", ""] {
            let mut options = options(plain(host));
            assert!(matches!(options.check(), Err(StoreError::Option { name: "server", .. })));
            options.allow_plain_network = true;
            options.check().unwrap();
        }
    }

    #[test]
    fn a_schema_that_would_have_to_be_quoted_is_refused() {
        for schema in ["", "Cards", "1cards", "cards; DROP", "kärten", "a-b", &"x".repeat(49)] {
            let mut options = options(plain("localhost"));
            options.schema = schema.to_owned();
            assert!(matches!(options.check(), Err(StoreError::Option { name: "schema", .. })));
        }
    }

    #[test]
    fn nothing_is_without_a_limit() {
        let mut none = options(plain("localhost"));
        none.connections = 0;
        assert!(matches!(none.check(), Err(StoreError::Option { name: "connections", .. })));
        let mut forever = options(plain("localhost"));
        forever.statement_timeout = Duration::ZERO;
        let error = forever.check().unwrap_err().to_string();
        assert!(error.contains("`statement_timeout`"), "{error}");
    }
}
