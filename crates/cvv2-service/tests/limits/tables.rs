//! Limits in a schema of a database.

use cvv2_resolver::{PostgresOptions, PostgresPool, PostgresServer};
use cvv2_service::limits::{LimitError, LimitPolicy, Limits};
use postgres::{Client, Config, NoTls};

use crate::postgres_server::Server;
use crate::stores::Home;

/// A schema that nobody else has.
pub(crate) struct Tables(PostgresOptions);

impl Tables {
    /// On the server for all tests that do not care about the disk.
    pub(crate) fn new() -> Self {
        Self::on(Server::shared())
    }

    pub(crate) fn on(server: &Server) -> Self {
        let mut options = server.options();
        // More threads than connections take turns.
        options.connections = 4;
        Self(options)
    }

    /// The database itself, and the schema.
    pub(crate) fn client(&self) -> (Client, &str) {
        let PostgresServer::Socket { directory, .. } = &self.0.server else {
            panic!("the tests' server has a socket");
        };
        let mut config = Config::new();
        config.host_path(directory).user(&self.0.user).dbname(&self.0.database);
        (config.connect(NoTls).unwrap(), &self.0.schema)
    }

    pub(crate) fn try_open(&self, policy: LimitPolicy) -> Result<Limits, LimitError> {
        Limits::postgres(PostgresPool::open(&self.0).unwrap(), policy)
    }
}

impl Home for Tables {
    fn open(&self, policy: LimitPolicy) -> Limits {
        self.try_open(policy).unwrap()
    }

    fn dearness(&self) -> u64 {
        10
    }
}
