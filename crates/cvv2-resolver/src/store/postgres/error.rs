//! What a database refused or lost, without a word of what it says about it.

use std::error::Error;
use std::fmt;
use std::io;

use postgres::error::SqlState;

use crate::store::StoreError;

/// Why a database did not do what it was asked.
///
/// The server's own text is not kept, because it may quote rows; its SQLSTATE is, and what the
/// operating system or TLS says of a connection that could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseError {
    what: What,
    state: Option<SqlState>,
    reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Unreachable,
    NoneFree,
    Lost,
    Refused,
}

impl DatabaseError {
    /// No connection could be made.
    pub(super) fn unreachable(error: &postgres::Error) -> Self {
        let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        let reason = source.map(ToString::to_string);
        Self { what: What::Unreachable, state: error.code().cloned(), reason }
    }

    /// No connection of the pool was free in time.
    pub(super) fn none_free() -> Self {
        Self { what: What::NoneFree, state: None, reason: None }
    }

    /// What five characters of the SQL standard, or of PostgreSQL, say about it.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&str> {
        self.state.as_ref().map(SqlState::code)
    }
}

impl From<&postgres::Error> for DatabaseError {
    fn from(error: &postgres::Error) -> Self {
        let what = if is_lost(error) { What::Lost } else { What::Refused };
        Self { what, state: error.code().cloned(), reason: None }
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.what {
            What::Unreachable => "no connection to the database could be made",
            What::NoneFree => "no connection to the database was free or could be made in time",
            What::Lost => "the connection to the database was lost",
            What::Refused => "the database refused a statement",
        })?;
        if let Some(reason) = &self.reason {
            write!(f, ": {reason}")?;
        }
        match self.sqlstate() {
            Some(state) => write!(f, " (SQLSTATE {state})"),
            None => Ok(()),
        }
    }
}

impl Error for DatabaseError {}

impl From<DatabaseError> for StoreError {
    fn from(error: DatabaseError) -> Self {
        Self::Storage(Box::new(error))
    }
}

/// Why a transaction ended early: the database, or the store.
pub(super) enum Failure {
    Database(postgres::Error),
    Store(StoreError),
}

impl From<postgres::Error> for Failure {
    fn from(error: postgres::Error) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<getrandom::Error> for Failure {
    fn from(error: getrandom::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Failure {
    pub(super) fn into_store_error(self) -> StoreError {
        match self {
            Self::Database(error) => DatabaseError::from(&error).into(),
            Self::Store(error) => error,
        }
    }

    /// Whether the connection is of no more use.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self, Self::Database(error) if is_lost(error))
    }

    /// Whether the transaction got into another's way, so that it may succeed when tried again.
    ///
    /// A row that is there already counts: another has put it since this one looked, or, in an
    /// import, the look was spared.
    pub(super) fn is_conflict(&self) -> bool {
        let conflicts = [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::UNIQUE_VIOLATION,
        ];
        matches!(self, Self::Database(error) if error.code().is_some_and(|c| conflicts.contains(c)))
    }

    /// Whether a row is there already.
    pub(super) fn is_duplicate(&self) -> bool {
        matches!(self, Self::Database(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION))
    }
}

/// Whether the connection is of no more use: it is closed, or the server says that it ends it.
pub(super) fn is_lost(error: &postgres::Error) -> bool {
    // 08: connection exceptions. 57P01 to 57P05: the server stops, or ends the session.
    error
        .code()
        .is_none_or(|state| state.code().starts_with("08") || state.code().starts_with("57P"))
}

/// What a failed commit means: whether the transaction is certainly not done.
pub(super) fn of_commit(error: postgres::Error) -> Failure {
    // 23 and 40: the transaction was rolled back, which is certain but for 40003. Whatever else is
    // said may be said by a server that has committed and could not wait for its standbys.
    let is_rolled_back = error.code().is_some_and(|state| {
        let code = state.code();
        (code.starts_with("23") || code.starts_with("40")) && code != "40003"
    });
    if is_rolled_back { error.into() } else { Failure::Store(StoreError::OutcomeUnknown) }
}
