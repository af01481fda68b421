//! `[store] postgres`: the database that holds the cards.

use std::path::PathBuf;

use serde::Deserialize;
#[cfg(feature = "postgres")]
use {
    crate::failure::Failure,
    cvv2_keyring::secret_file,
    cvv2_resolver::{PostgresOptions, PostgresPassword, PostgresServer},
    std::path::Path,
    std::time::Duration,
};

/// Where the database is, and what it may take. What is left out has the resolver's default.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "read, and then refused"))]
pub(crate) struct Postgres {
    /// The directory of the server's socket, on this machine; or else `host`.
    socket: Option<PathBuf>,
    /// The name or address of the server's machine, by TLS if there is a `ca_file`.
    host: Option<String>,
    /// The TCP port, or the number in the socket's name.
    #[serde(default = "port")]
    port: u16,
    /// The name of the database.
    pub(crate) database: String,
    /// The role.
    user: String,
    /// The file of mode 0600 with its password; none is given if left out.
    password_file: Option<PathBuf>,
    /// The schema of the tables.
    #[serde(default = "schema")]
    pub(crate) schema: String,
    /// The most connections at a time.
    connections: Option<u32>,
    /// How long making a connection may take.
    connect_timeout_ms: Option<u32>,
    /// How long waiting for a free connection may take.
    checkout_timeout_ms: Option<u32>,
    /// How long one statement may take.
    statement_timeout_ms: Option<u32>,
    /// How long one statement may wait for other transactions.
    lock_timeout_ms: Option<u32>,
    /// How long the server may leave what was sent unacknowledged.
    tcp_timeout_ms: Option<u32>,
    /// The file of the certificates that vouch for the server, PEM.
    ca_file: Option<PathBuf>,
    /// Whether another machine is spoken to without TLS.
    #[serde(default)]
    allow_plain_network: bool,
}

#[cfg(feature = "postgres")]
impl Postgres {
    /// The same, relative paths taken from a folder.
    pub(crate) fn relative_to(mut self, folder: &Path) -> Self {
        for path in [&mut self.socket, &mut self.password_file, &mut self.ca_file] {
            *path = path.take().map(|path| folder.join(path));
        }
        self
    }

    /// What the store is opened with; the password is read now.
    pub(crate) fn options(&self) -> Result<PostgresOptions, Failure> {
        let mut options = PostgresOptions::new(self.server()?, &self.database, &self.user);
        options.schema.clone_from(&self.schema);
        options.allow_plain_network = self.allow_plain_network;
        if let Some(connections) = self.connections {
            options.connections = connections;
        }
        for (given, timeout) in [
            (self.connect_timeout_ms, &mut options.connect_timeout),
            (self.checkout_timeout_ms, &mut options.checkout_timeout),
            (self.statement_timeout_ms, &mut options.statement_timeout),
            (self.lock_timeout_ms, &mut options.lock_timeout),
            (self.tcp_timeout_ms, &mut options.tcp_timeout),
        ] {
            if let Some(milliseconds) = given {
                *timeout = Duration::from_millis(milliseconds.into());
            }
        }
        if let Some(file) = &self.password_file {
            let text = secret_file::read(file)
                .map_err(|e| Failure::key_file(&e).about("postgres.password_file"))?;
            options.password = Some(PostgresPassword::new(text.as_str().to_owned()));
        }
        Ok(options)
    }

    fn server(&self) -> Result<PostgresServer, Failure> {
        let port = self.port;
        match (&self.socket, &self.host, &self.ca_file) {
            (Some(directory), None, None) => {
                Ok(PostgresServer::Socket { directory: directory.clone(), port })
            }
            (None, Some(host), Some(roots)) => {
                Ok(PostgresServer::Tls { host: host.clone(), port, roots: roots.clone() })
            }
            (None, Some(host), None) => Ok(PostgresServer::Plain { host: host.clone(), port }),
            (Some(_), None, Some(_)) => Err(Failure::bad_input(
                "postgres.ca_file: a socket has no TLS; leave one of both out",
            )),
            (Some(_), Some(_), _) | (None, None, _) => {
                Err(Failure::bad_input("postgres: give either socket, a directory, or host"))
            }
        }
    }
}

fn port() -> u16 {
    5432
}

fn schema() -> String {
    "cvv2".to_owned()
}

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn read(text: &str) -> Postgres {
        let postgres: Postgres = toml::from_str(text).expect("a table");
        postgres.relative_to(Path::new("/etc/cvv2"))
    }

    fn server(more: &str) -> Result<PostgresServer, Failure> {
        read(&format!("database = 'cards'\nuser = 'cvv2'\n{more}")).server()
    }

    #[test]
    fn a_server_is_reached_in_exactly_one_way() {
        let (host, port) = ("db".to_owned(), 5432);
        for (text, expected) in [
            (
                "socket = 'run'\nport = 5433",
                PostgresServer::Socket { directory: "/etc/cvv2/run".into(), port: 5433 },
            ),
            ("host = 'db'", PostgresServer::Plain { host: host.clone(), port }),
            (
                "host = 'db'\nca_file = 'ca.pem'",
                PostgresServer::Tls { host, port, roots: "/etc/cvv2/ca.pem".into() },
            ),
        ] {
            assert_eq!(server(text).expect(text), expected);
        }
        for text in ["", "socket = 'run'\nhost = 'db'", "socket = 'run'\nca_file = 'ca.pem'"] {
            assert!(matches!(server(text), Err(Failure::BadInput(_))), "{text}");
        }
    }

    #[test]
    fn what_is_left_out_has_the_default_and_the_rest_is_taken() {
        let base = "socket = '/run/postgresql'\ndatabase = 'cards'\nuser = 'cvv2'\n";
        let options = read(base).options().expect("options");
        let expected = PostgresOptions::new(options.server.clone(), "cards", "cvv2");
        assert_eq!(format!("{options:?}"), format!("{expected:?}"));

        let more = "schema = 'other'\nconnections = 3\nconnect_timeout_ms = 1\n\
                    checkout_timeout_ms = 2\nstatement_timeout_ms = 3\nlock_timeout_ms = 4\n\
                    tcp_timeout_ms = 5\nallow_plain_network = true\n";
        let options = read(&format!("{base}{more}")).options().expect("options");
        let timeouts = [
            options.connect_timeout,
            options.checkout_timeout,
            options.statement_timeout,
            options.lock_timeout,
            options.tcp_timeout,
        ];
        assert_eq!(timeouts.map(|timeout| timeout.as_millis()), [1, 2, 3, 4, 5]);
        assert_eq!((options.schema.as_str(), options.connections), ("other", 3));
        assert!(options.allow_plain_network && !options.allow_lost_commits);
    }

    #[test]
    fn a_password_comes_from_a_file_of_its_owner_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("password");
        fs::write(&file, "not shown\n").expect("a file");
        let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode));
        let text = "host = 'localhost'\ndatabase = 'cards'\nuser = 'cvv2'\npassword_file = ";
        let options = || read(&format!("{text}'{}'", file.display())).options();
        mode(0o644).expect("a mode");
        assert!(matches!(options(), Err(Failure::BadInput(_))));
        mode(0o600).expect("a mode");
        assert!(options().expect("options").password.is_some());
    }
}
