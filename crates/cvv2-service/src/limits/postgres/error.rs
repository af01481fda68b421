//! Why limits in a database cannot be kept, and why a transaction ends early.

use std::fmt;
use std::sync::Arc;

use crate::limits::codec::Unreadable;
use crate::limits::error::LimitError;
use crate::limits::refusal::{Denied, Refusal};

/// Why a database did not do what it was asked. Nothing of what it says is kept, because it may
/// quote rows, but its SQLSTATE.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The statement failed, or the connection.
    Failed {
        /// Five characters of the SQL standard or of PostgreSQL; none if the connection was lost or
        /// could not be made.
        sqlstate: Option<String>,
    },
    /// The tables are of another version of this program.
    Format {
        /// The version of their format.
        found: i32,
    },
    /// The name of the schema is none that we write into a statement.
    Schema,
    /// A row was not written by us.
    Unreadable {
        /// Its table.
        table: &'static str,
    },
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { sqlstate: Some(state) } => write!(f, "it failed (SQLSTATE {state})"),
            Self::Failed { sqlstate: None } => f.write_str("the connection failed"),
            Self::Format { found } => {
                write!(f, "its tables have format {found}, which this version does not know")
            }
            Self::Schema => f.write_str(
                "the name of the schema has to have 1 to 48 of a to z, 0 to 9 and _, no digit first",
            ),
            Self::Unreadable { table } => write!(f, "a row of {table} was not written by us"),
        }
    }
}

impl std::error::Error for DatabaseError {}

impl From<&postgres::Error> for DatabaseError {
    fn from(error: &postgres::Error) -> Self {
        Self::Failed { sqlstate: error.code().map(|state| state.code().to_owned()) }
    }
}

impl From<DatabaseError> for LimitError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(Arc::new(error))
    }
}

/// Why a transaction is rolled back.
pub(super) enum Stop {
    Database(postgres::Error),
    Full { setting: &'static str },
    Refused(Refusal),
    Unreadable,
}

impl Stop {
    /// What the caller is told, of a row of this table.
    pub(super) fn denied(self, table: &'static str) -> Denied {
        match self {
            Self::Database(error) => LimitError::from(DatabaseError::from(&error)).into(),
            Self::Full { setting } => LimitError::Full { setting }.into(),
            Self::Refused(refusal) => refusal.into(),
            Self::Unreadable => LimitError::from(DatabaseError::Unreadable { table }).into(),
        }
    }
}

impl From<postgres::Error> for Stop {
    fn from(error: postgres::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Unreadable> for Stop {
    fn from(Unreadable: Unreadable) -> Self {
        Self::Unreadable
    }
}
