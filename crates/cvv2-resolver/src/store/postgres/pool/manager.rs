//! Making connections: by what way, with what limits, and to no server that may lose what it
//! acknowledges.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use postgres::config::SslMode;
use postgres::{Client, Config, NoTls};
use r2d2::{HandleError, ManageConnection};

use super::{Link, Statements};
use crate::store::StoreError;
use crate::store::postgres::error::DatabaseError;
use crate::store::postgres::options::{PostgresOptions, PostgresServer};
use crate::store::postgres::queries::Query;
use crate::store::postgres::tls;

/// Makes connections for the pool.
pub(super) struct Manager {
    options: PostgresOptions,
    schema: Arc<str>,
    tls: Option<tls::Connector>,
    /// What is said first on each connection.
    settings: String,
}

impl Manager {
    pub(super) fn new(options: &PostgresOptions) -> Result<Self, StoreError> {
        let tls = match &options.server {
            PostgresServer::Tls { roots, .. } => Some(tls::connector(roots)?),
            PostgresServer::Socket { .. } | PostgresServer::Plain { .. } => None,
        };
        let mut settings = String::new();
        // Every plan is right for every value: hashes are spread evenly. Planning each time would
        // cost more than the statement.
        settings.push_str("SET plan_cache_mode = force_generic_plan;");
        for (name, limit) in [
            ("statement_timeout", options.statement_timeout),
            ("lock_timeout", options.lock_timeout),
            // Who has died in the middle keeps nobody waiting for long.
            ("idle_in_transaction_session_timeout", options.statement_timeout),
        ] {
            let _ = write!(settings, "SET {name} = '{}ms';", limit.as_millis());
        }
        Ok(Self { options: options.clone(), schema: options.schema.as_str().into(), tls, settings })
    }

    fn config(&self) -> Config {
        let options = &self.options;
        let mut config = Config::new();
        match &options.server {
            PostgresServer::Socket { directory, port } => {
                config.host_path(directory).port(*port);
            }
            PostgresServer::Plain { host, port } | PostgresServer::Tls { host, port, .. } => {
                config.host(host).port(*port);
            }
        }
        config
            .dbname(&options.database)
            .user(&options.user)
            .application_name("cvv2")
            .connect_timeout(options.connect_timeout)
            .tcp_user_timeout(options.tcp_timeout)
            .keepalives_idle(options.tcp_timeout)
            .ssl_mode(if self.tls.is_some() { SslMode::Require } else { SslMode::Disable })
            // What the server remarks may quote rows, and would be logged.
            .notice_callback(|_| {});
        if let Some(password) = &options.password {
            config.password(password.expose());
        }
        config
    }

    /// Refuses a server that may lose what it acknowledges, and has it wait for the disk where that
    /// is a session's own affair.
    fn make_durable(&self, client: &mut Client) -> Result<(), StoreError> {
        if self.options.allow_lost_commits {
            return Ok(());
        }
        let failed = |error: postgres::Error| DatabaseError::from(&error);
        for setting in ["fsync", "full_page_writes"] {
            // A database that has no such setting is none that can be told to lose anything by it.
            let query = "SELECT current_setting($1, true) = 'off'";
            let is_off: Option<bool> = client.query_one(query, &[&setting]).map_err(failed)?.get(0);
            if is_off == Some(true) {
                return Err(StoreError::NotDurable { setting });
            }
        }
        let query = "SELECT set_config('synchronous_commit', 'on', false)
                     WHERE current_setting('synchronous_commit') = 'off'";
        client.query_opt(query, &[]).map_err(failed)?;
        Ok(())
    }
}

impl ManageConnection for Manager {
    type Connection = Link;
    type Error = StoreError;

    fn connect(&self) -> Result<Link, StoreError> {
        let config = self.config();
        let client = match &self.tls {
            Some(tls) => config.connect(tls.clone()),
            None => config.connect(NoTls),
        };
        let mut client = client.map_err(|error| DatabaseError::unreachable(&error))?;
        client.batch_execute(&self.settings).map_err(|error| DatabaseError::from(&error))?;
        self.make_durable(&mut client)?;
        let prepared = [const { None }; Query::COUNT];
        let statements = Statements { schema: Arc::clone(&self.schema), prepared };
        let now = Instant::now();
        Ok(Link { client, statements, made: now, answered: now, is_lost: false })
    }

    fn is_valid(&self, link: &mut Link) -> Result<(), StoreError> {
        link.client
            .is_valid(self.options.statement_timeout)
            .map_err(|error| DatabaseError::from(&error).into())
    }

    fn has_broken(&self, link: &mut Link) -> bool {
        link.is_lost || link.client.is_closed()
    }
}

/// Hears of connections that could not be made, and does not tell the log: whoever waits for one
/// gets an error.
#[derive(Debug)]
pub(super) struct Silent;

impl HandleError<StoreError> for Silent {
    fn handle_error(&self, _: StoreError) {}
}
