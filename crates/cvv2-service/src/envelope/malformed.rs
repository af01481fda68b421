//! What can be wrong with a request before anyone looks for the card.

use std::fmt;

use cvv2::{CvvError, ExpiryError};
use cvv2_resolver::{ContractNumberError, ExidError};

use super::error_code::ErrorCode;
use super::field::{Field, Node};
use super::function::Function;

/// Why a request was refused as it stands.
///
/// Its `Display` is what the caller is told: the field by its name and what to send instead, never
/// what was sent. There is nothing to hide about a malformed request, so the audit gets the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// The request has more bytes than it may have.
    TooLarge {
        /// How many it may have.
        bytes_max: usize,
    },
    /// The request is no JSON document in UTF-8.
    NotJson {
        /// The line, counted from one.
        line: usize,
        /// The byte of the line, counted from one.
        column: usize,
    },
    /// An object has two members of one name.
    DuplicateKey {
        /// The line where that object ends, counted from one.
        line: usize,
        /// The byte of the line, counted from one.
        column: usize,
    },
    /// A node of the envelope is absent or null.
    NodeMissing(Node),
    /// A node of the envelope is no JSON object.
    NotAnObject(Node),
    /// A mandatory field is absent, null or blank.
    Missing(Field),
    /// A field is no string.
    NotAString(Field),
    /// A field has more characters than it may have.
    TooLong(Field),
    /// A field has characters that it may not have.
    Characters(Field),
    /// `msg_type` is none of the contract's.
    MsgType,
    /// `msg_function` is not the one that is asked for in this place.
    MsgFunction(Function),
    /// The timestamp has no known form or is no date.
    Timestamp,
    /// `card_identifier_type` is none of the contract's.
    IdentifierType,
    /// The card reference is no contract number: it is masked.
    ContractNumber(ContractNumberError),
    /// The card reference is no EXID: not 20 digits, or the check digit is wrong.
    Exid(ExidError),
    /// The expiry is no date in the order YYMM.
    Expiry(ExpiryError),
    /// The value to verify is not three digits.
    Cvv2(CvvError),
}

impl Malformed {
    /// The code of the contract's table.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::TooLarge { .. }
            | Self::NotJson { .. }
            | Self::DuplicateKey { .. }
            | Self::NodeMissing(_)
            | Self::NotAnObject(_) => ErrorCode::MalformedRequest,
            Self::Missing(_) => ErrorCode::MissingField,
            Self::NotAString(_) | Self::TooLong(_) | Self::Characters(_) | Self::Cvv2(_) => {
                ErrorCode::InvalidField
            }
            Self::MsgType | Self::MsgFunction(_) => ErrorCode::UnsupportedFunction,
            Self::Timestamp => ErrorCode::UnreadableTimestamp,
            Self::IdentifierType => ErrorCode::InvalidIdentifierType,
            Self::ContractNumber(_) | Self::Exid(_) => ErrorCode::InvalidIdentifier,
            Self::Expiry(_) => ErrorCode::InvalidExpiry,
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes_max } => {
                write!(f, "the request has more than {bytes_max} bytes")
            }
            Self::NotJson { line, column } => {
                write!(f, "the request is not JSON at line {line}, column {column}")
            }
            Self::DuplicateKey { line, column } => write!(
                f,
                "a key occurs twice in the object that ends at line {line}, column {column}"
            ),
            Self::NodeMissing(node) => write!(f, "{} is missing", node.name()),
            Self::NotAnObject(node) => write!(f, "{} is not a JSON object", node.name()),
            Self::Missing(field) => write!(f, "{} is missing", field.name()),
            Self::NotAString(field) if field.takes_integer() => {
                write!(f, "{} is neither a string nor an integer", field.name())
            }
            Self::NotAString(field) => write!(f, "{} is not a string", field.name()),
            Self::TooLong(field) => {
                write!(f, "{} has more than {} characters", field.name(), field.chars_max())
            }
            Self::Characters(field) => {
                write!(f, "{} has characters that it may not have", field.name())
            }
            Self::MsgType => f.write_str("msg_type is neither TRANSACTION nor ENQUIRY"),
            Self::MsgFunction(function) => {
                write!(f, "msg_function is not {}", function.request_name())
            }
            Self::Timestamp => f.write_str(
                "timestamp is no date and time in the form of RFC 3339 or DD/MM/YYYY HH:MM:SS",
            ),
            Self::IdentifierType => {
                f.write_str("card_identifier_type is neither CONTRACT_NUMBER nor EXID")
            }
            Self::ContractNumber(error) => write!(f, "card_identifier_id: {error}"),
            Self::Exid(error) => write!(f, "card_identifier_id: {error}"),
            Self::Expiry(error) => write!(f, "expiry_date: {error}"),
            Self::Cvv2(error) => write!(f, "cvv2: {error}"),
        }
    }
}

impl std::error::Error for Malformed {}
