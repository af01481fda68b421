//! Connections to the database, as many as there are threads that use one at a time.

use std::sync::{Mutex, PoisonError};

use postgres::{Client, Config, NoTls};

use super::DatabaseError;

/// Connections that are made when they are needed, and kept.
pub(super) struct Connections {
    config: Config,
    idle: Mutex<Vec<Client>>,
}

/// What is said first on each connection: a commit is durable when it returns, nothing takes for
/// ever, and who has died in the middle keeps nobody waiting for long.
const SETTINGS: &str = "SET synchronous_commit = on; SET statement_timeout = '10s'; \
     SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '10s'";

impl Connections {
    pub(super) fn new(config: &Config) -> Self {
        Self { config: config.clone(), idle: Mutex::default() }
    }

    /// Does something with a connection, once. A transaction that it leaves open is rolled back. A
    /// commit that fails by a lost connection may have been done: the charge counts, to be safe.
    pub(super) fn with<T>(
        &self,
        task: impl FnOnce(&mut Client) -> Result<T, postgres::Error>,
    ) -> Result<T, DatabaseError> {
        let failed = |error: postgres::Error| DatabaseError::from(&error);
        let mut client = match self.idle() {
            Some(client) => client,
            None => self.connect().map_err(failed)?,
        };
        let result = task(&mut client).map_err(failed);
        if !client.is_closed() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(client);
        }
        result
    }

    fn connect(&self) -> Result<Client, postgres::Error> {
        let mut client = self.config.connect(NoTls)?;
        client.batch_execute(SETTINGS)?;
        Ok(client)
    }

    fn idle(&self) -> Option<Client> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(client) = idle.pop() {
            if !client.is_closed() {
                return Some(client);
            }
        }
        None
    }
}
