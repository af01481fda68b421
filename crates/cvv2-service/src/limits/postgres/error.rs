//! Why limits in a database cannot be kept, and why a transaction ends early.

use std::fmt;
use std::sync::Arc;

use cvv2_resolver::StoreError;

use crate::limits::codec::Unreadable;
use crate::limits::error::LimitError;
use crate::limits::refusal::{Denied, Refusal};

/// Why a database did not do what it was asked, or has what is not ours.
#[derive(Debug)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The statement failed, or the connection. Nothing is kept of what the server says.
    Failed(StoreError),
    /// The tables are of another version of this program.
    Format {
        /// The version of their format.
        found: i32,
    },
    /// A row was not written by us.
    Unreadable {
        /// Its table.
        table: &'static str,
    },
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // No card store has failed.
            Self::Failed(StoreError::Storage(error)) => error.fmt(f),
            Self::Failed(error) => error.fmt(f),
            Self::Format { found } => {
                write!(f, "its tables have format {found}, which this version does not know")
            }
            Self::Unreadable { table } => write!(f, "a row of {table} was not written by us"),
        }
    }
}

impl std::error::Error for DatabaseError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            _ => None,
        }
    }
}

impl From<StoreError> for DatabaseError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
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
            Self::Database(error) => {
                let error = StoreError::from(cvv2_resolver::DatabaseError::from(&error));
                LimitError::from(DatabaseError::from(error)).into()
            }
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
